"""An execution keeps the version of the Schema that it was posted with, unless a retry names another."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from rest_framework.test import APIClient

from engines.base import WorkflowPhase, WorkflowStatus
from executions.models import Execution
from executions.outcomes import execution_to_failed, execution_to_succeeded
from runs.models import WorkflowRun
from runs.services import run_observe
from schemas.models import Schema
from schemas.posting import CheckedSchema
from schemas.services import schema_replace
from tests.executions.conftest import MANIFEST, multipart, training_document, training_files
from web.errors import InvalidInput

PRODUCED = {"ai_model": {"ai_model": 1}, "evaluation_metrics": [{"evaluation_metric": 2}]}


def marked(mark: str) -> dict[str, Any]:
    manifest = copy.deepcopy(MANIFEST)
    manifest["metadata"]["labels"] = {"team": mark}
    return manifest


def next_version(mark: str = "second", **changed: Any) -> Schema:
    schema = Schema.objects.get(name="training")
    document = {
        field: getattr(schema, field)
        for field in ("name", "type", "implementation", "input_elements", "ai_elements", "output_elements")
    }
    checked = CheckedSchema({**document, "description": "", **changed}, b"{}", marked(mark))
    return schema_replace(schema=schema, checked=checked)


def mark_of(run: WorkflowRun) -> str:
    return str(run.manifest["metadata"]["labels"]["team"])


def fail(execution: Execution) -> None:
    run = WorkflowRun.objects.filter(owner_id=execution.pk).latest("attempt")
    run_observe(run_id=run.pk, status=WorkflowStatus(run.name, WorkflowPhase.FAILED, "exit code 1", version="9"))


def retried(api: APIClient, execution: Execution, query: str = "") -> Any:
    return api.post(f"/api/executions/{execution.pk}/retry/{query}")


def test_a_new_execution_takes_the_newest_version(api: APIClient, make_schema: Any) -> None:
    make_schema()
    next_version()

    answer = api.post("/api/executions/", multipart(training_document(), training_files())).json()

    assert (answer["schema"], answer["schema_version"]) == ("http://testserver/api/schemas/training/", 2)
    assert mark_of(WorkflowRun.objects.get()) == "second"


def test_an_execution_stays_with_its_version(api: APIClient, training: Execution) -> None:
    next_version()

    assert api.get(f"/api/executions/{training.pk}/").json()["schema_version"] == 1


def test_a_retry_takes_the_version_that_was_posted_with_and_says_so(api: APIClient, training: Execution) -> None:
    fail(training)
    next_version()

    answer = retried(api, training).json()

    assert answer["schema_version"] == 1
    assert [each["schema_version"] for each in answer["attempts"]] == [1, 1]
    assert mark_of(WorkflowRun.objects.latest("attempt")) == MANIFEST["metadata"]["labels"]["team"]


def test_a_retry_may_name_another_version(api: APIClient, training: Execution) -> None:
    fail(training)
    next_version("second")
    next_version("third")

    answer = retried(api, training, "?schema_version=2").json()

    assert answer["schema_version"] == 2
    assert [each["schema_version"] for each in answer["attempts"]] == [1, 2]
    assert mark_of(WorkflowRun.objects.latest("attempt")) == "second"


def test_a_later_retry_stays_with_the_version_of_the_last(api: APIClient, training: Execution) -> None:
    fail(training)
    next_version()
    retried(api, training, "?schema_version=2")
    fail(training)

    answer = retried(api, training).json()

    assert [each["schema_version"] for each in answer["attempts"]] == [1, 2, 2]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("?schema_version=3", "/query/schema_version"),
        ("?schema_version=0", "/query/schema_version"),
        ("?schema_version=x", "/query/schema_version"),
        ("?version=2", "/query/version"),
    ],
)
def test_a_version_that_there_is_not_is_refused(api: APIClient, training: Execution, query: str, pointer: str) -> None:
    fail(training)
    next_version()

    response = retried(api, training, query)

    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    assert WorkflowRun.objects.count() == 1


def test_a_version_that_asks_for_other_elements_is_refused(api: APIClient, training: Execution) -> None:
    fail(training)
    next_version(output_elements={"ai_model": True, "evaluation_metrics": True, "generic_file": True})

    response = retried(api, training, "?schema_version=2")

    assert response.status_code == 400
    assert "other elements than version 1" in response.json()["detail"]


def test_what_is_reported_is_held_against_the_version_of_the_execution(training: Execution) -> None:
    next_version(output_elements={"ai_model": False, "evaluation_metrics": False, "generic_file": True})

    with pytest.raises(InvalidInput):
        execution_to_succeeded(execution_id=training.pk, document={"generic_file": {"generic_file": 1}})
    assert execution_to_succeeded(execution_id=training.pk, document=PRODUCED).state == "succeeded"


def test_the_versions_of_a_deleted_schema_go_with_its_executions(api: APIClient, training: Execution) -> None:
    next_version()
    execution_to_failed(execution_id=training.pk, document={"message": "x"})

    assert api.delete("/api/schemas/training/").status_code == 204
    assert not Execution.objects.exists()


def test_a_version_that_the_policy_refuses_by_now_is_not_tried_again(
    api: APIClient, settings: Any, training: Execution
) -> None:
    fail(training)
    next_version()
    settings.MANIFEST_SERVICE_ACCOUNTS = []

    response = retried(api, training)

    assert response.status_code == 400
    assert {error["pointer"] for error in response.json()["errors"]} == {"/data/schema"}

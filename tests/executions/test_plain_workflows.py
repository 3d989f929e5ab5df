"""Executions of Schemas without AI engines, and of Schemas that produce nothing: they end as their Workflows do."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from engines.base import WorkflowPhase, WorkflowStatus
from executions.models import Execution
from executions.outcomes import execution_to_failed, execution_to_succeeded
from executions.services import execution_create, execution_stop
from runs.models import WorkflowRun
from runs.services import run_observe, run_vanish
from schemas.models import Schema
from tests.executions.conftest import CENTRAL, TRAINING, elements, multipart, training_document, training_files

URL = "/api/executions/"
NOTHING: dict[str, Any] = {"input_elements": {}, "ai_elements": {"ai_engines": []}, "output_elements": {}}
PLAIN: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "spec": {
        "entrypoint": "main",
        "templates": [
            {
                "name": "main",
                "nodeSelector": CENTRAL,
                "container": {"image": "localhost:5000/processor-resource-manager:2.0.0", "args": ["x"]},
            }
        ],
    },
}


def store_schema(**outputs: bool) -> Schema:
    return Schema.objects.create(
        name="plain",
        type="individual",
        implementation="argo_workflows",
        manifest=PLAIN,
        **elements({**NOTHING, "output_elements": outputs}),
    )


@pytest.fixture
def schema(db: None) -> Schema:
    return store_schema()


@pytest.fixture
def plain(schema: Schema) -> Execution:
    return execution_create(document={"schema": "plain"}, files={})


def observed(execution: Execution, phase: WorkflowPhase, message: str = "", version: str = "1") -> Execution:
    run = WorkflowRun.objects.latest("attempt")
    run_observe(run_id=run.pk, status=WorkflowStatus(run.name, phase, message, version=version))
    execution.refresh_from_db()
    return execution


def test_a_plain_workflow_needs_nothing_but_the_schemas_name(api: APIClient, schema: Schema) -> None:
    response = api.post(URL, {"schema": "plain"}, format="json")

    assert response.status_code == 201, response.content
    assert response.json()["ai_elements"] == {"ai_engines": []}
    assert WorkflowRun.objects.get().phase == "queued"


def test_elements_may_be_posted_empty(api: APIClient, schema: Schema) -> None:
    document = {"schema": "plain", "input_elements": {}, "ai_elements": {"ai_engines": []}, "output_elements": {}}

    assert api.post(URL, multipart(document)).status_code == 201


def test_ai_engines_that_the_schema_does_not_have_are_refused(api: APIClient, schema: Schema) -> None:
    document = {"schema": "plain", "ai_elements": {"ai_engines": [{"descriptor": "main-ai-engine", "version": 1}]}}

    errors = api.post(URL, multipart(document, training_files())).json()["errors"]

    assert {error["pointer"] for error in errors} == {
        "/data/ai_elements/ai_engines/0/descriptor",
        "/files/main-ai-engine_version_user_vars",
    }


def test_it_runs_and_succeeds_as_its_workflow_does(plain: Execution) -> None:
    assert observed(plain, WorkflowPhase.PENDING).state == "pending"
    assert observed(plain, WorkflowPhase.RUNNING, version="2").state == "running"

    ended = observed(plain, WorkflowPhase.SUCCEEDED, version="3")

    assert (ended.state, ended.reason, ended.message) == ("succeeded", "", "")


def test_it_fails_as_its_workflow_does(plain: Execution) -> None:
    ended = observed(plain, WorkflowPhase.FAILED, "exit code 3")

    assert (ended.state, ended.reason, ended.message) == ("failed", "engine", "exit code 3")


def test_a_workflow_that_vanished_has_not_succeeded(plain: Execution) -> None:
    observed(plain, WorkflowPhase.RUNNING)
    run_vanish(run_id=WorkflowRun.objects.get().pk)
    plain.refresh_from_db()

    assert (plain.state, plain.reason) == ("failed", "lost")


def test_one_that_was_stopped_stays_stopped(plain: Execution) -> None:
    observed(plain, WorkflowPhase.RUNNING)
    execution_stop(execution_id=plain.pk)

    assert observed(plain, WorkflowPhase.SUCCEEDED, version="2").reason == "stopped"


def test_a_plain_workflow_may_call_back_itself(plain: Execution) -> None:
    execution_to_failed(execution_id=plain.pk, document={"message": "no data"})

    assert observed(plain, WorkflowPhase.SUCCEEDED).message == "no data"


def test_its_answer_shows_what_it_produced(api: APIClient, plain: Execution) -> None:
    observed(plain, WorkflowPhase.SUCCEEDED)

    answer = api.get(f"{URL}{plain.pk}/").json()

    assert (answer["state"], answer["output_elements"]) == ({"status": "succeeded"}, {})


def test_ai_engines_that_produce_nothing_succeed_with_their_workflow(make_schema: Any) -> None:
    make_schema("training", {**TRAINING, "output_elements": {}})
    document = training_document()
    del document["output_elements"]
    execution = execution_create(document=document, files=training_files())

    # What drives an AI engine says itself when it begins.
    assert observed(execution, WorkflowPhase.RUNNING).state == "pending"
    assert observed(execution, WorkflowPhase.SUCCEEDED, version="2").state == "succeeded"


def test_a_workflow_that_is_to_produce_something_must_report_it(db: None) -> None:
    store_schema(generic_file=True)
    silent, reporting = (execution_create(document={"schema": "plain"}, files={}) for _ in range(2))
    execution_to_succeeded(execution_id=reporting.pk, document={"generic_file": {"generic_file": 1}})

    for run in WorkflowRun.objects.all():
        run_observe(run_id=run.pk, status=WorkflowStatus(run.name, WorkflowPhase.SUCCEEDED, version="1"))

    silent.refresh_from_db()
    reporting.refresh_from_db()
    assert (silent.state, silent.reason) == ("failed", "engine")
    assert reporting.state == "succeeded"


def test_the_admin_shows_a_plain_workflow(admin_client: Any, plain: Execution) -> None:
    schema = plain.schema

    assert admin_client.get(f"/admin/schemas/schema/{schema.pk}/change/").status_code == 200
    assert admin_client.get("/admin/schemas/schema/").status_code == 200
    assert admin_client.get(f"/admin/executions/execution/{plain.pk}/change/").status_code == 200

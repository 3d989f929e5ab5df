"""Who may call back, and in which form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from rest_framework.test import APIClient

from executions.models import Execution
from executions.owner import ExecutionOwner
from executions.services import execution_create
from runs.models import WorkflowRun
from runs.services import run_stop
from tests.executions.conftest import body, training_document, training_files
from web.grants import WorkflowGrant

CAPTURE = json.loads((Path(__file__).parents[1] / "fixtures/captures/step-runner.json").read_text())
READS = [
    "download_user_vars/?descriptor=main-ai-engine",
    "retrieve_data_partner_information/?data_partner=data-partner-1",
]
FAILED = ("update_to_failed/", {"message": "x"})


def client_with(grant: WorkflowGrant | None) -> APIClient:
    client = APIClient()
    if grant is not None:
        client.force_authenticate(AnonymousUser(), token=grant)  # type: ignore[arg-type]
    return client


def workflow(execution: Execution, attempt: int = 1) -> APIClient:
    return client_with(WorkflowGrant("execution", execution.pk, attempt, "its-name"))


def url(execution: Execution, rest: str) -> str:
    return f"/api/executions/{execution.pk}/{rest}"


@pytest.mark.parametrize("rest", READS)
def test_a_workflow_reads_its_own_execution(training: Execution, rest: str) -> None:
    response = workflow(training).get(url(training, rest))

    assert response.status_code == 200
    assert body(response)


def test_a_workflow_reports_its_own_state(training: Execution) -> None:
    client = workflow(training)

    assert client.patch(url(training, "update_to_running/"), {}, format="json").status_code == 200
    assert client.patch(url(training, FAILED[0]), FAILED[1], format="json").status_code == 200


@pytest.mark.parametrize("rest", READS)
def test_a_workflow_reads_no_other_execution(training: Execution, rest: str) -> None:
    other = execution_create(document=training_document(), files=training_files())

    assert workflow(other).get(url(training, rest)).status_code == 403


@pytest.mark.parametrize("rest", ["update_to_running/", "update_to_failed/", "update_to_succeeded/"])
@pytest.mark.parametrize("attempt", [0, 2])
def test_only_the_present_attempt_speaks(training: Execution, rest: str, attempt: int) -> None:
    client = workflow(training, attempt=attempt)

    assert client.patch(url(training, rest), {}, format="json").status_code == 403
    training.refresh_from_db()
    assert training.state == "pending"


def test_a_workflow_does_nothing_else(training: Execution) -> None:
    client = workflow(training)

    assert client.get("/api/executions/").status_code == 403
    assert client.get(url(training, "")).status_code == 403
    assert client.post("/api/executions/", {}).status_code == 403
    assert client.delete(url(training, "")).status_code == 403
    assert client.post(url(training, "stop/")).status_code == 403


def test_a_workflow_whose_execution_is_gone_is_told(training: Execution) -> None:
    client = workflow(training)
    gone = url(training, "update_to_running/")
    Execution.objects.all().delete()

    assert client.patch(gone, {}, format="json").status_code == 404


@pytest.mark.parametrize("rest", ["", *READS, "download_external_data/"])
def test_strangers_read_nothing(training: Execution, rest: str) -> None:
    assert client_with(None).get(url(training, rest)).status_code == 401


def test_strangers_report_nothing(training: Execution) -> None:
    assert client_with(None).patch(url(training, FAILED[0]), FAILED[1], format="json").status_code == 401


def test_open_callbacks_need_no_token(training: Execution, settings: Any) -> None:
    settings.WORKFLOW_CALLBACKS_OPEN = True
    client = client_with(None)

    assert body(client.get(url(training, READS[0]))) == b'{"epochs": 3}'
    assert client.patch(url(training, FAILED[0]), FAILED[1], format="json").status_code == 200


def test_open_callbacks_open_nothing_else(training: Execution, settings: Any) -> None:
    settings.WORKFLOW_CALLBACKS_OPEN = True
    client = client_with(None)

    assert client.get("/api/executions/").status_code == 401
    assert client.get(url(training, "")).status_code == 401
    assert client.delete(url(training, "")).status_code == 401
    assert client.post(url(training, "stop/")).status_code == 401


@pytest.mark.parametrize(("kind", "further"), [("execution", 1), ("task", 0)])
def test_open_callbacks_still_hold_a_token_to_its_owner(
    training: Execution, settings: Any, kind: str, further: int
) -> None:
    settings.WORKFLOW_CALLBACKS_OPEN = True
    client = client_with(WorkflowGrant(kind, training.pk + further, 1, "another"))

    assert client.patch(url(training, FAILED[0]), FAILED[1], format="json").status_code == 403


def test_the_token_in_the_secret_opens_the_execution_until_its_workflow_has_ended(training: Execution) -> None:
    run = WorkflowRun.objects.get()
    [secret] = ExecutionOwner().prepare(run).secrets.values()
    client = APIClient(headers={"authorization": f"Bearer {secret['main']}"})

    assert client.patch(url(training, "update_to_running/"), {}, format="json").status_code == 200
    assert client.get("/api/executions/").status_code == 403
    run_stop(run_id=run.pk)
    assert client.patch(url(training, "update_to_running/"), {}, format="json").status_code == 401


def raw_part(value: str) -> tuple[bytes, str]:
    """Return a multipart body as the recorded step runner makes it: one part `data` without a content type."""
    lines = ["--b", 'Content-Disposition: form-data; name="data"', "", value, "--b--", ""]
    return "\r\n".join(lines).encode(), "multipart/form-data; boundary=b"


def test_the_recorded_step_runners_calls_are_answered(training: Execution) -> None:
    client = workflow(training)

    for call in CAPTURE:
        if not call["path"].startswith("/api/executions/7/") or "generic_file" in str(call.get("parts")):
            continue
        path = call["path"].replace("/7/", f"/{training.pk}/")
        if call["method"] == "PATCH":
            content, content_type = raw_part(call["parts"][0]["value"])
            response = client.generic("PATCH", path, content, content_type=content_type)
        else:
            response = client.generic(call["method"], path)
        body(response)
        assert response.status_code == (400 if "external_data" in path else 200), path

    training.refresh_from_db()
    assert training.state == "running"


def test_the_recorded_success_is_taken(make_schema: Any) -> None:
    schema = make_schema()
    schema.output_elements["generic_file"] = True
    schema.save()
    execution = execution_create(document=training_document(), files=training_files())
    [call] = [call for call in CAPTURE if "update_to_succeeded" in call["path"]]
    content, content_type = raw_part(call["parts"][0]["value"])

    response = workflow(execution).generic(
        "PATCH", url(execution, "update_to_succeeded/"), content, content_type=content_type
    )

    assert response.status_code == 200
    assert response.json()["state"] == {"status": "succeeded"}


@pytest.mark.parametrize("verb", ["update_to_running/", "update_to_failed/", "update_to_succeeded/"])
@pytest.mark.parametrize("value", ["", "[]", "not JSON", '{"color": "red"}'])
def test_bad_callbacks_change_nothing(training: Execution, verb: str, value: str) -> None:
    content, content_type = raw_part(value)

    response = workflow(training).generic("PATCH", url(training, verb), content, content_type=content_type)

    assert response.status_code == 400
    training.refresh_from_db()
    assert training.state == "pending"


def test_files_have_no_place_in_a_callback(training: Execution) -> None:
    parts = {"data": "{}", **training_files()}

    response = workflow(training).patch(url(training, "update_to_running/"), parts)

    assert response.status_code == 400


def test_an_ended_execution_says_why_it_does_not_move(api: APIClient, training: Execution) -> None:
    api.patch(url(training, FAILED[0]), FAILED[1], format="json")

    response = api.patch(url(training, "update_to_running/"), {}, format="json")

    assert response.status_code == 400
    assert response.json()["code"] == "not-allowed-in-state"

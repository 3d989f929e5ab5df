"""What becomes of an execution when a step of its Workflow fails for good while others go on."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from engines.base import WorkflowPhase, WorkflowStatus
from executions.models import Execution, FederatedProgress
from executions.owner import ExecutionOwner
from executions.services import execution_create
from federated.models import ChannelMessage
from federated.services import channel_close
from runs.models import WorkflowRun
from runs.services import run_observe
from templates.shipped import shipped_schemas
from tests.executions.conftest import FEDERATED, federated_document, training_files

SHIPPED = {schema.name: schema for schema in shipped_schemas()}["training-from-scratch-federated-learning"]
DIED = "main: OOMKilled (exit code 137)"


def node(name: str, template: str, phase: str, *, kind: str = "Pod", partner: str = "", **more: Any) -> dict[str, Any]:
    inputs = {"parameters": [{"name": "data_partner", "value": partner}]} if partner else {}
    found = {"id": name, "name": f"wf.{name}", "displayName": name, "type": kind, "templateName": template}
    return {**found, "phase": phase, "inputs": inputs, **more}


CLIENT = node("client(0)", "client", "Running", partner="data-partner-1")


@pytest.fixture
def run(make_schema: Any) -> WorkflowRun:
    """The run of a federated training, with its channel open and its Workflow under way."""
    make_schema("federated", FEDERATED, manifest=yaml.safe_load(SHIPPED.manifest_yaml))
    execution_create(document=federated_document(), files=training_files())
    run = WorkflowRun.objects.get()
    ExecutionOwner().prepare(run)
    return run


def observed(run: WorkflowRun, *nodes: dict[str, Any]) -> WorkflowRun:
    status = WorkflowStatus(run.name, WorkflowPhase.RUNNING, nodes={each["id"]: each for each in nodes}, version="1")
    run_observe(run_id=run.pk, status=status)
    return WorkflowRun.objects.get()


def test_an_execution_fails_when_its_server_is_gone_and_the_clients_are_told_why(run: WorkflowRun) -> None:
    run = observed(run, node("server", "server", "Failed", kind="Retry", message=DIED), CLIENT)
    assert run.tend_at is not None

    for _ in range(2):
        ExecutionOwner().steps_failed(run, [])

    execution = Execution.objects.get()
    assert (execution.state, execution.reason) == ("failed", "engine")
    assert execution.message.startswith(f"The server of the federated training has ended. server: {DIED}")
    [message] = ChannelMessage.objects.all()
    assert (message.topic, message.size, message.key) == ("models_to_clients", None, message.channel_id)
    assert message.headers["message_name"] == "start_iteration"
    assert message.headers["failure_reason"] == execution.message
    run.refresh_from_db()
    assert run.wind_up_at is not None
    assert run.stop_requested_at is None


def test_a_server_that_is_tried_again_is_not_gone(run: WorkflowRun) -> None:
    retry = node("server", "server", "Running", kind="Retry", children=["server(0)"])
    run = observed(run, retry, node("server(0)", "server", "Failed", message=DIED), CLIENT)

    ExecutionOwner().steps_failed(run, [])

    assert Execution.objects.get().state == "pending"
    assert not ChannelMessage.objects.exists()


def test_a_client_that_is_gone_without_a_word_is_a_client_that_failed(run: WorkflowRun) -> None:
    gone = {**CLIENT, "phase": "Failed", "message": DIED}
    run = observed(run, node("server", "server", "Running"), gone)

    ExecutionOwner().steps_failed(run, [])

    execution = Execution.objects.get()
    assert execution.state == "failed"
    assert execution.message.startswith(f"data-partner-1: client(0): {DIED}")


def test_a_training_that_goes_on_without_some_goes_on(run: WorkflowRun) -> None:
    options = {"on_missing_clients": "continue", "minimum_clients": 1}
    Execution.objects.update(federated_options=options)
    run = observed(run, node("server", "server", "Running"), {**CLIENT, "phase": "Failed", "message": DIED})

    ExecutionOwner().steps_failed(run, [])

    assert Execution.objects.get().state == "pending"
    told = FederatedProgress.objects.get()
    assert (told.partner, told.step) == ("data-partner-1", "failed")
    assert DIED in told.message


def test_what_a_client_has_told_itself_stays(run: WorkflowRun) -> None:
    Execution.objects.update(federated_options={"on_missing_clients": "continue", "minimum_clients": 1})
    execution = Execution.objects.get()
    FederatedProgress.objects.create(
        execution=execution, attempt=1, partner="data-partner-1", round=1, step="failed", message="no data"
    )
    run = observed(run, node("server", "server", "Running"), {**CLIENT, "phase": "Failed", "message": DIED})

    ExecutionOwner().steps_failed(run, [])

    assert FederatedProgress.objects.get().message == "no data"


def test_an_execution_fails_with_a_pod_that_nobody_can_end(training: Execution) -> None:
    run = observed(WorkflowRun.objects.get(), node("train", "training", "Running", message=""))

    ExecutionOwner().steps_failed(run, ["train"])

    assert Execution.objects.get().state == "failed"
    run.refresh_from_db()
    assert run.wind_up_at is not None


def test_an_execution_that_has_succeeded_stays_as_it_is(run: WorkflowRun) -> None:
    Execution.objects.update(state="succeeded")
    run = observed(run, node("server", "server", "Failed", message=DIED), CLIENT)

    ExecutionOwner().steps_failed(run, [])

    assert Execution.objects.get().state == "succeeded"
    assert not ChannelMessage.objects.exists()


def test_a_channel_that_is_closed_has_nobody_to_tell(run: WorkflowRun) -> None:
    given = {each["name"]: each.get("value") for each in run.manifest["spec"]["arguments"]["parameters"]}
    channel_close(given["execution_communicationAdapterId"])
    run = observed(run, node("server", "server", "Failed", message=DIED), CLIENT)

    ExecutionOwner().steps_failed(run, [])

    assert Execution.objects.get().state == "failed"


def test_a_reason_of_any_length_and_script_is_told(run: WorkflowRun) -> None:
    run = observed(run, node("server", "server", "Failed", message="🫀\n" * 20_000), CLIENT)

    ExecutionOwner().steps_failed(run, [])

    reason = ChannelMessage.objects.get().headers["failure_reason"]
    assert len(reason) <= 1000
    assert "\n" not in json.loads(json.dumps(reason))

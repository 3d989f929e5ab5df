"""Data partners that are waited for."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from engines.base import ClusterNode, WorkflowPhase, WorkflowStatus
from executions.models import Execution
from executions.owner import ExecutionOwner
from executions.partners import AwaitedPartner, awaited_partners, waiting_words
from executions.services import execution_create, execution_stop
from runs.explanations import run_stranded_explained, run_waiting_explained
from runs.inventory import nodes_written
from runs.models import WorkflowRun
from runs.readiness import Readiness
from runs.services import run_observe
from tests.executions.conftest import FEDERATED, federated_document, multipart, training_document, training_files

URL = "/api/executions/"
CENTRAL = ClusterNode("central", {"nodeType": "central"})
RUNNING = {"a": {"type": "Pod", "phase": "Running", "displayName": "train"}}
POINTER = "/data/input_elements/platform_data/data_partners_patients/data-partner-1"


def partner(number: int, ready: bool = True, message: str = "") -> ClusterNode:
    return ClusterNode(f"node-{number}", {"dataPartner": f"data-partner-{number}"}, ready, message)


def known(*nodes: ClusterNode, engine: str = "local") -> None:
    nodes_written(engine=engine, nodes=nodes)


@pytest.mark.parametrize(
    ("readiness", "awaited"),
    [
        (None, []),
        ({"a": Readiness(True), "b": Readiness(True, ("b-2: down",))}, []),
        ({"a": Readiness(True)}, [AwaitedPartner("b", "it has no cluster node")]),
        (
            {"a": Readiness(True), "b": Readiness(False, ("b-1: down", "b-2"))},
            [AwaitedPartner("b", "none of its cluster nodes is ready (b-1: down; b-2)")],
        ),
    ],
)
def test_those_without_a_ready_node_are_awaited(readiness: Any, awaited: Any) -> None:
    assert awaited_partners(["a", "b"], readiness) == awaited


def test_words_name_everybody() -> None:
    assert waiting_words([]) == ""
    assert waiting_words([AwaitedPartner("a", "it has no cluster node"), AwaitedPartner("b", "x")]) == (
        "The execution waits for a (it has no cluster node) and b (x)."
    )


def test_an_execution_for_a_partner_without_a_ready_node_is_accepted_with_a_warning(
    api: APIClient, make_schema: Any
) -> None:
    make_schema()
    known(CENTRAL, partner(1, ready=False, message="Kubelet stopped posting node status."), partner(2))

    response = api.post(URL, multipart(training_document(), training_files()))

    [warning] = response.json()["warnings"]
    assert response.status_code == 201
    assert warning["pointer"] == POINTER
    assert "none of its cluster nodes is ready (node-1: Kubelet stopped posting node status.)" in warning["detail"]
    assert response.json()["state"] == {
        "status": "pending",
        "message": "The execution waits for data-partner-1 (none of its cluster nodes is ready"
        " (node-1: Kubelet stopped posting node status.)).",
    }
    assert api.get(response["Location"]).json()["warnings"] == [warning]
    assert api.get(URL).json()["results"][0]["warnings"] == [warning]


def test_each_partner_of_a_federated_training_is_warned_about(api: APIClient, make_schema: Any) -> None:
    make_schema("federated", FEDERATED)
    known(CENTRAL, partner(1, ready=False))

    warnings = api.post(URL, multipart(federated_document(), training_files())).json()["warnings"]

    assert [each["pointer"] for each in warnings] == [POINTER, POINTER.replace("-1", "-2")]


@pytest.mark.parametrize("engine", ["local", "another"])
def test_nobody_is_warned_without_cause(api: APIClient, make_schema: Any, engine: str) -> None:
    make_schema()
    # Of an engine that never told of a node nothing is known, however little others have.
    known(*([partner(1)] if engine == "local" else [CENTRAL]), engine=engine)

    answer = api.post(URL, multipart(training_document(), training_files())).json()

    assert (answer["warnings"], answer["state"]) == ([], {"status": "pending"})


def test_what_has_ended_waits_for_nobody(api: APIClient, training: Execution) -> None:
    known(CENTRAL)
    execution_stop(execution_id=training.pk)

    answer = api.get(f"{URL}{training.pk}/").json()

    assert answer["warnings"] == []
    assert answer["state"]["message"] == "Stopped on request."


def test_what_its_run_says_it_waits_for_is_the_executions_message(api: APIClient, training: Execution) -> None:
    run = WorkflowRun.objects.get()
    run_observe(run_id=run.pk, status=WorkflowStatus(run.name, WorkflowPhase.PENDING, version="1"))

    run_waiting_explained(run_id=run.pk, message="0/3 nodes are available.")

    assert api.get(f"{URL}{training.pk}/").json()["state"] == {
        "status": "pending",
        "message": "0/3 nodes are available.",
    }


def test_that_its_running_workflow_lost_a_cluster_node_is_the_executions_message(
    api: APIClient, training: Execution
) -> None:
    known(CENTRAL, partner(1), partner(2))
    run = WorkflowRun.objects.get()
    run_observe(run_id=run.pk, status=WorkflowStatus(run.name, WorkflowPhase.RUNNING, version="1", nodes=RUNNING))
    lost = "train: the cluster node node-1 is not ready: Kubelet stopped posting node status."

    run_stranded_explained(run_id=run.pk, message=lost)

    assert api.get(f"{URL}{training.pk}/").json()["state"] == {"status": "pending", "message": lost}


def test_a_run_is_told_whom_it_waits_for(training: Execution) -> None:
    known(CENTRAL)

    assert (
        ExecutionOwner().waits_for(WorkflowRun.objects.get())
        == "The execution waits for data-partner-1 (it has no cluster node)."
    )


def test_a_list_asks_no_more_the_longer_it_is(api: APIClient, training: Execution) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert api.get(URL).status_code == 200
        return len(captured)

    known(CENTRAL)
    few = queries()
    for _ in range(5):
        execution_create(document=training_document(), files=training_files())

    assert queries() == few

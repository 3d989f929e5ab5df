import json

import pytest

from engines.base import WorkflowPhase, WorkflowStatus
from runs.nodes import NodesEncoder, failure_message, in_tree_order, something_started, waited_for, waiting_message


def status(phase=WorkflowPhase.RUNNING, message="", **nodes):
    return WorkflowStatus("w", phase, message=message, nodes=nodes)


@pytest.mark.parametrize(
    ("status", "started"),
    [
        (status(WorkflowPhase.PENDING), False),
        (status(), False),
        (status(a={"type": "Steps", "phase": "Running"}), False),
        (status(a={"type": "Pod", "phase": "Pending"}), False),
        (status(a={"type": "Pod", "phase": "Pending"}, b={"type": "Pod", "phase": "Running"}), True),
        (status(a={"type": "Suspend", "phase": "Running"}), True),
        (status(WorkflowPhase.FAILED), True),
    ],
)
def test_a_workflow_has_started_when_a_node_does_something(status, started):
    assert something_started(status) is started


FAILED_POD = {"type": "Pod", "phase": "Failed", "displayName": "train", "finishedAt": "2", "message": "exit code 3"}
EARLIER_POD = {**FAILED_POD, "displayName": "load", "finishedAt": "1", "message": "exit code 1"}


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (status(WorkflowPhase.FAILED), "The Workflow ended as Failed."),
        (status(WorkflowPhase.ERROR, "invalid spec"), "invalid spec"),
        (status(WorkflowPhase.FAILED, a=FAILED_POD), "train: exit code 3"),
        (status(WorkflowPhase.FAILED, "exit code 3", a=FAILED_POD), "train: exit code 3"),
        (status(WorkflowPhase.FAILED, "child failed", a=FAILED_POD, b=EARLIER_POD), "child failed (load: exit code 1)"),
    ],
)
def test_a_failure_is_told_in_the_words_of_what_failed_first(status, message):
    assert failure_message(status) == message


def test_waiting_is_told_in_the_words_of_what_waits():
    nodes = {
        "a": {"phase": "Running", "message": "busy"},
        "b": {"phase": "Pending", "displayName": "train", "message": "no node matches"},
    }

    assert waiting_message(nodes) == "train: no node matches"
    assert waiting_message({}) == ""


def test_nodes_come_in_the_order_of_their_tree_each_once():
    nodes = {
        "lone": {"id": "lone"},
        "b": {"id": "b", "children": ["joined"]},
        "root": {"id": "root", "children": ["a", "b", "unknown"]},
        "joined": {"id": "joined"},
        "a": {"id": "a", "children": ["joined"]},
    }

    assert [(depth, node["id"]) for depth, node in in_tree_order(nodes)] == [
        (0, "lone"), (0, "root"), (1, "a"), (2, "joined"), (1, "b"),
    ]  # fmt: skip


def test_a_circle_of_nodes_and_a_very_deep_tree_come_to_an_end():
    circle = {"a": {"id": "a", "children": ["b"]}, "b": {"id": "b", "children": ["a"]}}
    deep = {str(n): {"id": str(n), "children": [str(n + 1)]} for n in range(5000)}

    assert [node["id"] for _, node in in_tree_order(circle)] == ["a", "b"]
    assert [depth for depth, _ in in_tree_order(deep)] == list(range(5000))


@pytest.mark.parametrize(
    ("said", "kept"),
    [("x\0y", "x\ufffdy"), ("\\u0000", "\\u0000"), ("\\\0\0", "\\\ufffd\ufffd"), ("plain", "plain")],
)
def test_what_a_database_cannot_hold_is_replaced(said, kept):
    text = json.dumps({"a": {"outputs": {"result": said, said: [1]}}}, cls=NodesEncoder)
    assert json.loads(text) == {"a": {"outputs": {"result": kept, kept: [1]}}}


@pytest.mark.parametrize(
    ("before", "after", "waited"),
    [
        ({"phase": "Pending", "message": "Unschedulable"}, {"phase": "Failed"}, "Unschedulable"),
        ({"phase": "Pending", "message": "Unschedulable"}, {"phase": "Succeeded"}, ""),
        ({"phase": "Running", "message": "PodInitializing"}, {"phase": "Failed"}, ""),
        ({"phase": "Pending"}, {"phase": "Error"}, ""),
    ],
)
def test_a_node_that_failed_unstarted_had_waited_for_something(before, after, waited):
    assert waited_for({"a": before}, {"a": after, "b": {"phase": "Failed"}}) == waited

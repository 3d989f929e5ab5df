"""What a real Argo did with a Workflow, the local engine does with it too.

Each file of `tests/fixtures/argo-recordings` is submitted as it is, all at once; where somebody stopped, resumed or
deleted the recorded Workflow while its pod ran, so does the test. Deadlines of 20 and 25 seconds are shortened to 5:
nothing else happens in them. In `pod-deleted` nobody deletes anything: a pod of this engine is no object beside its
Workflow. Argo took the deleted pod for a success, and as one it ends here, after a shorter sleep and without Argo's
word "pod deleted" at its node.
"""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engines.base import StopStrategy, Submission, WorkflowEvent
from engines.local import LocalEngine

RECORDINGS = Path(__file__).parents[2] / "fixtures" / "argo-recordings"
PATHS = {path.stem: path for path in sorted(RECORDINGS.glob("*.jsonl"))}
NAMES = [*PATHS]
DEADLINE_SECONDS = 5
PATIENCE_SECONDS = 60


def events_of(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in PATHS[name].read_text().splitlines()]


def manifest_of(name: str) -> dict[str, Any]:
    recorded = events_of(name)[0]["object"]
    spec = copy.deepcopy(recorded["spec"])
    for holder in (spec, *spec["templates"]):
        if "activeDeadlineSeconds" in holder:
            holder["activeDeadlineSeconds"] = DEADLINE_SECONDS
    if name == "pod-deleted":
        spec["templates"][0]["container"]["args"] = ["sleep 1"]
    metadata = {"name": name, "labels": recorded["metadata"]["labels"]}
    return {"apiVersion": recorded["apiVersion"], "kind": recorded["kind"], "metadata": metadata, "spec": spec}


@dataclass
class Seen:
    """What a watch saw of all Workflows, and what it did to them."""

    events: dict[str, list[WorkflowEvent]] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)


def act(engine: LocalEngine, event: WorkflowEvent, seen: Seen) -> None:
    """Do to a running Workflow what was done to the recorded one."""
    status = event.status
    if status.name in seen.done:
        return
    phases = {(node["type"], node["phase"]) for node in status.nodes.values()}
    if ("Pod", "Running") in phases:
        actions = {
            "stopped-with-exit-handler": lambda: engine.stop(status.name),
            "terminated": lambda: engine.stop(status.name, StopStrategy.TERMINATE),
            "deleted-while-running": lambda: engine.delete(status.name),
            "lost-pod-retried": lambda: [
                engine.end_pod(status.name, key)
                for key, node in status.nodes.items()
                if (node["type"], node["phase"]) == ("Pod", "Running")
            ],
        }
    else:
        actions = {"suspend-resumed": lambda: engine.resume(status.name)} if ("Suspend", "Running") in phases else {}
    if status.name in actions:
        seen.done.add(status.name)
        threading.Thread(target=actions[status.name]).start()


def is_complete(name: str, events: list[WorkflowEvent]) -> bool:
    deleted = events_of(name)[-1]["type"] == "DELETED"
    return events[-1].deleted if deleted else events[-1].status.phase.is_terminal


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    engine = LocalEngine("local", {"root": tmp_path_factory.mktemp("engine"), "nodes": [{"nodeType": "central"}]})
    found = Seen()
    for name in NAMES:
        engine.submit(Submission(name=name, manifest=manifest_of(name)))
    missing, until = set(NAMES), time.monotonic() + PATIENCE_SECONDS
    for event in engine.watch(timeout_seconds=PATIENCE_SECONDS):
        name = event.status.name
        found.events.setdefault(name, []).append(event)
        act(engine, event, found)
        if is_complete(name, found.events[name]):
            missing.discard(name)
        if not missing or time.monotonic() > until:
            break
    yield found
    for name in NAMES:
        engine.delete(name)


def shape(nodes: dict[str, Any]) -> dict[str, Any]:
    """Return what is compared of nodes: order of children is order of goroutines in Argo."""
    return {
        key: {
            "name": node["name"],
            "displayName": node["displayName"],
            "type": node["type"],
            "phase": node["phase"],
            "message": node.get("message"),
            "templateName": node.get("templateName"),
            "boundaryID": node.get("boundaryID"),
            "nodeFlag": node.get("nodeFlag"),
            "hostNodeName": node.get("hostNodeName"),
            "inputs": node.get("inputs"),
            "outputs": node.get("outputs"),
            "progress": node.get("progress"),
            "children": sorted(node.get("children", ())),
            "outboundNodes": sorted(node.get("outboundNodes", ())),
        }
        for key, node in nodes.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_ends_as_recorded(seen: Seen, name: str) -> None:
    recorded = events_of(name)[-1]
    expected, event = recorded["object"]["status"], seen.events[name][-1]

    assert event.status.phase == expected["phase"]
    assert event.status.message == expected.get("message", "")
    assert event.deleted == (recorded["type"] == "DELETED")


@pytest.mark.parametrize("name", NAMES)
def test_has_the_recorded_nodes(seen: Seen, name: str) -> None:
    expected = events_of(name)[-1]["object"]["status"]
    if name == "pod-deleted":
        del expected["nodes"][name]["message"]

    status = seen.events[name][-1].status

    assert shape(dict(status.nodes)) == shape(expected.get("nodes", {}))
    assert status.progress == expected["progress"]


def test_an_unschedulable_pod_says_why(seen: Seen) -> None:
    messages = {
        node.get("message") for event in seen.events["unschedulable-deadline"] for node in event.status.nodes.values()
    }

    expected = events_of("unschedulable-deadline")[2]["object"]["status"]["nodes"]["unschedulable-deadline"]
    assert expected["message"] in messages


def test_a_missing_image_is_told_while_pending(seen: Seen) -> None:
    nodes = [node for event in seen.events["image-missing-deadline"] for node in event.status.nodes.values()]

    pending = [node.get("message", "") for node in nodes if node["phase"] == "Pending"]
    assert any(message.startswith("ErrImagePull: ") and '"images"' in message for message in pending)

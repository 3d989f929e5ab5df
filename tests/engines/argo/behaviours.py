"""What the stand-in does to a Workflow: scripts of statuses, recorded from a real Argo or made up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).parents[2] / "fixtures/argo-recordings"
# A Workflow's own word on what shall become of it: one of `BEHAVIOURS`, or `recording:` and a recording's name.
BEHAVIOUR_ANNOTATION = "standin/behaviour"
BEHAVIOURS = ("succeed", "fail", "hold", "vanish", "expire")
TERMINAL = ("Succeeded", "Failed", "Error")

Object = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One change of a Workflow: the status that is written, or its deletion where there is none.

    `needs_shutdown` holds it back until somebody has asked the Workflow to shut down.
    """

    status: Object | None
    needs_shutdown: bool = False
    wait_seconds: float = 0.0


@dataclass(frozen=True)
class Pace:
    """How long each step takes, and how long what succeeded stays before it expires."""

    step_seconds: float = 0.05
    expiry_seconds: float = 5.0


def recordings() -> list[str]:
    """Return the names of all recordings."""
    return sorted(path.stem for path in RECORDINGS.glob("*.jsonl"))


@cache
def recording(name: str) -> tuple[Object, ...]:
    """Return the watch events of a recording."""
    return tuple(json.loads(line) for line in (RECORDINGS / f"{name}.jsonl").read_text().splitlines())


def steps_of(workflow: Object, pace: Pace) -> Iterator[Step]:
    """Return the script of a Workflow that has just begun."""
    behaviour = workflow["metadata"].get("annotations", {}).get(BEHAVIOUR_ANNOTATION, "succeed")
    if behaviour.startswith("recording:"):
        return _recorded(behaviour.removeprefix("recording:"), pace)
    assert behaviour in BEHAVIOURS, behaviour
    return _made_up(behaviour, workflow["metadata"]["name"], pace)


def _recorded(name: str, pace: Pace) -> Iterator[Step]:
    for event in recording(name)[1:]:
        found = event["object"]
        status = None if event["type"] == "DELETED" else found["status"]
        yield Step(status, needs_shutdown="shutdown" in found["spec"], wait_seconds=pace.step_seconds)


def _made_up(behaviour: str, name: str, pace: Pace) -> Iterator[Step]:
    yield Step(one_pod(name, "Running", "Pending"))
    yield Step(one_pod(name, "Running", "Running"), wait_seconds=pace.step_seconds)
    match behaviour:
        case "succeed":
            yield Step(one_pod(name, "Succeeded", "Succeeded"), wait_seconds=pace.step_seconds)
        case "expire":
            yield Step(one_pod(name, "Succeeded", "Succeeded"), wait_seconds=pace.step_seconds)
            yield Step(None, wait_seconds=pace.expiry_seconds)
        case "fail":
            message = "main: Error (exit code 7)"
            yield Step(one_pod(name, "Failed", "Failed", message), wait_seconds=pace.step_seconds)
        case "vanish":
            yield Step(None, wait_seconds=pace.expiry_seconds)


def suspended() -> Object:
    """Return the status of a Workflow that Argo has taken up and does not go on with: Running, without nodes."""
    return {"phase": "Running", "startedAt": _now(), "progress": "0/0", "nodes": {}}


def ended(status: Object, message: str) -> Object:
    """Return the status of a Workflow that ends as Failed where it stands."""
    nodes = {
        key: node
        if node["phase"] in TERMINAL
        else {**node, "phase": "Failed", "message": message, "finishedAt": _now()}
        for key, node in status.get("nodes", {}).items()
    }
    return {"startedAt": _now(), **status, "phase": "Failed", "message": message, "finishedAt": _now(), "nodes": nodes}


def one_pod(name: str, phase: str, pod_phase: str, message: str = "") -> Object:
    """Return the status of a Workflow of one container, as Argo writes it."""
    node = {
        "id": name,
        "name": name,
        "displayName": name,
        "type": "Pod",
        "templateName": "main",
        "templateScope": f"local/{name}",
        "phase": pod_phase,
        "progress": f"{int(pod_phase == 'Succeeded')}/1",
        "startedAt": _now(),
    }
    status: Object = {"phase": phase, "progress": node["progress"], "startedAt": _now()}
    if phase in TERMINAL:
        status["finishedAt"] = node["finishedAt"] = _now()
    if message:
        status["message"] = node["message"] = message
    return {**status, "nodes": {name: node}}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

from __future__ import annotations

import json
import time
from typing import Any

from engines.base import Submission, WorkflowPhase
from engines.local import LocalEngine
from tests.engines.local.harness import PATIENCE_SECONDS, run, shell, text, wait, workflow

TOLD = "/var/run/orchestrator/containers.json"
WAITS = f"until grep -q 7 {TOLD}; do sleep 0.05; done; cat {TOLD}"


def test_a_container_of_a_set_reads_how_another_ended(engine: LocalEngine) -> None:
    containers = [
        {"name": "main", **shell(f"cat {TOLD}; echo; {WAITS}")},
        {"name": "other", **shell("sleep 1; exit 7")},
    ]
    status = run(engine, "ends-set", workflow({"name": "main", "containerSet": {"containers": containers}}))

    assert status.phase is WorkflowPhase.FAILED
    told = [json.loads(line) for line in text(engine, "ends-set").splitlines()]
    assert told == [{"main": None, "other": None}, {"main": None, "other": 7}]


def test_nobody_writes_down_the_end_of_another(engine: LocalEngine) -> None:
    forged = f"echo 0 > {TOLD} || rm {TOLD} || mkdir /var/run/orchestrator/x || mv /var/run/orchestrator /tmp"
    containers = [{"name": "main", **shell(forged)}, {"name": "other", **shell("sleep 0.2")}]
    status = run(engine, "ends-forged", workflow({"name": "main", "containerSet": {"containers": containers}}))

    assert "main" in status.nodes["ends-forged"]["message"]
    assert "Read-only" in " ".join(line.text for line in engine.logs("ends-forged"))


def test_a_container_alone_is_told_of_nobody(engine: LocalEngine) -> None:
    run(
        engine, "ends-alone", workflow({"name": "main", "container": shell("ls /var/run/orchestrator || echo nothing")})
    )

    assert text(engine, "ends-alone") == "nothing"


def test_a_pod_is_ended_by_itself_and_tried_again_where_its_strategy_says_so(engine: LocalEngine) -> None:
    containers = [{"name": "main", **shell("sleep 60")}, {"name": "other", **shell("sleep 60")}]
    template = {
        "name": "pod",
        "containerSet": {"containers": containers},
        "retryStrategy": {"limit": 1, "retryPolicy": "OnError"},
    }
    steps = {"name": "main", "steps": [[{"name": "lost", "template": "pod"}, {"name": "kept", "template": "short"}]]}
    short = {"name": "short", "container": shell("sleep 3")}
    engine.submit(Submission("ends-pod", workflow(steps, template, short)))
    for attempt in ("lost(0)", "lost(1)"):
        pod = until_running(engine, "ends-pod", attempt)
        assert engine.end_pod("ends-pod", pod)

    status = wait(engine, "ends-pod")

    phases = {each["displayName"]: (each["phase"], each.get("message", "")) for each in status.nodes.values()}
    assert phases["lost(0)"] == phases["lost(1)"] == ("Error", "pod deleted")
    assert phases["kept"] == ("Succeeded", "")
    assert engine.end_pod("ends-pod", "ends-pod-1")


def test_the_end_of_a_container_is_told_while_the_others_go_on(engine: LocalEngine) -> None:
    containers = [{"name": "main", **shell("exit 9")}, {"name": "other", **shell("sleep 60")}]
    engine.submit(Submission("ends-told", workflow({"name": "main", "containerSet": {"containers": containers}})))

    until = time.monotonic() + PATIENCE_SECONDS
    while (main := container(engine, "ends-told", "main"))["phase"] != "Failed" and time.monotonic() < until:
        time.sleep(0.05)

    assert "exit code 9" in main["message"]
    assert container(engine, "ends-told", "other")["phase"] == "Running"
    engine.delete("ends-told")


def container(engine: LocalEngine, name: str, container: str) -> dict[str, Any]:
    nodes = engine.get(name).nodes.values()
    return next(
        (each for each in nodes if each["displayName"] == container and each["type"] == "Container"), {"phase": ""}
    )


def until_running(engine: LocalEngine, name: str, display: str) -> str:
    """Return the id of a pod's node once it runs."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        for node_id, each in engine.get(name).nodes.items():
            if each["displayName"] == display and each["phase"] == "Running":
                return node_id
        time.sleep(0.05)
    raise AssertionError(f"{display} does not run")

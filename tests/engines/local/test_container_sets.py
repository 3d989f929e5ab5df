"""What is told of the containers of a set, and what becomes of those that are left."""

from __future__ import annotations

import time
from typing import Any

import pytest

from engines.base import Submission
from engines.local import LocalEngine
from tests.engines.local.harness import PATIENCE_SECONDS, node, run, shell, wait, workflow


def container_set(*containers: dict[str, Any]) -> dict[str, Any]:
    return workflow({"name": "main", "containerSet": {"containers": list(containers)}})


def until_ended(engine: LocalEngine, name: str, container: str) -> dict[str, Any]:
    """Return the first nodes, by display name, in which a container has ended."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        found = {one["displayName"]: one for one in engine.get(name).nodes.values()}
        if found.get(container, {}).get("finishedAt"):
            return found
        time.sleep(0.02)
    raise AssertionError(f"{container} of {name} has not ended")


@pytest.mark.parametrize(
    ("name", "main", "message"),
    [
        ("set-exits", shell("exit 3"), "main: Error (exit code 3): "),
        (
            "set-no-program",
            {"image": "busybox", "command": ["no-such-program"]},
            'main: StartError (exit code 128): exec: "no-such-program": ',
        ),
    ],
)
def test_a_container_tells_its_end_while_another_runs(
    engine: LocalEngine, name: str, main: dict[str, Any], message: str
) -> None:
    manifest = container_set({"name": "main", **main}, {"name": "main-ai-engine", **shell("sleep 60")})
    engine.submit(Submission(name, manifest))

    nodes = until_ended(engine, name, "main")

    assert (nodes["main"]["phase"], nodes["main-ai-engine"]["phase"]) == ("Failed", "Running")
    assert nodes["main"]["message"].startswith(message)


def test_an_ai_engine_does_not_outlive_its_main(engine: LocalEngine) -> None:
    manifest = container_set(
        {"name": "main-ai-engine", **shell("sleep 3600")}, {"name": "main", **shell("sleep 0.2; exit 3")}
    )

    status = run(engine, "set-forsaken", manifest)

    assert (status.phase, status.message) == ("Failed", "main: Error (exit code 3)")


def test_main_may_outlive_an_ai_engine_that_failed(engine: LocalEngine) -> None:
    manifest = container_set(
        {"name": "main", **shell("sleep 3; exit 0")}, {"name": "main-ai-engine", **shell("exit 4")}
    )

    status = run(engine, "set-engine-fails", manifest)

    assert node(status, "main")["phase"] == "Succeeded"
    assert (status.phase, status.message) == ("Failed", "main-ai-engine: Error (exit code 4)")


def test_only_a_container_named_main_has_an_exit_code_for_the_pod(engine: LocalEngine) -> None:
    engine.submit(Submission("set-no-main", container_set({"name": "a", **shell("exit 2")})))

    status = wait(engine, "set-no-main")

    assert "exitCode" not in node(status, "set-no-main").get("outputs", {})

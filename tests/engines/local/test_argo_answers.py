"""What a live Argo 4.1.2 answered to small manifests, and the local engine answers too."""

from __future__ import annotations

from typing import Any

import pytest

from engines.base import WorkflowStatus
from engines.local import LocalEngine
from tests.engines.local.harness import node, parameters, run, shell, workflow

OK = {"name": "ok", "container": shell("true")}
BAD = {"name": "bad", "container": shell("false")}
SAY = {"name": "say", "inputs": parameters(x=None), "container": shell("echo {{inputs.parameters.x}}")}


def step(name: str, template: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "template": template, **more}


def steps(*groups: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"name": "main", "steps": list(groups), **more}


def dag(*tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "main", "dag": {"tasks": list(tasks), **more}}


def phases(status: WorkflowStatus) -> dict[str, str]:
    return {one["displayName"]: one["phase"] for one in status.nodes.values()}


NEEDS = {
    "name": "needs",
    "inputs": {"artifacts": [{"name": "in", "path": "/tmp/in"}]},
    "container": shell("true"),
}
NOWHERE = {"artifacts": [{"name": "in", "s3": {"key": "nowhere"}}]}


@pytest.mark.parametrize("held_by", ["parallelism", "mutex"])
def test_a_pod_that_waited_and_fails_at_its_start_ends_the_workflow(engine: LocalEngine, held_by: str) -> None:
    lock = {"synchronization": {"mutexes": [{"name": "argo-answers"}]}} if held_by == "mutex" else {}
    slow = {"name": "slow", "container": shell("sleep 0.5"), **lock}
    main = steps([step("a", "slow"), step("b", "needs", arguments=NOWHERE)])
    limit = {"parallelism": 1} if held_by == "parallelism" else {}

    status = run(engine, f"hangs-{held_by}", workflow(main, slow, {**NEEDS, **lock}, **limit))

    assert (status.phase, node(status, "b")["phase"]) == ("Failed", "Error")

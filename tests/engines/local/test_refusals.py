"""What the local engine says of a manifest before anything of it runs, with the place."""

from __future__ import annotations

from typing import Any

import pytest

from engines.local.refusals import refusals_of
from tests.engines.local.harness import parameters, shell, workflow

OK: dict[str, Any] = {"name": "ok", "container": shell("true")}


def task(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "template": "ok", **more}


def dag(*tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return workflow({"name": "main", "dag": {"tasks": list(tasks), **more}}, OK)


def steps(*group: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return workflow({"name": "main", "steps": [[task("first")], list(group)]}, OK, **spec)


@pytest.mark.parametrize(
    ("manifest", "pointer", "words"),
    [
        (dag(task("a", dependencies=["b"]), task("b", dependencies=["a"])), "/spec/templates/0/dag/tasks", "cycle"),
        (dag(task("a", depends="a.Succeeded")), "/spec/templates/0/dag/tasks", "cycle"),
        (
            dag(task("a"), task("b", depends="a && c.Failed")),
            "/spec/templates/0/dag/tasks/1",
            "dependency 'c' not defined",
        ),
        (dag(task("a"), task("b", depends="a &&")), "/spec/templates/0/dag/tasks/1/depends", "cannot be read"),
        (dag(task("a"), target="z"), "/spec/templates/0/dag/tasks", "target 'z' is not defined"),
        (steps(task("a", template="gone")), "/spec/templates/0/steps/1/0", "template name 'gone' undefined"),
        (steps(task("b"), task("b")), "/spec/templates/0/steps/1/1", "not unique"),
        (steps(task("b", when="1 +* 2 == 3")), "/spec/templates/0/steps/1/0/when", "Invalid 'when' expression"),
        (steps(task("b", when="{{=1 +}} == 3")), "/spec/templates/0/steps/1/0/when", "the expression"),
        (
            steps(task("b", arguments=parameters(x="{{steps.later.outputs.result}}"))),
            "/spec/templates/0/steps/1/0",
            "failed to resolve",
        ),
        (steps(task("b", hooks={"exit": {"template": "gone"}})), "/spec/templates/0/steps/1/0", "'gone' undefined"),
        (workflow(OK, entrypoint="gone"), "/spec", "template name 'gone' undefined"),
        (workflow(OK, onExit="gone"), "/spec", "template name 'gone' undefined"),
        (workflow({"name": "ok", "http": {"url": "http://x"}}), "/spec/templates/0/http", "is not supported"),
        (workflow({"name": "ok", "resource": {"action": "get"}}), "/spec/templates/0/resource", "is not supported"),
        (workflow({"name": "ok", "plugin": {}}), "/spec/templates/0/plugin", "is not supported"),
    ],
)
def test_each_with_its_place(manifest: dict[str, Any], pointer: str, words: str) -> None:
    ((found, detail),) = refusals_of(manifest)

    assert (found, words in detail) == (pointer, True), detail


def test_what_only_an_execution_knows_is_no_fault() -> None:
    say = {"name": "main", "inputs": parameters(a=None, b=None), "container": shell("echo {{workflow.parameters.c}}")}
    manifest = workflow(say, arguments=parameters(b=None))

    assert refusals_of(manifest, {"a", "c"}) == []
    assert refusals_of(manifest, {"a"})[0][0] == "/spec/templates/0"

"""What a live Argo 4.1.2 answered to small manifests, and the local engine answers too."""

from __future__ import annotations

from typing import Any

import pytest

from engines.base import WorkflowStatus
from engines.local import LocalEngine
from tests.engines.local.harness import node, parameters, run, shell, text, workflow

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


def test_an_exit_code_is_a_tag(engine: LocalEngine) -> None:
    fails = {"name": "fails", "container": shell("exit 3")}
    use = step("b", "say", arguments=parameters(x="{{steps.a.exitCode}}"))
    main = steps([step("a", "fails", continueOn={"failed": True})], [use])

    status = run(engine, "exit-code", workflow(main, fails, SAY))

    assert (status.phase, text(engine, "exit-code")) == ("Succeeded", "3")


def test_tags_of_metrics_need_no_values(engine: LocalEngine) -> None:
    metric = {"name": "r", "help": "h", "when": "{{status}} == Failed", "counter": {"value": "1"}}

    status = run(engine, "metrics", workflow({**OK, "metrics": {"prometheus": [metric]}}))

    assert status.phase == "Succeeded"


def test_the_path_of_an_output_is_a_tag(engine: LocalEngine) -> None:
    script = "echo 5 > {{outputs.parameters.n.path}}; echo x > {{outputs.artifacts.f.path}}"
    outputs = {
        "parameters": [{"name": "n", "valueFrom": {"path": "/tmp/n"}}],
        "artifacts": [{"name": "f", "path": "/tmp/{{workflow.name}}"}],
    }

    status = run(engine, "output-path", workflow({"name": "main", "outputs": outputs, "container": shell(script)}))

    found = node(status, "output-path")["outputs"]
    assert (found["parameters"][0]["value"], found["artifacts"][0]["path"]) == ("5", "/tmp/output-path")


def producer(**value: Any) -> dict[str, Any]:
    outputs = {"parameters": [{"name": "m", "valueFrom": {"path": "/tmp/o", **value}}]}
    return {"name": "p", "outputs": outputs, "container": shell("true")}


@pytest.mark.parametrize("prefix", ["tasks", "steps"])
@pytest.mark.parametrize(
    ("name", "value", "own", "said"),
    [("its", {"default": "hi"}, {}, "hi"), ("own", {}, {"default": "ho"}, "ho"), ("none", {}, {}, "")],
)
def test_what_follows_a_skipped_producer_gets_a_default(
    engine: LocalEngine, name: str, value: dict[str, str], own: dict[str, str], said: str, prefix: str
) -> None:
    consumer = {**SAY, "inputs": {"parameters": [{"name": "x", **own}]}}
    use = step("c", "say", arguments=parameters(x=f"{{{{{prefix}.p.outputs.parameters.m}}}}"))
    skipped = step("p", "p", when="false")
    if prefix == "steps":
        main = steps([skipped], [use])
    else:
        main = dag(skipped, {**use, "depends": "p.Succeeded || p.Skipped"})

    status = run(engine, f"default-{prefix}-{name}", workflow(main, producer(**value), consumer))

    assert text(engine, f"default-{prefix}-{name}") == said
    if not said:
        assert node(status, "c")["message"] == (
            "inputs.parameters.x: argument references an absent optional (skipped/omitted node output with no default)"
        )


def test_a_staged_script_is_executable(engine: LocalEngine) -> None:
    script = {"image": "alpine:3.23", "command": ["sh", "-c"], "source": "echo 1"}

    status = run(engine, "staged", workflow({"name": "main", "script": script}))

    assert (status.phase, text(engine, "staged")) == ("Succeeded", "1")


def test_a_skipped_node_has_the_name_of_its_template(engine: LocalEngine) -> None:
    status = run(engine, "skipped", workflow(steps([step("a", "ok", when="false")]), OK))

    assert (node(status, "a")["phase"], node(status, "a")["templateName"]) == ("Skipped", "ok")


def test_a_template_that_fails_fast_says_so(engine: LocalEngine) -> None:
    ends = {"name": "ends", "inputs": parameters(c=None), "container": shell("exit {{inputs.parameters.c}}")}
    loop = step("a", "ends", withItems=[0, 1, 0], arguments=parameters(c="{{item}}"))

    status = run(engine, "fail-fast", workflow(steps([loop], parallelism=1, failFast=True), ends))

    message = "template has failed or errored children and failFast enabled"
    assert (status.phase, status.message) == ("Failed", message)
    assert node(status, "[0]")["message"] == message
    assert "a(2:0)" not in phases(status)


@pytest.mark.parametrize("prefix", ["tasks", "steps"])
@pytest.mark.parametrize(
    ("name", "asked", "said"),
    [("result", "result", "all=[]"), ("all", "parameters", "all=[]"), ("one", "parameters.m", "all=[]")],
)
def test_a_loop_over_nothing_gives_empty_lists(
    engine: LocalEngine, prefix: str, name: str, asked: str, said: str
) -> None:
    loop = step("map", "p", withParam="null" if name == "all" else "[]")
    use = step("reduce", "say", arguments=parameters(x=f"all={{{{{prefix}.map.outputs.{asked}}}}}"))
    main = dag(loop, {**use, "depends": "map"}) if prefix == "tasks" else steps([loop], [use])

    status = run(engine, f"empty-{prefix}-{name}", workflow(main, producer(), SAY))

    assert (status.phase, text(engine, f"empty-{prefix}-{name}")) == ("Succeeded", said)


def test_half_a_character_in_an_item_is_replaced(engine: LocalEngine) -> None:
    generate = {
        "name": "gen",
        "script": {"image": "python", "command": ["python3"], "source": "print('[\"\\\\ud83d\"]')"},
    }
    loop = step("work", "say", withParam="{{steps.gen.outputs.result}}", arguments=parameters(x="{{item}}"))

    status = run(engine, "surrogate", workflow(steps([step("gen", "gen")], [loop]), generate, SAY))

    assert (status.phase, text(engine, "surrogate").split("\n")[-1]) == ("Succeeded", "\N{REPLACEMENT CHARACTER}")


def test_the_exit_handler_knows_how_long_it_took(engine: LocalEngine) -> None:
    slow = {"name": "main", "container": shell("sleep 1.2")}
    bye = {"name": "bye", "container": shell("echo {{workflow.duration}}")}

    run(engine, "duration", workflow(slow, bye, onExit="bye"))

    assert 1.2 <= float(text(engine, "duration")) < 60


def test_an_attempt_knows_how_long_the_last_one_took(engine: LocalEngine) -> None:
    script = "echo {{lastRetry.duration}}; sleep 1.1; exit 1"
    again = {"name": "main", "retryStrategy": {"limit": "1"}, "container": shell(script)}

    run(engine, "last-duration", workflow(again))

    assert text(engine, "last-duration").split("\n")[-1] in ("1", "2")


def test_a_pipe_in_an_artifact_is_passed_over(engine: LocalEngine) -> None:
    make = {
        "name": "make",
        "outputs": {"artifacts": [{"name": "a", "path": "/tmp/out"}]},
        "container": shell("mkdir /tmp/out; echo hi > /tmp/out/f; mkfifo /tmp/out/pipe"),
    }

    status = run(engine, "pipe", workflow(make))

    assert (status.phase, len(node(status, "pipe")["outputs"]["artifacts"])) == ("Succeeded", 1)


def test_a_folder_stored_as_it_is_is_read_by_key(engine: LocalEngine) -> None:
    write = {
        "name": "write",
        "outputs": {"artifacts": [{"name": "d", "path": "/tmp/d", "archive": {"none": {}}, "s3": {"key": "m/parts/"}}]},
        "container": shell("mkdir /tmp/d; echo 1 > /tmp/d/x.json"),
    }
    read = {
        "name": "read",
        "inputs": {"artifacts": [{"name": "f", "path": "/tmp/f", "s3": {"key": "m/parts/x.json"}}]},
        "container": shell("cat /tmp/f"),
    }

    status = run(engine, "key-dir", workflow(steps([step("a", "write")], [step("b", "read")]), write, read))

    assert (status.phase, text(engine, "key-dir")) == ("Succeeded", "1")


LONG = 700_000


@pytest.mark.parametrize(
    ("name", "written", "size"),
    [
        ("parameter", f"head -c {LONG} /dev/zero | tr '\\0' x > /tmp/o", LONG),
        ("result", f"head -c {LONG} /dev/zero | tr '\\0' x", LONG),
    ],
)
def test_a_long_output_is_whole(engine: LocalEngine, name: str, written: str, size: int) -> None:
    make = {"name": "p", "container": shell(written)}
    if name == "parameter":
        make |= {"outputs": {"parameters": [{"name": "m", "valueFrom": {"path": "/tmp/o"}}]}}
    asked = "{{steps.a.outputs.result}}" if name == "result" else "{{steps.a.outputs.parameters.m}}"
    outputs = {"parameters": [{"name": "o", "valueFrom": {"parameter": asked}}]}

    status = run(engine, f"long-{name}", workflow(steps([step("a", "p")], outputs=outputs), make))

    assert len(node(status, f"long-{name}")["outputs"]["parameters"][0]["value"]) == size


@pytest.mark.parametrize("name", ["parameter", "result"])
def test_an_output_that_is_too_long_is_refused_with_its_name(engine: LocalEngine, name: str) -> None:
    written = "head -c 1100000 /dev/zero | tr '\\0' x"
    make = {"name": "p", "container": shell(f"{written} > /tmp/o" if name == "parameter" else written)}
    if name == "parameter":
        make |= {"outputs": {"parameters": [{"name": "m", "valueFrom": {"path": "/tmp/o"}}]}}
    use = step("b", "say", arguments=parameters(x="{{steps.a.outputs.result}}" if name == "result" else "x"))

    status = run(engine, f"too-long-{name}", workflow(steps([step("a", "p")], [use]), make, SAY))

    said = node(status, "a")["message"]
    assert node(status, "a")["phase"] == "Error"
    assert said.startswith(
        "failed to save outputs: "
        + ("parameter m: /tmp/o is larger" if name == "parameter" else "result: the standard output is larger")
    )
    assert "1048576 bytes" in said

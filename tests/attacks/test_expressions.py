"""Expressions come from whoever writes a manifest: they must hold up nobody, reach nothing and hide nothing."""

from __future__ import annotations

from typing import Any

import pytest

from engines.local import LocalEngine
from engines.local.refusals import refusals_of
from policy.check import judge
from policy.rules import Grant, Policy
from tests.cpu_time import cpu_seconds_below
from tests.engines.local.harness import parameters, run, shell, text, workflow

GENEROUS_SECONDS = 30


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> LocalEngine:
    return LocalEngine("local", {"root": tmp_path_factory.mktemp("engine")})


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        ("many", {"count": "9" * 12}),
        ("many-down", {"start": "0", "end": "-" + "9" * 12}),
        ("wide", {"count": "1", "format": "%0999999999d"}),
    ],
)
def test_no_sequence_fills_the_memory(engine: LocalEngine, name: str, sequence: dict[str, str]) -> None:
    step = {"name": "a", "template": "say", "withSequence": sequence}
    say = {"name": "say", "container": shell("true")}

    status = run(engine, f"sequence-{name}", workflow({"name": "main", "steps": [[step]]}, say))

    assert (status.phase, len(status.nodes)) == ("Failed", 2)
    assert "withSequence" in status.message


def saying(what: str, **spec: Any) -> dict[str, Any]:
    return workflow({"name": "main", "container": shell(f"echo '{what}'")}, **spec)


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("huge-text", 'repeat(repeat("a", 100000), 100000)'),
        ("huge-range", "len(1..9000000000000000000)"),
        ("product", "len(map(1..100000, map(1..100000, #)))"),
        ("doubling", 'reduce(1..200, #acc + #acc, "a")'),
        ("pattern", 'repeat("a", 60000) matches "^(a|aa)+$b"'),
        ("deep", "toJson(reduce(1..100000, [#acc], 0))"),
        ("indent", "toJson([1, [2]], 1000000000)"),
        ("layout", 'date("1", "2006-2006")'),
    ],
)
def test_none_of_them_holds_a_workflow_up(engine: LocalEngine, name: str, expression: str) -> None:
    status = run(engine, name, saying(f"{{{{={expression}}}}}"))

    if name != "pattern":
        assert (status.phase, "failed to evaluate expression" in status.message) == ("Error", True)


def test_no_condition_does_either(engine: LocalEngine) -> None:
    letters = "a" * 5000 + "!"
    patterns = ["^(a+)+$", "^(a|a?)+$", "(.*a){25}b"]
    group = [
        {"name": f"s{number}", "template": "ok", "when": f"'{letters}' =~ '{pattern}'"}
        for number, pattern in enumerate(patterns)
    ]
    manifest = workflow({"name": "main", "steps": [group]}, {"name": "ok", "container": shell("true")})

    status = run(engine, "patterns", manifest)

    assert status.phase.is_terminal


def test_a_value_that_looks_like_an_expression_stays_a_value(engine: LocalEngine) -> None:
    """What a user types, or a step prints, is never worked out."""
    say = {"name": "say", "inputs": parameters(x=None), "container": shell('echo "$0"')}
    say["container"]["args"].append("{{inputs.parameters.x}}")
    make = {"name": "make", "container": shell("echo '{{'='1 + 1'}}")}
    steps = [
        [{"name": "m", "template": "make"}],
        [
            {"name": "a", "template": "say", "arguments": parameters(x="{{workflow.parameters.typed}}")},
            {"name": "b", "template": "say", "arguments": parameters(x="{{steps.m.outputs.result}}")},
            {"name": "c", "template": "say", "arguments": parameters(x="{{=workflow.parameters.typed}}")},
        ],
    ]
    manifest = workflow({"name": "main", "steps": steps}, say, make, arguments=parameters(typed="{{=1 + 1}}"))

    run(engine, "not-again", manifest)

    assert set(text(engine, "not-again").splitlines()) <= {"{{=1 + 1}}"}


POLICY = Policy(images=("busybox:*",), config_maps=("listed",), artifact_endpoints=None, is_one_machine=True)
HIDDEN = "{{='b' + 'ad'}}"


@pytest.mark.parametrize(
    ("template", "pointer"),
    [
        ({"container": {"image": HIDDEN}}, "/container/image"),
        ({"volumes": [{"name": "v", "hostPath": {"path": HIDDEN}}]}, "/volumes/0"),
        ({"volumes": [{"name": "v", "configMap": {"name": HIDDEN}}]}, "/volumes/0/configMap/name"),
        ({"volumes": [{"name": "v", "secret": {"secretName": HIDDEN}}]}, "/volumes/0/secret/secretName"),
        ({"serviceAccountName": HIDDEN}, "/serviceAccountName"),
        ({"podSpecPatch": HIDDEN}, "/podSpecPatch"),
        ({"memoize": {"key": "k", "cache": {"configMap": {"name": HIDDEN}}}}, "/memoize/cache/configMap/name"),
        (
            {"synchronization": {"semaphores": [{"configMapKeyRef": {"name": HIDDEN, "key": "k"}}]}},
            "/synchronization/semaphores/0/configMapKeyRef/name",
        ),
        (
            {"inputs": {"parameters": [{"name": "p", "valueFrom": {"configMapKeyRef": {"name": HIDDEN, "key": "k"}}}]}},
            "/inputs/parameters/0/valueFrom/configMapKeyRef/name",
        ),
    ],
)
def test_they_hide_nothing_from_the_policy(template: dict[str, Any], pointer: str) -> None:
    manifest = workflow({"name": "main", "container": shell("true"), **template})

    found = [fault.pointer for fault in judge(manifest, POLICY, Grant()).faults]

    assert found
    assert all(one.startswith(f"/spec/templates/0{pointer}") for one in found)


def test_a_parameter_hides_none_of_them() -> None:
    main = {"name": "main", "inputs": parameters(image=HIDDEN), "container": {"image": "{{inputs.parameters.image}}"}}

    assert [fault.pointer for fault in judge(workflow(main), POLICY, Grant()).faults] == [
        "/spec/templates/0/container/image"
    ]


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 20_000,
        "!" * 20_000,
        "[" * 20_000,
        "1+" * 200_000,
        "'" + "a" * 300_000,
        "a." * 20_000,
        "\u0000",
        "{{{{",
        "}}",
    ],
)
def test_an_upload_is_answered_whatever_they_are(expression: str) -> None:
    with cpu_seconds_below(GENEROUS_SECONDS):
        refusals_of(saying(f"{{{{={expression}}}}}"))
        refusals_of(workflow({"name": "main", "steps": [[{"name": "a", "template": "b", "when": expression}]]}))

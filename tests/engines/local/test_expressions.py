"""Conditions and expressions as pods, steps and outputs of a running Workflow have them."""

from __future__ import annotations

from typing import Any

from engines.local import LocalEngine
from tests.engines.local.harness import node, parameters, run, shell, workflow

OK: dict[str, Any] = {"name": "ok", "container": shell("true")}


def test_conditions_have_arithmetic(engine: LocalEngine) -> None:
    conditions = {
        "even": "{{workflow.parameters.n}}%2==0",
        "times": "{{workflow.parameters.n}}*2 == 8",
        "ternary": "4==4?true:false",
        "hexadecimal": "0x1A == 26",
        "odd": "{{workflow.parameters.n}} % 2 == 1",
    }
    steps = [{"name": name, "template": "ok", "when": when} for name, when in conditions.items()]
    manifest = workflow({"name": "main", "steps": [steps]}, OK, arguments=parameters(n="4"))

    status = run(engine, "when-arithmetic", manifest)

    assert {name: node(status, name)["phase"] for name in conditions} == {
        **dict.fromkeys(conditions, "Succeeded"),
        "odd": "Skipped",
    }

"""Tags filled in: nested ones, and those of templates that stand within their steps."""

from __future__ import annotations

from typing import Any

import pytest

from engines.local.interpreter.tags import Unresolved, compiled, fill, tags_in
from tests.engines.local.harness import parameters, shell, workflow
from tests.engines.local.interpreter.driver import SAY, Driver, call, dag, steps

VALUES = {
    "item": "a",
    "p.e_a-version": "7",
    "name": "e_a",
    "text": "{{item}}",
    "p.{{item}}": "never",
}


def filled(text: str) -> str:
    def lookup(tag: str) -> str:
        if tag not in VALUES:
            raise Unresolved(tag)
        return VALUES[tag]

    return str(fill(compiled(text), lookup))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{p.e_{{item}}-version}}", "7"),
        ("{{ p.{{ name }}-version }}", "7"),
        ('{"v":{{p.e_{{item}}-version}}}', '{"v":7}'),
        ("{{item}} {{p.e_{{item}}-version}} {{name}}", "a 7 e_a"),
        ('{"a":{"b":"{{item}}"}}', '{"a":{"b":"a"}}'),
    ],
)
def test_the_inner_tag_is_filled_in_first(text: str, expected: str) -> None:
    assert filled(text) == expected


def test_what_a_value_holds_is_filled_in_no_more() -> None:
    assert filled("{{text}}") == "{{item}}"
    with pytest.raises(Unresolved):
        filled("{{p.e_{{text}}-version}}")


def test_inner_tags_are_among_the_tags() -> None:
    assert set(tags_in("{{p.e_{{item}}-version}}")) >= {"item"}


ENGINES = {"execution_a-version": "1", "execution_b-version": "2"}


def said(manifest: dict[str, Any]) -> set[str]:
    driver = Driver(manifest)
    assert driver.machine.phase == "Running", driver.machine.message
    return {order.template["container"]["args"][0] for order in driver.orders.values()}


def test_a_loops_items_name_parameters_of_the_workflow() -> None:
    loop = call(
        "a",
        "say",
        withItems=["a", "b"],
        arguments=parameters(what="{{workflow.parameters.execution_{{item}}-version}}"),
    )

    assert said(workflow(steps([loop]), SAY, arguments=parameters(**ENGINES))) == {"echo 1", "echo 2"}


def test_an_input_names_a_parameter_of_the_workflow() -> None:
    template = {
        "name": "say",
        "inputs": parameters(engine=None),
        "container": shell("echo {{workflow.parameters.execution_{{inputs.parameters.engine}}-version}}"),
    }
    loop = call("a", "say", withItems=["a", "b"], arguments=parameters(engine="{{item}}"))

    assert said(workflow(dag(loop), template, arguments=parameters(**ENGINES))) == {"echo 1", "echo 2"}


def test_a_template_within_a_step_sees_the_steps_item() -> None:
    inline = {"container": shell("echo {{workflow.parameters.execution_{{item}}-version}} {{item}}")}
    loop = {"name": "a", "withItems": ["a", "b"], "inline": inline}

    assert said(workflow(dag(loop), arguments=parameters(**ENGINES))) == {"echo 1 a", "echo 2 b"}


def test_a_template_within_a_step_sees_what_the_step_sees() -> None:
    inner = {"name": "i", "inline": {"container": shell("echo {{inputs.parameters.who}} {{item}} {{steps.p.id}}")}}
    outer = {"name": "o", "withItems": ["x"], "inline": {"steps": [[inner]]}}
    main = {"name": "main", "inputs": parameters(who="me"), "steps": [[{"name": "p", "template": "quick"}], [outer]]}
    driver = Driver(workflow(main, {"name": "quick", "container": shell("true")}))

    driver.end("p")

    (order,) = driver.orders.values()
    first = next(node["id"] for node in driver.machine.store.nodes.values() if node["displayName"] == "p")
    assert order.template["container"]["args"] == [f"echo me x {first}"]


def test_a_template_within_a_step_sees_nothing_else() -> None:
    inline = {"container": shell("echo {{inputs.parameters.nobody}}")}

    machine = Driver(workflow(steps([{"name": "a", "inline": inline}]))).machine

    assert machine.message.endswith("failed to resolve {{inputs.parameters.nobody}}")

"""What `templateDefaults` give to a template, as Kubernetes' strategic merge does it."""

from __future__ import annotations

from typing import Any

from engines.local.interpreter.defaults import with_defaults
from tests.engines.local.harness import shell, workflow
from tests.engines.local.interpreter.driver import WORK, Driver, call, dag, steps

PARTNER = {"nodeSelector": {"dataPartner": "data-partner-1"}}


def ordered(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the template of the one pod that a Workflow orders."""
    (order,) = Driver(manifest).orders.values()
    return order.template


def test_node_selectors_are_merged() -> None:
    merged = with_defaults({"nodeSelector": {"kubernetes.io/os": "linux"}}, PARTNER)

    assert merged["nodeSelector"] == {"kubernetes.io/os": "linux", "dataPartner": "data-partner-1"}


def test_the_template_wins() -> None:
    merged = with_defaults(
        {"nodeSelector": {"dataPartner": "data-partner-2"}, "timeout": "5s"}, {**PARTNER, "timeout": "9s"}
    )

    assert (merged["nodeSelector"], merged["timeout"]) == ({"dataPartner": "data-partner-2"}, "5s")


def test_what_is_null_or_an_empty_list_does_not_hide_a_default() -> None:
    merged = with_defaults(
        {"nodeSelector": None, "volumes": []}, {**PARTNER, "volumes": [{"name": "v", "emptyDir": {}}]}
    )

    assert merged == {**PARTNER, "volumes": [{"name": "v", "emptyDir": {}}]}


def test_named_things_are_merged_and_plain_lists_replaced() -> None:
    defaults = {"container": {"image": "busybox", "args": ["a", "b"], "env": [{"name": "A", "value": "1"}]}}
    own = {"container": {"args": ["c"], "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]}}

    assert with_defaults(own, defaults)["container"] == {
        "image": "busybox",
        "args": ["c"],
        "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}],
    }


def test_a_default_of_another_kind_is_left_out() -> None:
    merged = with_defaults({"script": {"source": "x"}}, {"container": {"image": "a"}, "script": {"image": "b"}})

    assert merged == {"script": {"image": "b", "source": "x"}}


def test_a_podspecpatch_is_replaced_as_a_whole() -> None:
    merged = with_defaults({"podSpecPatch": {"a": 1}}, {"podSpecPatch": {"b": 2}})

    assert merged == {"podSpecPatch": {"a": 1}}


def test_a_template_within_a_step_gets_them_too() -> None:
    inline = {"name": "a", "inline": {"container": shell("true")}}
    volumes = [{"name": "v", "emptyDir": {}}]

    found = ordered(workflow(steps([inline]), templateDefaults=PARTNER, volumes=volumes))

    assert (found["nodeSelector"], found["volumes"]) == (PARTNER["nodeSelector"], volumes)


def test_a_pod_goes_where_the_workflow_says() -> None:
    assert ordered(workflow(steps([call("a")]), WORK, **PARTNER))["nodeSelector"] == PARTNER["nodeSelector"]


def test_a_pod_goes_where_the_template_that_calls_it_says() -> None:
    central = {"nodeSelector": {"nodeType": "central"}}

    assert ordered(workflow({**dag(call("a")), **PARTNER}, WORK, **central))["nodeSelector"] == PARTNER["nodeSelector"]


def test_an_attempt_goes_where_the_template_that_calls_it_says() -> None:
    again = {**WORK, "retryStrategy": {"limit": "1"}}

    assert ordered(workflow({**dag(call("a")), **PARTNER}, again))["nodeSelector"] == PARTNER["nodeSelector"]


def test_where_the_workflow_goes_may_be_a_parameter() -> None:
    tagged = {"nodeSelector": {"dataPartner": "{{workflow.parameters.who}}"}}
    arguments = {"parameters": [{"name": "who", "value": "data-partner-1"}]}

    assert (
        ordered(workflow(steps([call("a")]), WORK, arguments=arguments, **tagged))["nodeSelector"]
        == PARTNER["nodeSelector"]
    )

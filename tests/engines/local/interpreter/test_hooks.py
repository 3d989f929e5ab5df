"""Lifecycle hooks and expressions as a Workflow unfolds with them."""

from __future__ import annotations

from typing import Any

import pytest

from engines.local.interpreter.pod_nodes import PodOutcome
from tests.engines.local.harness import parameters, shell, workflow
from tests.engines.local.interpreter.driver import SAY, SUCCEEDED, WORK, Driver, call, dag, failed, steps

STATUS = 'steps["a-b"].status'


def said(driver: Driver, name: str) -> str:
    """Return what a pod that runs would write."""
    return str(driver.orders[name].template["container"]["args"][0])


class TestHooks:
    def test_an_exit_hook_runs_when_its_step_has_ended_and_what_follows_waits_for_it(self) -> None:
        driver = Driver(workflow(steps([call("a", hooks={"exit": {"template": "work"}})], [call("b")]), WORK))

        driver.end("a")

        assert driver.nodes["a.onExit"] | {"phase": "Running", "nodeFlag": {"hooked": True}} == driver.nodes["a.onExit"]
        assert driver.nodes["a"]["children"] == [driver.nodes["a.onExit"]["id"]]
        assert "b" not in driver.phases
        driver.run()
        assert driver.ran == ["a", "a.onExit", "b"]

    def test_an_exit_hook_sees_the_outputs_of_its_step(self) -> None:
        producer = {**WORK, "name": "p", "outputs": {"parameters": [{"name": "v", "valueFrom": {"path": "/v"}}]}}
        hook = {"template": "say", "arguments": parameters(what="{{tasks.a.outputs.parameters.v}} {{tasks.a.status}}")}
        driver = Driver(workflow(dag(call("a", "p", hooks={"exit": hook})), producer, SAY))

        driver.end("a", PodOutcome("Succeeded", "", {"parameters": [{"name": "v", "value": "7"}]}))

        assert said(driver, "a.onExit") == "echo 7 Succeeded"

    def test_on_exit_of_a_task_gets_the_arguments_of_the_workflow(self) -> None:
        driver = Driver(workflow(dag(call("a", onExit="say")), WORK, SAY, arguments=parameters(what="this")))

        driver.end("a", failed())

        assert said(driver, "a.onExit") == "echo this"
        driver.run()
        assert driver.machine.phase == "Failed"

    def test_a_hook_runs_once_its_expression_is_true(self) -> None:
        hooks = {
            "running": {"template": "work", "expression": f'{STATUS} == "Running"'},
            "failed": {"template": "work", "expression": f'{STATUS} == "Failed"'},
            "good": {"template": "work", "expression": f'{STATUS} == "Succeeded"'},
        }
        driver = Driver(workflow(steps([call("a-b", hooks=hooks)]), WORK))
        assert driver.ran == ["a-b", "a-b.hooks.running"]

        driver.end("a-b")
        driver.run()

        assert driver.ran == ["a-b", "a-b.hooks.running", "a-b.hooks.good"]
        assert driver.machine.phase == "Succeeded"

    def test_a_step_that_is_skipped_has_no_exit_hook(self) -> None:
        step = call("a", when="false", hooks={"exit": {"template": "work"}})
        driver = Driver(workflow(steps([step]), WORK))

        assert (driver.ran, driver.machine.phase) == ([], "Succeeded")

    def test_each_turn_of_a_loop_has_its_hooks(self) -> None:
        hook = {"template": "say", "arguments": parameters(what="{{item}}")}
        driver = Driver(workflow(steps([call("a", withItems=["x", "y"], hooks={"exit": hook})]), WORK, SAY))

        driver.end("a(1:y)")

        assert said(driver, "a(1:y).onExit") == "echo y"
        driver.run()
        assert driver.machine.phase == "Succeeded"

    def test_a_hook_that_fails_does_not_fail_its_step(self) -> None:
        driver = Driver(workflow(steps([call("a", hooks={"exit": {"template": "work"}})]), WORK))

        driver.run(lambda order, name: failed() if name == "a.onExit" else SUCCEEDED)

        assert (driver.phases["a.onExit"], driver.machine.phase) == ("Failed", "Succeeded")

    def test_the_workflow_has_hooks_too(self) -> None:
        hooks = {
            "exit": {"template": "say", "arguments": parameters(what="{{workflow.status}}")},
            "running": {"template": "work", "expression": 'workflow.status == "Running"'},
        }
        driver = Driver(workflow(steps([call("a")]), WORK, SAY, hooks=hooks))
        assert set(driver.orders) == {"a", "wf.hooks.running"}

        driver.end("a")
        assert "wf.onExit" not in driver.phases
        driver.end("wf.hooks.running")

        assert said(driver, "wf.onExit") == "echo Succeeded"
        driver.run()
        assert driver.machine.phase == "Succeeded"

    def test_an_exit_hook_runs_after_a_stop_but_not_after_a_termination(self) -> None:
        manifest = workflow(steps([call("a", hooks={"exit": {"template": "work"}})]), WORK)
        ran = {}
        for strategy in ("Stop", "Terminate"):
            driver = Driver(manifest)
            driver.machine.stop(strategy)
            driver.take()
            driver.run(lambda order, name: SUCCEEDED)
            ran[strategy] = driver.ran

        assert ran == {"Stop": ["a", "a.onExit"], "Terminate": ["a"]}

    def test_an_expression_that_cannot_be_worked_out_is_an_error_of_the_step(self) -> None:
        hooks = {"x": {"template": "work", "expression": "steps.a.status + 1 == 2"}}
        driver = Driver(workflow(steps([call("a", hooks=hooks)]), WORK))

        driver.run()

        assert driver.phases["a"] == "Error"
        assert "hook x: " in driver.nodes["a"]["message"]

    def test_a_hook_of_an_unknown_template_is_an_invalid_spec(self) -> None:
        driver = Driver(workflow(steps([call("a", hooks={"exit": {"template": "nobody"}})]), WORK))

        assert driver.machine.message.startswith("invalid spec: ")
        assert "template name 'nobody' undefined" in driver.machine.message


class TestExpressions:
    def test_they_fill_arguments_and_conditions(self) -> None:
        argument = "{{=asInt(inputs.parameters.n) * 10}} {{=sprig.date('2006', workflow.creationTimestamp)}}"
        say = call("s", "say", arguments=parameters(what=argument), when="{{=inputs.parameters['n'] == '4'}}")
        skipped = call("t", "say", arguments=parameters(what="x"), when="{{=inputs.parameters['n'] == '5'}}")
        main = {**steps([say, skipped]), "inputs": parameters(n=None)}
        driver = Driver(workflow(main, SAY, arguments=parameters(n="4")))

        assert said(driver, "s") == "echo 40 2027"
        assert driver.phases["t"] == "Skipped"

    def test_they_give_the_items_of_a_loop(self) -> None:
        step = call(
            "a", "say", arguments=parameters(what="{{=item}}"), withParam="{{=toJson(filter([1, 3], {# > 1}))}}"
        )
        driver = Driver(workflow(steps([step]), SAY))

        assert said(driver, "a(0:3)") == "echo 3"

    def test_one_without_a_value_is_an_error_that_says_so(self) -> None:
        driver = Driver(workflow(steps([call("a", "say", arguments=parameters(what="{{=inputs.x + 1}}"))]), SAY))

        assert driver.phases["a"] == "Error"
        assert driver.nodes["a"]["message"].startswith("failed to evaluate expression: ")

    @pytest.mark.parametrize(("coin", "expected"), [("heads", "it was heads"), ("tails", "it was tails")])
    def test_they_choose_output_parameters_and_artifacts(self, coin: str, expected: str) -> None:
        made: dict[str, Any] = {
            "parameters": [{"name": "p", "valueFrom": {"path": "/p"}}],
            "artifacts": [{"name": "f", "path": "/f"}],
        }
        either = "steps.flip.outputs.result == 'heads' ? steps.heads.outputs.{0} : steps.tails.outputs.{0}"
        main = {
            **steps(
                [call("flip")],
                [
                    call("heads", "make", when="{{steps.flip.outputs.result}} == heads"),
                    call("tails", "make", when="{{steps.flip.outputs.result}} == tails"),
                ],
            ),
            "outputs": {
                "parameters": [{"name": "p", "valueFrom": {"expression": either.format("parameters.p")}}],
                "artifacts": [{"name": "f", "fromExpression": either.format("artifacts.f")}],
            },
        }
        driver = Driver(workflow(main, WORK, {"name": "make", "container": shell("true"), "outputs": made}))
        assert driver.orders["flip"].capture

        driver.end("flip", PodOutcome("Succeeded", "", {"result": coin}))
        outputs = {
            "parameters": [{"name": "p", "value": expected}],
            "artifacts": [{"name": "f", "path": "/f", "s3": {"key": coin}}],
        }
        driver.end(coin, PodOutcome("Succeeded", "", outputs))

        node = driver.nodes["wf"]
        assert node["outputs"]["parameters"][0]["value"] == expected
        assert node["outputs"]["artifacts"] == [{"name": "f", "path": "/f", "s3": {"key": coin}}]

    def test_an_output_falls_back_to_its_default(self) -> None:
        expression = {"expression": "asInt(steps.a.outputs.result)", "default": "none"}
        main = {**steps([call("a")]), "outputs": {"parameters": [{"name": "p", "valueFrom": expression}]}}
        driver = Driver(workflow(main, WORK))

        driver.end("a", PodOutcome("Succeeded", "", {"result": "x"}))

        assert driver.nodes["wf"]["outputs"]["parameters"][0]["value"] == "none"

    @pytest.mark.parametrize(
        "expression",
        ["asInt(lastRetry.exitCode) >= 2", "{{=asInt(lastRetry.exitCode) >= 2}}", "{{lastRetry.exitCode}} > 1"],
    )
    def test_they_decide_of_another_attempt(self, expression: str) -> None:
        work = {**WORK, "name": "main", "retryStrategy": {"limit": "5", "expression": expression}}
        driver = Driver(workflow(work))

        driver.end("wf(0)", failed(2))
        driver.end("wf(1)", failed(1))

        assert driver.nodes["wf"]["message"] == "retryStrategy.expression evaluated to false"
        assert driver.ran == ["wf(0)", "wf(1)"]


def test_a_pod_knows_the_name_of_its_step() -> None:
    say = {"name": "say", "container": shell("echo {{steps.name}}")}
    driver = Driver(workflow(steps([call("a", "say"), call("b", "say", withItems=["x"])]), say))

    assert (said(driver, "a"), said(driver, "b(0:x)")) == ("echo a", "echo b(0:x)")

"""How Workflows unfold; what real Argo answers is compared in `test_recordings.py`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engines.local.interpreter.composite import FAILED_FAST
from engines.local.interpreter.nodes import TooManyNodes
from engines.local.interpreter.pod_nodes import PodOutcome
from tests.engines.local.harness import parameters, shell, workflow
from tests.engines.local.interpreter.driver import SAY, SUCCEEDED, WORK, Driver, call, dag, failed, steps


class TestSteps:
    def test_a_group_waits_for_all_of_the_one_before(self) -> None:
        driver = Driver(workflow(steps([call("a"), call("b")], [call("c")]), WORK))

        driver.end("a")
        assert "c" not in driver.phases
        driver.end("b")

        assert driver.phases["c"] == "Running"

    def test_a_step_continues_on_failure_if_it_says_so(self) -> None:
        driver = Driver(workflow(steps([call("a", continueOn={"failed": True})], [call("b")]), WORK))

        driver.run(lambda order, name: failed() if name == "a" else SUCCEEDED)

        assert (driver.machine.phase, driver.phases["a"]) == ("Succeeded", "Failed")

    def test_a_broken_when_is_an_error(self) -> None:
        driver = Driver(workflow(steps([call("a", when="x ==")]), WORK))

        assert driver.nodes["a"]["message"].startswith("Invalid 'when' expression 'x ==': ")
        assert driver.machine.phase == "Failed"

    def test_parallelism_limits_a_template(self) -> None:
        driver = Driver(workflow(steps([call("a", withItems=[1, 2, 3])], parallelism=2), WORK))
        assert len(driver.orders) == 2

        driver.end("a(0:1)")

        assert set(driver.orders) == {"a(1:2)", "a(2:3)"}
        driver.run()
        assert driver.machine.phase == "Succeeded"

    def test_outputs_of_steps_reach_their_caller(self) -> None:
        inner = {
            "name": "inner",
            "steps": [[call("p", "produce")]],
            "outputs": {
                "parameters": [
                    {"name": "v", "valueFrom": {"parameter": "{{steps.p.outputs.parameters.v}}"}, "globalName": "g"}
                ]
            },
        }
        producer = {
            "name": "produce",
            "container": shell("true"),
            "outputs": {"parameters": [{"name": "v", "valueFrom": {"path": "/v"}}]},
        }
        use = call("u", "say", arguments=parameters(what="{{steps.i.outputs.parameters.v}}"))
        use_global = call("g", "say", arguments=parameters(what="{{workflow.outputs.parameters.g}}"))
        main = steps([call("i", "inner")], [use, use_global])
        driver = Driver(workflow(main, inner, producer, SAY))

        driver.end("p", PodOutcome("Succeeded", "", {"parameters": [{"name": "v", "value": "7"}]}))

        assert {order.template["container"]["args"][0] for order in driver.orders.values()} == {"echo 7"}


class TestDag:
    def test_a_diamond_runs_in_order(self) -> None:
        tasks = [call("a"), call("b", dependencies=["a"]), call("c", depends="a"), call("d", depends="b && c")]
        driver = Driver(workflow(dag(*tasks), WORK))

        driver.run()

        assert driver.ran == ["a", "b", "c", "d"]
        assert driver.machine.phase == "Succeeded"

    @pytest.mark.parametrize(
        ("depends", "outcome", "phase", "workflow_phase"),
        [
            ("a.Failed", failed(), "Succeeded", "Succeeded"),
            ("a.Failed", SUCCEEDED, "Omitted", "Succeeded"),
            ("a.Succeeded || a.Failed", failed(), "Succeeded", "Succeeded"),
            ("a.Errored", PodOutcome("Error", "", {}), "Succeeded", "Succeeded"),
            ("!a.Failed", SUCCEEDED, "Succeeded", "Succeeded"),
            ("a.Skipped", SUCCEEDED, "Omitted", "Succeeded"),
        ],
    )
    def test_depends(self, depends: str, outcome: PodOutcome, phase: str, workflow_phase: str) -> None:
        driver = Driver(workflow(dag(call("a"), call("b", depends=depends)), WORK))

        driver.run(lambda order, name: outcome if name == "a" else SUCCEEDED)

        assert driver.phases["b"] == phase
        assert driver.machine.phase == workflow_phase

    @pytest.mark.parametrize(
        ("depends", "bad", "phase"),
        [("a.AnySucceeded", 1, "Succeeded"), ("a.AllFailed", 2, "Succeeded"), ("a.AllFailed", 1, "Omitted")],
    )
    def test_depends_on_a_loop(self, depends: str, bad: int, phase: str) -> None:
        driver = Driver(workflow(dag(call("a", withItems=[0, 1]), call("b", depends=depends)), WORK))

        driver.run(lambda order, name: failed() if name in [f"a({n}:{n})" for n in range(bad)] else SUCCEEDED)

        assert driver.phases["b"] == phase

    def test_a_failure_lets_the_other_branches_go_on(self) -> None:
        tasks = [call("a"), call("b"), call("c", depends="b")]
        driver = Driver(workflow(dag(*tasks), WORK))

        driver.end("a", failed())
        driver.end("b")
        driver.end("c")

        assert (driver.machine.phase, driver.phases["c"]) == ("Failed", "Succeeded")

    def test_a_template_that_fails_fast_starts_nothing_after_a_failure(self) -> None:
        tasks = [call("a"), call("b"), call("c", depends="b")]
        driver = Driver(workflow({**dag(*tasks), "failFast": True}, WORK))

        driver.end("a", failed())
        driver.end("b")

        assert (driver.machine.phase, driver.machine.message) == ("Failed", FAILED_FAST)
        assert "c" not in driver.phases

    @pytest.mark.parametrize("depends", ["a", "a && f", "a || a"])
    def test_a_task_that_never_ran_after_a_failure_is_omitted(self, depends: str) -> None:
        driver = Driver(workflow(dag(call("a"), call("f"), call("b", depends=depends)), WORK))

        driver.run(lambda order, name: failed() if name == "a" else SUCCEEDED)

        assert driver.machine.phase == "Failed"
        assert (driver.nodes["b"]["phase"], driver.nodes["b"]["templateName"]) == ("Omitted", "work")
        assert driver.nodes["b"]["message"] == "omitted: depends condition not met"

    def test_a_skipped_target_fares_as_what_it_waited_for(self) -> None:
        skipped = call("b", depends="a.Failed", when="1 == 2")
        driver = Driver(workflow(dag(call("a"), skipped), WORK))

        driver.run(lambda order, name: failed())

        assert (driver.machine.phase, driver.phases["b"]) == ("Failed", "Skipped")

    def test_a_target_may_be_a_parameter(self) -> None:
        main = dag(call("a"), call("b"), target="{{workflow.parameters.t}}")
        driver = Driver(workflow(main, WORK, arguments=parameters(t="a")))

        driver.run()

        assert (driver.machine.phase, driver.ran) == ("Succeeded", ["a"])

    def test_a_target_that_is_no_task_is_an_error(self) -> None:
        main = dag(call("a"), target="{{workflow.parameters.t}}")

        machine = Driver(workflow(main, WORK, arguments=parameters(t="x"))).machine

        assert (machine.phase, machine.message) == ("Error", "target 'x' is not defined")

    def test_without_fail_fast_the_other_branches_go_on(self) -> None:
        tasks = [call("a"), call("b"), call("c", depends="b")]
        driver = Driver(workflow(dag(*tasks, failFast=False), WORK))

        driver.run(lambda order, name: failed() if name == "a" else SUCCEEDED)

        assert (driver.machine.phase, driver.phases["c"]) == ("Failed", "Succeeded")

    def test_a_dependency_that_continues_on_failure_lets_go_on(self) -> None:
        tasks = [call("a", continueOn={"failed": True}), call("b", dependencies=["a"])]
        driver = Driver(workflow(dag(*tasks), WORK))

        driver.run(lambda order, name: failed() if name == "a" else SUCCEEDED)

        assert (driver.machine.phase, driver.phases["b"]) == ("Succeeded", "Succeeded")

    def test_only_what_a_target_needs_runs(self) -> None:
        tasks = [call("a"), call("b", depends="a"), call("c")]
        driver = Driver(workflow(dag(*tasks, target="b"), WORK))

        driver.run()

        assert driver.ran == ["a", "b"]

    def test_a_skipped_task_lets_go_on(self) -> None:
        tasks = [call("a", when="1 == 2"), call("b", dependencies=["a"])]
        driver = Driver(workflow(dag(*tasks), WORK))

        driver.run()

        assert (driver.phases["a"], driver.phases["b"]) == ("Skipped", "Succeeded")


class TestRetries:
    @pytest.mark.parametrize(
        ("policy", "phase", "attempts"),
        [
            ("Always", "Failed", 3),
            ("Always", "Error", 3),
            ("OnError", "Failed", 1),
            ("OnError", "Error", 3),
            ("OnFailure", "Failed", 3),
            (None, "Error", 1),
        ],
    )
    def test_policies(self, policy: str | None, phase: str, attempts: int) -> None:
        strategy = {"limit": "2", **({"retryPolicy": policy} if policy else {})}
        driver = Driver(workflow({**WORK, "retryStrategy": strategy}))

        driver.run(lambda order, name: PodOutcome(phase, "broken", {}))

        assert len(driver.ran) == attempts
        assert driver.machine.phase == phase
        assert driver.machine.message == ("No more retries left" if attempts == 3 else "broken")

    def test_it_waits_between_attempts(self) -> None:
        backoff = {"duration": "10", "factor": "2"}
        driver = Driver(workflow({**WORK, "retryStrategy": {"limit": 5, "backoff": backoff}}))

        driver.end("wf(0)", failed())
        assert driver.nodes["wf"]["message"] == "Backoff for 10 seconds"
        driver.sleep(9.9)
        assert not driver.orders
        driver.sleep(0.1)
        driver.end("wf(1)", failed())

        assert driver.nodes["wf"]["message"] == "Backoff for 20 seconds"

    def test_it_gives_up_after_the_longest_duration(self) -> None:
        backoff = {"duration": "10", "maxDuration": "5"}
        driver = Driver(workflow({**WORK, "retryStrategy": {"limit": 5, "backoff": backoff}}))

        driver.end("wf(0)", failed())

        message = "Backoff would exceed max duration limit"
        assert (driver.machine.phase, driver.machine.message) == ("Failed", message)

    def test_it_gives_up_once_the_longest_duration_has_passed(self) -> None:
        template = {**WORK, "retryStrategy": {"backoff": {"duration": "10", "maxDuration": "5"}}}
        driver = Driver(workflow(template))

        driver.sleep(6)
        driver.end("wf(0)", failed())

        assert (driver.machine.phase, driver.machine.message) == ("Failed", "Max duration limit exceeded")

    @pytest.mark.parametrize("strategy", ["Stop", "Terminate"])
    def test_a_stop_ends_a_pause_between_attempts(self, strategy: str) -> None:
        driver = Driver(workflow({**WORK, "retryStrategy": {"limit": 5, "backoff": {"duration": "1d"}}}))
        driver.end("wf(0)", failed())

        driver.machine.stop(strategy)

        assert (driver.machine.phase, driver.machine.message) == ("Failed", f"Stopped with strategy '{strategy}'")

    def test_the_deadline_ends_a_pause_between_attempts(self) -> None:
        template = {**WORK, "retryStrategy": {"limit": 5, "backoff": {"duration": "1d"}}}
        driver = Driver(workflow(template, activeDeadlineSeconds=10))
        driver.end("wf(0)", failed())

        driver.sleep(10)

        assert driver.machine.phase == "Failed"
        assert driver.machine.message.startswith("retry exceeded workflow deadline ")

    def test_an_exit_handler_keeps_its_pause_after_a_stop(self) -> None:
        handler = {**WORK, "name": "handler", "retryStrategy": {"limit": 1, "backoff": {"duration": "10"}}}
        driver = Driver(workflow({**WORK, "name": "main"}, handler, onExit="handler"))
        driver.end("wf")
        driver.end("wf.onExit(0)", failed())

        driver.machine.stop("Stop")
        assert driver.machine.phase == "Running"
        driver.sleep(10)
        driver.end("wf.onExit(1)")

        assert driver.machine.phase == "Failed"

    @pytest.mark.parametrize(
        "backoff", [{"duration": "1e308"}, {"duration": "nan"}, {"duration": "1", "factor": "x"}, {"duration": "1h1"}]
    )
    def test_a_pause_that_cannot_be_read_is_an_error(self, backoff: dict[str, str]) -> None:
        driver = Driver(workflow({**WORK, "retryStrategy": {"limit": 5, "backoff": backoff}}))

        driver.end("wf(0)", failed())

        assert driver.machine.phase == "Error"
        assert driver.machine.message.startswith("retryStrategy.backoff: ")

    def test_pauses_grow_to_a_longest_one(self) -> None:
        backoff = {"duration": "1s", "factor": "9" * 18}
        driver = Driver(workflow({**WORK, "retryStrategy": {"limit": 99, "backoff": backoff}}))

        for number, seconds in enumerate([1, 2**63 / 10**9]):
            driver.end(f"wf({number})", failed())
            assert (driver.machine.next_deadline() or 0) - driver.now == pytest.approx(seconds)
            driver.sleep(seconds + 1)

        assert "wf(2)" in driver.orders

    def test_what_is_stopped_is_not_tried_again(self) -> None:
        driver = Driver(workflow(steps([call("a")]), {**WORK, "retryStrategy": {"limit": "3"}}))

        driver.machine.stop("Stop")
        driver.end("a(0)", failed())

        assert driver.nodes["a"]["message"] == "Stopped with strategy 'Stop'"

    def test_what_is_past_the_workflows_deadline_is_not_tried_again(self) -> None:
        again = {**WORK, "retryStrategy": {"limit": "3"}}
        driver = Driver(workflow(steps([call("a")]), again, activeDeadlineSeconds=60))

        driver.sleep(60)
        driver.end("a(0)", failed())

        message = "retry exceeded workflow deadline 2027-01-15 08:01:00 +0000 UTC"
        assert driver.nodes["a"]["message"] == message

    def test_the_limit_may_come_from_a_parameter(self) -> None:
        strategy = {"limit": "{{workflow.parameters.n}}", "retryPolicy": "Always"}
        driver = Driver(workflow({**WORK, "retryStrategy": strategy}, arguments=parameters(n=1)))

        driver.run(lambda order, name: failed())

        assert len(driver.ran) == 2


class TestEnds:
    def test_a_deadline_ends_running_and_waiting_steps(self) -> None:
        driver = Driver(
            workflow(
                steps([call("a"), call("g", "gate")], [call("b")]),
                WORK,
                {"name": "gate", "suspend": {}},
                activeDeadlineSeconds=5,
            )
        )

        driver.sleep(5)
        assert driver.stopped == [("a", "Pod was active on the node longer than the specified deadline")]
        driver.end("a", failed(137))

        assert driver.machine.phase == "Failed"
        assert driver.nodes["g"]["message"] == "Step exceeded its deadline"
        assert "b" not in driver.phases

    def test_no_retry_after_the_deadline(self) -> None:
        template = {**WORK, "retryStrategy": {"limit": 5, "retryPolicy": "Always"}}
        driver = Driver(workflow(template, activeDeadlineSeconds=5))

        driver.sleep(5)
        driver.end("wf(0)", failed(137))

        assert driver.machine.phase == "Failed"
        assert driver.ran == ["wf(0)"]

    def test_a_stop_lets_the_exit_handler_run(self) -> None:
        template = steps([call("a")], [call("b")])
        driver = Driver(
            workflow(template, WORK, {"name": "exit", "container": shell("{{workflow.status}}")}, onExit="exit")
        )

        driver.machine.stop("Stop")
        driver.take()
        driver.end("a", failed(143))
        assert driver.orders["wf.onExit"].template["container"]["args"] == ["Failed"]
        driver.end("wf.onExit")

        assert (driver.machine.phase, driver.machine.message) == ("Failed", "Stopped with strategy 'Stop'")
        assert "b" not in driver.phases

    def test_a_stopped_pod_that_ends_well_starts_nothing_more(self) -> None:
        driver = Driver(workflow(dag(call("a"), call("b", depends="a")), WORK))

        driver.machine.stop("Stop")
        driver.take()
        driver.end("a")

        assert (driver.machine.phase, driver.machine.message) == ("Failed", "Stopped with strategy 'Stop'")
        assert driver.ran == ["a"]

    def test_terminate_ends_the_exit_handler_too(self) -> None:
        driver = Driver(workflow(WORK, {"name": "exit", "container": shell("true")}, onExit="exit"))
        driver.machine.stop("Stop")
        driver.take()
        driver.end("wf", failed(143))

        driver.machine.stop("Terminate")
        driver.take()
        driver.end("wf.onExit", failed(143))

        assert driver.machine.message == "Stopped with strategy 'Terminate'"

    def test_a_stop_ends_a_suspended_workflow(self) -> None:
        driver = Driver(workflow({"name": "main", "suspend": {}}))

        driver.machine.stop("Stop")

        assert driver.machine.finished
        assert driver.nodes["wf"]["message"] == "workflow shutdown with strategy:  Stop"

    def test_the_exit_handler_knows_the_failures(self) -> None:
        handler = {"name": "exit", "container": {"image": "busybox", "args": ["{{workflow.failures}}"]}}
        driver = Driver(workflow(steps([call("a")]), WORK, handler, onExit="exit"))

        driver.end("a", failed(3))

        text = driver.orders["wf.onExit"].template["container"]["args"][0]
        (failure,) = json.loads(json.loads(text))
        assert (failure["displayName"], failure["message"]) == ("a", "main: Error (exit code 3)")

    def test_a_failed_exit_handler_fails_the_workflow(self) -> None:
        driver = Driver(workflow(WORK, {"name": "exit", "container": shell("false")}, onExit="exit"))

        driver.run(lambda order, name: failed(2) if name == "wf.onExit" else SUCCEEDED)

        assert (driver.machine.phase, driver.machine.message) == ("Failed", "main: Error (exit code 2)")


class TestInputs:
    def test_a_name_only_takes_the_workflows_argument(self) -> None:
        inner = call("a", "say")
        driver = Driver(workflow(steps([inner]), SAY, arguments=parameters(what="from the workflow")))

        assert driver.orders["a"].template["container"]["args"] == ["echo from the workflow"]

    def test_a_tag_in_a_value_is_not_replaced_again(self) -> None:
        driver = Driver(workflow(SAY, arguments=parameters(what="{{workflow.uid}} {{item}}")))

        assert driver.orders["wf"].template["container"]["args"] == ["echo {{workflow.uid}} {{item}}"]

    def test_an_argument_outside_its_enum_is_an_invalid_spec(self) -> None:
        arguments = {"parameters": [{"name": "what", "value": "c", "enum": ["a", "b"]}]}

        machine = Driver(workflow(SAY | {"name": "main"}, arguments=arguments)).machine

        expected = "invalid spec: spec.arguments.what.value should be present in spec.arguments.what.enum list"
        assert (machine.phase, machine.message) == ("Failed", expected)

    def test_an_input_outside_its_enum_is_taken(self) -> None:
        template = {**SAY, "inputs": {"parameters": [{"name": "what", "enum": ["a", "b"]}]}}

        assert Driver(workflow(template, arguments=parameters(what="c"))).machine.phase == "Running"

    @pytest.mark.parametrize(
        ("manifest", "message"),
        [
            (workflow(WORK, entrypoint="nowhere"), "template name 'nowhere' undefined"),
            (
                workflow(steps([call("a", "say")]), SAY),
                "templates.main.steps[0].a templates.say inputs.parameters.what was not supplied",
            ),
            (workflow(dag(call("a", depends="zzz")), WORK), "templates.main.tasks.a dependency 'zzz' not defined"),
            (
                workflow(dag(call("a", depends="b"), call("b", depends="a")), WORK),
                "templates.main.tasks has a dependency cycle among: a, b",
            ),
            (
                workflow(steps([call("a", arguments=parameters(x="{{steps.b.outputs.result}}"))], [call("b")]), WORK),
                "templates.main.steps[0].a: failed to resolve {{steps.b.outputs.result}}",
            ),
            (
                workflow({"name": "main"}),
                "templates.main template type unspecified. "
                "choose one of: container, script, containerSet, steps, dag, suspend",
            ),
        ],
    )
    def test_a_spec_that_cannot_work_fails_at_once(self, manifest: dict[str, Any], message: str) -> None:
        driver = Driver(manifest)

        assert (driver.machine.phase, driver.machine.message) == ("Failed", f"invalid spec: {message}")
        assert driver.machine.finished
        assert not driver.machine.store.nodes


class TestWhatDidNotRun:
    PRODUCER: dict[str, Any] = {
        "name": "p",
        "container": shell("true"),
        "outputs": {"artifacts": [{"name": "f", "path": "/f"}]},
    }

    @pytest.mark.parametrize(("optional", "phase"), [(True, "Running"), (False, "Error")])
    def test_an_artifact_of_a_skipped_step(self, optional: bool, phase: str) -> None:
        takes = {
            "name": "takes",
            "container": shell("true"),
            "inputs": {"artifacts": [{"name": "f", "path": "/f", "optional": optional}]},
        }
        given = {"artifacts": [{"name": "f", "from": "{{steps.p.outputs.artifacts.f}}"}]}
        main = steps([call("p", "p", when="false")], [call("c", "takes", arguments=given)])

        driver = Driver(workflow(main, self.PRODUCER, takes))

        assert driver.phases["c"] == phase
        if not optional:
            assert driver.nodes["c"]["message"] == "inputs.artifacts.f missing location information"

    def test_a_daemon_is_not_to_end_by_itself(self) -> None:
        driver = Driver(workflow(steps([call("d", "d")], [call("a")]), {**WORK, "name": "d", "daemon": True}, WORK))

        driver.machine.pods.ready(driver.orders["d"].node_id, "127.0.0.1")
        driver.end("d")

        assert driver.phases["d"] == "Failed"


class TestLimits:
    @pytest.mark.parametrize("key", ["timeout", "activeDeadlineSeconds"])
    def test_a_duration_that_cannot_be_read_is_an_error(self, key: str) -> None:
        driver = Driver(workflow({**WORK, key: "{{workflow.parameters.t}}"}, arguments=parameters(t="1e999")))

        assert (driver.machine.phase, driver.machine.message) == ("Error", "'1e999' is not a duration")

    def test_a_suspension_that_cannot_be_read_is_an_error(self) -> None:
        suspend = {"name": "main", "suspend": {"duration": "{{workflow.parameters.t}}"}}
        driver = Driver(workflow(suspend, arguments=parameters(t="inf")))

        assert (driver.machine.phase, driver.machine.message) == (
            "Error",
            "suspend.duration: 'inf' is not a duration",
        )

    def test_a_template_that_calls_itself_twice_has_an_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("engines.local.interpreter.nodes.MOST_NODES", 50)

        with pytest.raises(TooManyNodes, match="more than 50 nodes"):
            Driver(workflow(steps([call("a", "main"), call("b", "main")]))).run()

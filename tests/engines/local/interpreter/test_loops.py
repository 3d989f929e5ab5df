"""Loops: what is gathered of them, and how long ones begin while their first turns run."""

from __future__ import annotations

from typing import Any

import pytest

from engines.local.interpreter.nodes import NodeStore
from engines.local.interpreter.pod_nodes import PAST_DEADLINE, PodOutcome
from tests.engines.local.harness import parameters, shell, workflow
from tests.engines.local.interpreter.driver import SAY, SUCCEEDED, WORK, Driver, call, dag, failed, steps

TURNS = 100
LOOP = call("a", withSequence={"count": str(TURNS)})


def test_an_empty_loop_is_skipped() -> None:
    driver = Driver(workflow(steps([call("a", withItems=[])], [call("b")]), WORK))

    driver.run()

    assert driver.nodes["a"]["message"] == "Skipped, empty params"
    assert driver.machine.phase == "Succeeded"


def test_a_loops_outputs_are_gathered_in_order() -> None:
    producer = {
        "name": "produce",
        "container": shell("true"),
        "outputs": {"parameters": [{"name": "v", "valueFrom": {"path": "/v"}}]},
    }
    last = call("c", "say", arguments=parameters(what="{{steps.a.outputs.parameters.v}}"))
    driver = Driver(workflow(steps([call("a", "produce", withItems=["x", "y"])], [last]), producer, SAY))

    for value, name in (("2", "a(1:y)"), ("1", "a(0:x)")):
        driver.end(name, PodOutcome("Succeeded", "", {"parameters": [{"name": "v", "value": value}]}))

    assert driver.orders["c"].template["container"]["args"] == ['echo ["1","2"]']


def ordered(driver: Driver, turns: int) -> list[str]:
    """Take what the machine orders once it has begun some more turns; return the ids of the nodes."""
    actions = driver.machine.take_actions(turns=turns)
    assert {verb for verb, _ in actions} <= {"run"}
    return [order.node_id for _, order in actions]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes a driver which has taken nothing yet."""
    monkeypatch.setattr(Driver, "take", lambda driver: None)
    return lambda *templates, **spec: Driver(workflow(*templates, WORK, **spec))


@pytest.mark.parametrize("main", [steps([LOOP]), dag(LOOP)])
def test_the_first_turns_of_a_long_loop_run_while_it_is_begun(hasty: Any, main: dict[str, Any]) -> None:
    driver = hasty(main)
    machine = driver.machine

    first = ordered(driver, turns=10)
    assert len(first) < TURNS / 2
    machine.pods.done(first[0], SUCCEEDED)
    second = ordered(driver, turns=10)
    assert len(second) == 10
    assert machine.has_turns
    third = ordered(driver, turns=TURNS)

    assert not machine.has_turns
    assert len({*first, *second, *third}) == TURNS
    for node_id in [*first[1:], *second, *third]:
        machine.pods.done(node_id, SUCCEEDED)
    machine.tick()
    assert machine.phase == "Succeeded"


def test_a_stop_finds_all_turns(hasty: Any) -> None:
    driver = hasty(steps([LOOP]))
    began = ordered(driver, turns=10)
    for node_id in began:
        driver.machine.pods.scheduled(node_id, "central")

    driver.machine.stop("Stop")

    phases = [node["phase"] for node in driver.nodes.values() if node["type"] == "Pod"]
    assert (len(phases), set(phases)) == (TURNS, {"Failed"})
    assert sum(verb == "run" for verb, _ in driver.machine.take_actions()) == TURNS - len(began)


def test_a_deadline_finds_all_turns(hasty: Any) -> None:
    driver = hasty(steps([LOOP]), activeDeadlineSeconds=5)
    ordered(driver, turns=10)

    driver.now += 5
    driver.machine.tick()

    messages = [node.get("message") for node in driver.nodes.values() if node["type"] == "Pod"]
    assert messages == [PAST_DEADLINE] * TURNS


def test_a_failure_starts_none_of_those_that_wait_for_their_turn(hasty: Any) -> None:
    driver = hasty(steps([LOOP], parallelism=2, failFast=True))
    first = ordered(driver, turns=10)
    assert len(first) == 2

    for node_id in first:
        driver.machine.pods.done(node_id, failed())

    assert driver.machine.take_actions() == []
    assert driver.machine.phase == "Failed"


def test_what_was_begun_bit_by_bit_is_the_same_when_it_is_taken_up(hasty: Any) -> None:
    manifest = steps([LOOP], [call("b", "say", arguments=parameters(what="{{workflow.name}}"))])
    lived, told = hasty(manifest, SAY), hasty(manifest, SAY)
    ended = []
    while turns := ordered(lived, turns=7):
        ended += turns[::2]
        for node_id in turns[::2]:
            lived.machine.pods.done(node_id, SUCCEEDED)

    told.machine.take_actions()
    for node_id in ended:
        told.machine.tick()
        told.machine.take_actions()
        told.machine.pods.done(node_id, SUCCEEDED)

    assert told.machine.store.nodes == lived.machine.store.nodes
    assert told.machine.pods.live.keys() == lived.machine.pods.live.keys()


def test_work_per_node_does_not_grow_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    lookups = 0
    outbound = NodeStore.outbound

    def counting(store: NodeStore, node_id: str) -> list[str]:
        nonlocal lookups
        lookups += 1
        return outbound(store, node_id)

    monkeypatch.setattr(NodeStore, "outbound", counting)
    counted = []
    for count in (100, 400):
        lookups = 0
        Driver(workflow(steps([call("a", withSequence={"count": str(count)})]), WORK)).run()
        counted.append(lookups / count)

    assert counted[1] <= counted[0]


def test_a_loop_that_is_left_out_needs_no_items() -> None:
    bad = call("a", withParam="{{steps.p.outputs.parameters.list}}", when="1 == 2")
    producer = {
        "name": "p",
        "container": shell("true"),
        "outputs": {"parameters": [{"name": "list", "valueFrom": {"path": "/l"}}]},
    }
    driver = Driver(workflow(steps([call("p", "p", when="false")], [bad]), producer, WORK))

    assert (driver.machine.phase, driver.phases["a"]) == ("Succeeded", "Skipped")

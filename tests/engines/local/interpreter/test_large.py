"""Workflows of thousands of steps: wide ones and long ones, in reasonable time and without recursion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engines.local.interpreter.pod_nodes import PodOutcome
from engines.local.validation import runnable
from tests.cpu_time import cpu_seconds_below
from tests.engines.local.harness import parameters, workflow
from tests.engines.local.interpreter.driver import SAY, WORK, Driver, call, dag, failed, steps

MANY = 5000
# Ten times what it takes on a busy machine of two cores.
PATIENCE_SECONDS = 60.0
NAMES = [f"t{number}" for number in range(MANY)]


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    with cpu_seconds_below(PATIENCE_SECONDS):
        yield


def driven(manifest: dict[str, Any]) -> Driver:
    return Driver(runnable(manifest, "wf"))


@pytest.mark.parametrize(
    "last",
    [
        {"dependencies": NAMES},
        {"depends": " && ".join(NAMES)},
        {"depends": " || ".join(f"{name}.Succeeded" for name in NAMES)},
    ],
    ids=["dependencies", "all", "any"],
)
def test_a_task_that_waits_for_all_others(last: dict[str, Any]) -> None:
    driver = driven(workflow(dag(*(call(name) for name in NAMES), call("last", **last)), WORK))

    driver.run()

    assert (driver.machine.phase, driver.ran[-1], len(driver.ran)) == ("Succeeded", "last", MANY + 1)


@pytest.mark.parametrize("kind", ["dependencies", "depends"])
def test_a_chain_of_tasks(kind: str) -> None:
    chain = [call("t0")]
    chain += [call(f"t{n}", **{kind: [f"t{n - 1}"] if kind == "dependencies" else f"t{n - 1}"}) for n in range(1, MANY)]

    # The last first: their order in the manifest means nothing.
    driver = driven(workflow(dag(*reversed(chain)), WORK))
    driver.run()

    assert (driver.machine.phase, driver.ran == NAMES) == ("Succeeded", True)


def test_a_chain_that_breaks_at_its_beginning() -> None:
    chain = [call("t0"), *(call(f"t{n}", depends=f"t{n - 1}") for n in range(1, MANY))]
    driver = driven(workflow(dag(*chain), WORK))

    driver.run(lambda order, name: failed())

    assert (driver.machine.phase, driver.phases[f"t{MANY - 1}"]) == ("Failed", "Omitted")


def test_a_chain_of_groups() -> None:
    driver = driven(workflow(steps(*([call(name)] for name in NAMES)), WORK))

    driver.run()

    assert (driver.machine.phase, driver.ran == NAMES) == ("Succeeded", True)


@pytest.mark.parametrize("prefix", ["steps", "tasks"])
def test_a_loop_whose_results_are_gathered(prefix: str) -> None:
    loop = call("map", withSequence={"count": MANY})
    use = call("reduce", "say", arguments=parameters(what=f"{{{{{prefix}.map.outputs.result}}}}"))
    main = steps([loop], [use]) if prefix == "steps" else dag(loop, {**use, "depends": "map"})
    driver = driven(workflow(main, WORK, SAY))

    driver.run(lambda order, name: PodOutcome("Succeeded", "", {"result": str(len(name))}))

    assert driver.machine.phase == "Succeeded"
    assert driver.nodes["reduce"]["inputs"]["parameters"][0]["value"].count(",") == MANY - 1


def test_a_task_that_asks_all_others_for_their_results() -> None:
    asked = ",".join(f"{{{{tasks.{name}.outputs.result}}}}" for name in NAMES)
    last = call("last", "say", dependencies=NAMES, arguments=parameters(what=asked))
    driver = driven(workflow(dag(*(call(name) for name in NAMES), last), WORK, SAY))

    driver.run(lambda order, name: PodOutcome("Succeeded", "", {"result": "x"}))

    assert driver.nodes["last"]["inputs"]["parameters"][0]["value"] == ",".join(["x"] * MANY)

"""Drives a `Machine` without processes: pods end as a test says, and time passes only when nothing else is to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engines.local.interpreter.machine import Machine
from engines.local.interpreter.nodes import Node
from engines.local.interpreter.pod_nodes import PodOrder, PodOutcome
from tests.engines.local.harness import parameters, shell

START = 1_800_000_000.0
SUCCEEDED = PodOutcome("Succeeded", "", {"exitCode": "0"})


def failed(code: int = 1) -> PodOutcome:
    """Return the outcome of a pod whose main container failed."""
    return PodOutcome("Failed", f"main: Error (exit code {code})", {"exitCode": str(code)})


WORK = {"name": "work", "container": shell("true")}
SAY = {"name": "say", "inputs": parameters(what=None), "container": shell("echo {{inputs.parameters.what}}")}


def call(name: str, template: str = "work", **more: Any) -> dict[str, Any]:
    return {"name": name, "template": template, **more}


def steps(*groups: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"name": "main", "steps": list(groups), **more}


def dag(*tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "main", "dag": {"tasks": list(tasks), **more}}


class Driver:
    """A machine and what happens around it."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        self.now = START
        manifest = {**manifest, "metadata": {**manifest["metadata"], "name": "wf"}}
        self.machine = Machine(manifest, uid="uid", created_at=START, clock=lambda: self.now)
        self.orders: dict[str, PodOrder] = {}
        self.ran: list[str] = []
        self.stopped: list[tuple[str, str]] = []
        self.machine.start()
        self.take()

    def take(self) -> None:
        """Take the machine's actions: pods begin to run at once."""
        while actions := self.machine.take_actions():
            for verb, what in actions:
                if verb == "run":
                    self.orders[self.name(what.node_id)] = what
                    self.ran.append(self.name(what.node_id))
                    self.machine.pods.scheduled(what.node_id, "central")
                    self.machine.pods.running(what.node_id)
                else:
                    self.stopped.append((self.name(what[0]), what[1]))

    def name(self, node_id: str) -> str:
        """Return a node's display name."""
        return str(self.machine.store.nodes[node_id]["displayName"])

    def end(self, name: str, outcome: PodOutcome = SUCCEEDED) -> None:
        """End a running pod."""
        order = self.orders.pop(name)
        self.machine.pods.done(order.node_id, outcome)
        self.take()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.machine.tick()
        self.take()

    def run(self, outcome: Callable[[PodOrder, str], PodOutcome] = lambda order, name: SUCCEEDED) -> None:
        """Go on until nothing is left to do."""
        while not self.machine.finished:
            if self.orders:
                name = next(iter(self.orders))
                self.end(name, outcome(self.orders[name], name))
                continue
            deadline = self.machine.next_deadline()
            if deadline is None:
                return
            self.sleep(max(deadline - self.now, 0))

    @property
    def nodes(self) -> dict[str, Node]:
        """The nodes by display name."""
        return {node["displayName"]: node for node in self.machine.store.nodes.values()}

    @property
    def phases(self) -> dict[str, str]:
        """The phases by display name."""
        return {name: node["phase"] for name, node in self.nodes.items()}

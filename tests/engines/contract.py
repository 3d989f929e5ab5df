"""What every engine keeps: one abstract test class, subclassed per engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from engines.base import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    Engine,
    ManifestRejected,
    StopStrategy,
    Submission,
    WorkflowConflict,
    WorkflowEvent,
    WorkflowNotFound,
    WorkflowPhase,
    WorkflowStatus,
)

Secrets = Mapping[str, Mapping[str, str]]
NO_SECRETS: Secrets = {}


def manifest(name: str, script: str, **spec: Any) -> dict[str, Any]:
    """Return a Workflow of one container that runs a shell script."""
    container = {"image": "busybox:latest", "command": ["sh", "-c"], "args": [script]}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "labels": {MANAGED_BY_LABEL: MANAGED_BY}},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "container": container}], **spec},
    }


def wait_until_gone(engine: Engine, name: str, patience_seconds: float) -> None:
    """Wait until an engine has a Workflow no more."""
    until = time.monotonic() + patience_seconds
    while time.monotonic() < until:
        try:
            engine.get(name)
        except WorkflowNotFound:
            return
        time.sleep(0.1)
    raise AssertionError(f"{name} is still there")


class EngineContract:
    """Subclass it and give `make_engine`; an engine that runs nothing by itself also needs the `let_…` methods."""

    patience_seconds = 30.0
    # How long a pod runs whose Workflow a watch shall see running.
    watched_seconds = 0.3

    def make_engine(self, place: Any) -> Engine:
        """Return an engine that keeps its Workflows in `place`; twice the same place, the same Workflows."""
        raise NotImplementedError

    def let_succeed(self, engine: Engine, name: str) -> None:
        """Let a Workflow that ends well by itself do so."""

    def let_speak(self, engine: Engine, name: str, text: str) -> None:
        """Let a Workflow whose script echoes a text do so."""

    def let_wait(self, engine: Engine, name: str, *steps: str) -> None:
        """Let a Workflow with these suspended steps come to them."""

    def let_there_be_a_node(self, engine: Engine) -> None:
        """Make sure that pods have a node to go to, where that is not the engine's own business."""

    @pytest.fixture
    def place(self, tmp_path: Any) -> Any:
        return tmp_path

    @pytest.fixture
    def engine(self, place: Any) -> Any:
        engine = self.make_engine(place)
        yield engine
        for status in list(engine.list()):
            engine.delete(status.name)

    # Helpers

    def submit(
        self, engine: Engine, name: str, script: str = "true", secrets: Secrets = NO_SECRETS, **spec: Any
    ) -> WorkflowStatus:
        return engine.submit(Submission(name=name, manifest=manifest(name, script, **spec), secrets=secrets))

    def wait_for(self, engine: Engine, name: str, *phases: WorkflowPhase) -> WorkflowStatus:
        until = time.monotonic() + self.patience_seconds
        while time.monotonic() < until:
            status = engine.get(name)
            if status.phase in phases or (not phases and status.phase.is_terminal):
                return status
            time.sleep(0.02)
        raise AssertionError(f"{name} is still {status.phase}: {status.message}")

    def wait_for_pod(self, engine: Engine, name: str) -> None:
        until = time.monotonic() + self.patience_seconds
        while time.monotonic() < until:
            if any(node["phase"] == "Running" and node["type"] == "Pod" for node in engine.get(name).nodes.values()):
                return
            time.sleep(0.02)
        raise AssertionError(f"no pod of {name} runs")

    def wait_for_phases(self, engine: Engine, name: str, **phases: str) -> dict[str, str]:
        """Wait until suspended steps have these phases; return their nodes' ids."""
        until = time.monotonic() + self.patience_seconds
        while time.monotonic() < until:
            nodes = [node for node in engine.get(name).nodes.values() if node["type"] == "Suspend"]
            if {node["displayName"]: node["phase"] for node in nodes} == phases:
                return {node["displayName"]: node["id"] for node in nodes}
            time.sleep(0.02)
        raise AssertionError(f"{name} has other nodes: {nodes}")

    # The contract

    def test_a_workflow_runs_to_its_end(self, engine: Engine) -> None:
        self.submit(engine, "wf-runs")
        self.let_succeed(engine, "wf-runs")

        status = self.wait_for(engine, "wf-runs")

        assert (status.phase, status.message) == (WorkflowPhase.SUCCEEDED, "")
        assert status.started_at
        assert status.finished_at
        assert status.uid
        (node,) = status.nodes.values()
        assert (node["id"], node["type"], node["phase"]) == ("wf-runs", "Pod", "Succeeded")

    def test_submitting_again_returns_the_first(self, engine: Engine) -> None:
        first = self.submit(engine, "wf-again", "sleep 60")

        second = self.submit(engine, "wf-again", "sleep 60")

        assert (second.uid, second.digest) == (first.uid, first.digest)
        assert [status.name for status in engine.list()] == ["wf-again"]

    def test_another_manifest_under_a_taken_name_conflicts(self, engine: Engine) -> None:
        self.submit(engine, "wf-taken", "sleep 60")

        with pytest.raises(WorkflowConflict):
            self.submit(engine, "wf-taken", "sleep 61")

    def test_a_manifest_it_cannot_run_is_refused_with_a_pointer(self, engine: Engine) -> None:
        with pytest.raises(ManifestRejected) as refusal:
            self.submit(engine, "wf-refused", workflowTemplateRef={"name": "elsewhere"})

        assert refusal.value.pointer == "/spec/workflowTemplateRef"
        assert list(engine.list()) == []

    def test_a_watch_sees_start_and_end(self, engine: Engine) -> None:
        events: list[WorkflowEvent] = []
        ended = threading.Event()

        def watch() -> None:
            for event in engine.watch(timeout_seconds=self.patience_seconds):
                events.append(event)
                if event.status.phase.is_terminal:
                    ended.set()
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        self.submit(engine, "wf-watched", f"sleep {self.watched_seconds}")
        self.wait_for_pod(engine, "wf-watched")
        self.let_succeed(engine, "wf-watched")
        assert ended.wait(self.patience_seconds)
        watcher.join()

        phases = [event.status.phase for event in events]
        assert phases[-1] == WorkflowPhase.SUCCEEDED
        assert WorkflowPhase.RUNNING in phases
        assert all(event.cursor for event in events)

    def test_a_watch_goes_on_from_a_cursor(self, engine: Engine) -> None:
        self.submit(engine, "wf-before")
        self.let_succeed(engine, "wf-before")
        self.wait_for(engine, "wf-before")
        cursor = [event.cursor for event in engine.watch(timeout_seconds=0.1)][-1]
        self.submit(engine, "wf-after", "sleep 60")

        names = {event.status.name for event in engine.watch(since=cursor, timeout_seconds=0.5)}

        assert names == {"wf-after"}

    def test_a_watch_tells_of_what_was_deleted_meanwhile(self, engine: Engine) -> None:
        self.submit(engine, "wf-gone")
        self.let_succeed(engine, "wf-gone")
        self.wait_for(engine, "wf-gone")
        cursor = [event.cursor for event in engine.watch(timeout_seconds=0.1)][-1]
        engine.delete("wf-gone")

        events = list(engine.watch(since=cursor, timeout_seconds=0.1))

        assert [(event.status.name, event.deleted) for event in events] == [("wf-gone", True)]
        assert events[0].status.phase == WorkflowPhase.SUCCEEDED

    def test_a_watch_starts_with_what_is_there(self, engine: Engine) -> None:
        self.submit(engine, "wf-one", "sleep 60")
        self.submit(engine, "wf-two", "sleep 60")

        names = {event.status.name for event in engine.watch(timeout_seconds=0.1)}

        assert names == {"wf-one", "wf-two"}

    def test_an_unknown_name_is_not_found(self, engine: Engine) -> None:
        with pytest.raises(WorkflowNotFound):
            engine.get("nobody")
        with pytest.raises(WorkflowNotFound):
            engine.stop("nobody")
        with pytest.raises(WorkflowNotFound):
            list(engine.logs("nobody"))

    @pytest.mark.parametrize("strategy", list(StopStrategy))
    def test_stopping_ends_it_as_failed(self, engine: Engine, strategy: StopStrategy) -> None:
        self.submit(engine, "wf-stopped", "sleep 60")
        self.wait_for_pod(engine, "wf-stopped")

        engine.stop("wf-stopped", strategy)

        status = self.wait_for(engine, "wf-stopped")
        assert (status.phase, status.message) == (WorkflowPhase.FAILED, f"Stopped with strategy '{strategy}'")
        engine.stop("wf-stopped", strategy)

    def test_a_suspended_workflow_goes_on_from_one_node_and_from_all(self, engine: Engine) -> None:
        steps = [[{"name": step, "template": "wait"} for step in "abc"]]
        templates = [{"name": "main", "steps": steps}, {"name": "wait", "suspend": {}}]
        self.submit(engine, "wf-suspended", "sleep 60", templates=templates)
        self.let_wait(engine, "wf-suspended", *"abc")
        waiting = self.wait_for_phases(engine, "wf-suspended", a="Running", b="Running", c="Running")

        # The root node does not wait itself.
        for node in ("wf-suspended", "wf-suspended-none", waiting["b"]):
            engine.resume("wf-suspended", node)
        self.wait_for_phases(engine, "wf-suspended", a="Running", b="Succeeded", c="Running")
        engine.resume("wf-suspended", waiting["b"])
        engine.resume("wf-suspended")
        self.wait_for_phases(engine, "wf-suspended", a="Succeeded", b="Succeeded", c="Succeeded")

        with pytest.raises(WorkflowNotFound):
            engine.resume("wf-never-submitted")

    def test_deleting_twice_is_no_error(self, engine: Engine) -> None:
        self.submit(engine, "wf-deleted", "sleep 60")

        engine.delete("wf-deleted")
        engine.delete("wf-deleted")

        with pytest.raises(WorkflowNotFound):
            engine.get("wf-deleted")

    def test_logs_hold_what_a_container_wrote(self, engine: Engine) -> None:
        self.submit(engine, "wf-said", "echo hello")
        self.let_speak(engine, "wf-said", "hello")
        self.let_succeed(engine, "wf-said")
        self.wait_for(engine, "wf-said")

        (line,) = engine.logs("wf-said")

        assert (line.node, line.container, line.stream, line.text) == ("wf-said", "main", "stdout", "hello")

    def test_following_logs_ends_with_the_workflow(self, engine: Engine) -> None:
        self.submit(engine, "wf-followed", "echo hello; sleep 0.3")
        self.let_speak(engine, "wf-followed", "hello")

        texts: list[str] = []
        for line in engine.logs("wf-followed", follow=True):
            texts.append(line.text)
            self.let_succeed(engine, "wf-followed")

        assert texts == ["hello"]
        assert self.wait_for(engine, "wf-followed").phase == WorkflowPhase.SUCCEEDED

    def test_a_tail_gives_what_is_there_and_never_waits(self, engine: Engine) -> None:
        self.submit(engine, "wf-tailed", "echo hello; sleep 0.3")
        self.let_speak(engine, "wf-tailed", "hello")

        texts, waits = list[str](), 0
        for line in engine.tail("wf-tailed"):
            if line is None:
                waits += 1
                time.sleep(0.01)
                continue
            texts.append(line.text)
            self.let_succeed(engine, "wf-tailed")

        assert (texts, waits > 0) == (["hello"], True)

    def test_a_tail_of_nothing_is_refused(self, engine: Engine) -> None:
        with pytest.raises(WorkflowNotFound):
            engine.tail("nobody")

    def test_its_nodes_have_names_and_labels(self, engine: Engine) -> None:
        self.let_there_be_a_node(engine)

        nodes = engine.nodes()

        assert nodes
        assert len({node.name for node in nodes}) == len(nodes)
        assert all(node.message for node in nodes if not node.ready)
        assert all(isinstance(value, str) for node in nodes for value in node.labels.values())

    def test_nothing_explains_a_workflow_that_is_not_there(self, engine: Engine) -> None:
        assert engine.explain("nobody") == ""

    def test_logs_that_nobody_wants_any_more_end(self, engine: Engine) -> None:
        self.submit(engine, "wf-unread", "echo hello; sleep 60")
        self.wait_for_pod(engine, "wf-unread")
        self.let_speak(engine, "wf-unread", "hello")

        lines = engine.logs("wf-unread", follow=True, wanted=lambda: False)

        assert [line.text for line in lines] in ([], ["hello"])
        assert engine.get("wf-unread").phase == WorkflowPhase.RUNNING

    def test_a_tag_chooses_the_key_of_a_secret(self, engine: Engine) -> None:
        reference = {"name": "wf-chosen-callback", "key": "client.{{inputs.parameters.who}}"}
        container = {
            "image": "busybox:latest",
            "command": ["sh", "-c", 'echo "$TOKEN"'],
            "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": reference}}],
        }
        given = {"parameters": [{"name": "who", "value": "{{item.partner}}"}]}
        each = {"name": "each", "template": "client", "withParam": '[{"partner": "b"}]', "arguments": given}
        templates = [
            {"name": "main", "steps": [[each]]},
            {"name": "client", "inputs": {"parameters": [{"name": "who"}]}, "container": container},
        ]
        secrets = {"wf-chosen-callback": {"client.a": "of a", "client.b": "of b", "main": "of all"}}

        self.submit(engine, "wf-chosen", secrets=secrets, templates=templates)
        self.let_speak(engine, "wf-chosen", "of b")
        self.let_succeed(engine, "wf-chosen")

        assert self.wait_for(engine, "wf-chosen").phase == WorkflowPhase.SUCCEEDED
        assert [line.text for line in engine.logs("wf-chosen")] == ["of b"]

    def test_another_instance_knows_its_workflows(self, engine: Engine, place: Any) -> None:
        first = self.submit(engine, "wf-kept", "sleep 60")

        other = self.make_engine(place)

        assert other.get("wf-kept").uid == first.uid
        assert [status.name for status in other.list()] == ["wf-kept"]

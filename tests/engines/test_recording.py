"""The recording engine keeps the contract, and does what it is told."""

from __future__ import annotations

from typing import Any

import pytest

from engines.base import Engine, EngineUnavailable, Submission, WorkflowNotFound, WorkflowPhase
from engines.recording import OUTCOME_ANNOTATION, RecordingEngine
from tests.engines.contract import EngineContract, manifest


class TestRecordingEngine(EngineContract):
    def make_engine(self, place: Any) -> Engine:
        return RecordingEngine("recording", {"dir": str(place)})

    def let_succeed(self, engine: Engine, name: str) -> None:
        assert isinstance(engine, RecordingEngine)
        engine.finish(name)

    def let_wait(self, engine: Engine, name: str, *steps: str) -> None:
        assert isinstance(engine, RecordingEngine)
        engine.suspend(name, *steps)

    def let_speak(self, engine: Engine, name: str, text: str) -> None:
        assert isinstance(engine, RecordingEngine)
        engine.write(name, text)


@pytest.mark.parametrize(
    ("outcome", "phase"),
    [("succeed", WorkflowPhase.SUCCEEDED), ("fail", WorkflowPhase.FAILED), ("hold", WorkflowPhase.RUNNING)],
)
def test_an_annotation_says_how_a_workflow_ends(outcome: str, phase: WorkflowPhase) -> None:
    engine = RecordingEngine()
    wanted = manifest("wf", "true")
    wanted["metadata"]["annotations"] = {OUTCOME_ANNOTATION: outcome}

    status = engine.submit(Submission("wf", wanted))

    assert status.phase == phase
    assert engine.calls == [("submit", "wf")]


def test_an_unavailable_engine_answers_nothing() -> None:
    engine = RecordingEngine()
    engine.unavailable = True

    with pytest.raises(EngineUnavailable):
        engine.submit(Submission("wf", manifest("wf", "true")))


def test_a_vanished_workflow_is_not_told_by_the_watch() -> None:
    engine = RecordingEngine()
    engine.submit(Submission("wf", manifest("wf", "true")))
    cursor = next(iter(engine.watch(timeout_seconds=0))).cursor

    engine.vanish("wf")

    assert list(engine.watch(since=cursor, timeout_seconds=0)) == []
    with pytest.raises(WorkflowNotFound):
        engine.get("wf")

"""How a run's phase changes, and what is still to be done at its engine: tables and pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from engines.base import WorkflowPhase
from runs.models import RunPhase, WorkflowRun

# An exit handler may have outputs to save, so a stopped Workflow gets this long before it is terminated.
STOP_GRACE = timedelta(minutes=5)
# For this long the steps beside a failed one may end by themselves, or report the failure.
TEND_AFTER = timedelta(seconds=10)
FIRST_BACKOFF_SECONDS = 0.25
LONGEST_BACKOFF_SECONDS = 30.0


class Signal(StrEnum):
    """What can happen to a run."""

    ACCEPTED = "accepted"  # the engine took the Workflow
    REJECTED = "rejected"  # it can never be submitted
    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"  # it ended by request
    EXPIRED = "expired"  # a deadline has passed
    VANISHED = "vanished"  # the engine no longer has it


# A pair that is not in the table changes nothing: a terminal phase ignores every signal, only a submitted Workflow can
# vanish, and a refusal counts only before the Workflow was accepted.
TRANSITIONS: dict[tuple[RunPhase, Signal], RunPhase] = {
    (RunPhase.QUEUED, Signal.ACCEPTED): RunPhase.SUBMITTED,
    (RunPhase.QUEUED, Signal.REJECTED): RunPhase.FAILED,
    (RunPhase.QUEUED, Signal.STARTED): RunPhase.RUNNING,
    (RunPhase.QUEUED, Signal.SUCCEEDED): RunPhase.SUCCEEDED,
    (RunPhase.QUEUED, Signal.FAILED): RunPhase.FAILED,
    (RunPhase.QUEUED, Signal.STOPPED): RunPhase.STOPPED,
    (RunPhase.QUEUED, Signal.EXPIRED): RunPhase.FAILED,
    (RunPhase.SUBMITTED, Signal.STARTED): RunPhase.RUNNING,
    (RunPhase.SUBMITTED, Signal.SUCCEEDED): RunPhase.SUCCEEDED,
    (RunPhase.SUBMITTED, Signal.FAILED): RunPhase.FAILED,
    (RunPhase.SUBMITTED, Signal.STOPPED): RunPhase.STOPPED,
    (RunPhase.SUBMITTED, Signal.EXPIRED): RunPhase.FAILED,
    (RunPhase.SUBMITTED, Signal.VANISHED): RunPhase.LOST,
    (RunPhase.RUNNING, Signal.SUCCEEDED): RunPhase.SUCCEEDED,
    (RunPhase.RUNNING, Signal.FAILED): RunPhase.FAILED,
    (RunPhase.RUNNING, Signal.STOPPED): RunPhase.STOPPED,
    (RunPhase.RUNNING, Signal.EXPIRED): RunPhase.FAILED,
    (RunPhase.RUNNING, Signal.VANISHED): RunPhase.LOST,
}


def next_phase(phase: str, signal: Signal) -> RunPhase | None:
    """Return the next phase, or None if the signal changes nothing."""
    return TRANSITIONS.get((RunPhase(phase), signal))


def signal_of(phase: WorkflowPhase, stop_requested: bool) -> Signal:
    """Return the signal that a Workflow's phase means for its run.

    A Workflow that was asked to stop ends as Failed; if it succeeded nevertheless, it has succeeded.
    """
    match phase:
        case WorkflowPhase.PENDING:
            return Signal.ACCEPTED
        case WorkflowPhase.RUNNING:
            return Signal.STARTED
        case WorkflowPhase.SUCCEEDED:
            return Signal.SUCCEEDED
        case WorkflowPhase.FAILED | WorkflowPhase.ERROR:
            return Signal.STOPPED if stop_requested else Signal.FAILED


class Wish(StrEnum):
    """An action at the engine that a controller has yet to carry out for a run."""

    SUBMIT = "submit"
    TEND = "tend"
    WIND_UP = "wind up"
    STOP = "stop"
    TERMINATE = "terminate"
    RELEASE = "release"
    DELETE = "delete"


@dataclass(frozen=True)
class DueWish:
    wish: Wish
    due_at: datetime


def due_wish(run: WorkflowRun) -> DueWish | None:
    """Return the next action for a run, and when it is due."""
    if run.delete_requested_at:
        return DueWish(Wish.DELETE, run.delete_requested_at)
    if run.phase == RunPhase.QUEUED and not run.stop_requested_at:
        return DueWish(Wish.SUBMIT, run.created_at)
    if run.handed_over_at and not run.workflow_ended_at:
        return _running_wish(run)
    if run.finished_at and not run.released_at:
        return DueWish(Wish.RELEASE, run.finished_at)
    return None


def _running_wish(run: WorkflowRun) -> DueWish | None:
    """Return the next action while a Workflow runs: only its end, once that is requested."""
    if run.stop_requested_at:
        return _stop_wish(run)
    moments = ((Wish.WIND_UP, run.wind_up_at), (Wish.TEND, run.tend_at))
    wishes = [DueWish(wish, at) for wish, at in moments if at is not None]
    return min(wishes, key=lambda each: each.due_at, default=None)


def _stop_wish(run: WorkflowRun) -> DueWish | None:
    if not run.stop_requested_at or run.terminate_sent_at:
        return None
    if not run.stop_sent_at:
        return DueWish(Wish.STOP, run.stop_requested_at)
    return DueWish(Wish.TERMINATE, run.stop_sent_at + STOP_GRACE)


def backoff_seconds(tries: int) -> float:
    """Return the seconds to wait after a number of failed tries: doubled each time, up to a maximum."""
    return min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(tries, 20))


def is_older(version: str, than: str) -> bool:
    """Return whether a Workflow's version is older than another if both are numbers; other versions are opaque."""
    return version.isdigit() and than.isdigit() and int(version) < int(than)

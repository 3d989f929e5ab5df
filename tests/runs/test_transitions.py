from datetime import UTC, datetime

import pytest

from engines.base import WorkflowPhase
from runs.models import TERMINAL_PHASES, RunPhase, WorkflowRun
from runs.transitions import (
    STOP_GRACE,
    TRANSITIONS,
    DueWish,
    Signal,
    Wish,
    backoff_seconds,
    due_wish,
    is_older,
    next_phase,
    signal_of,
)

THEN = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)

# Every phase (rows) against every signal (columns); "" changes nothing.
EXPECTED = """
            accepted   rejected  started  succeeded  failed  stopped  expired  vanished
queued      submitted  failed    running  succeeded  failed  stopped  failed   -
submitted   -          -         running  succeeded  failed  stopped  failed   lost
running     -          -         -        succeeded  failed  stopped  failed   lost
succeeded   -          -         -        -          -       -        -        -
failed      -          -         -        -          -       -        -        -
stopped     -          -         -        -          -       -        -        -
lost        -          -         -        -          -       -        -        -
"""


def _cells():
    head, *rows = [line.split() for line in EXPECTED.strip().splitlines()]
    for phase, *ends in rows:
        for signal, end in zip(head, ends, strict=True):
            yield RunPhase(phase), Signal(signal), None if end == "-" else RunPhase(end)


def test_the_expected_table_is_complete():
    assert {(phase, signal) for phase, signal, _ in _cells()} == {(p, s) for p in RunPhase for s in Signal}


@pytest.mark.parametrize(("phase", "signal", "end"), list(_cells()))
def test_each_phase_follows_each_signal(phase, signal, end):
    assert next_phase(phase, signal) == end


def test_every_phase_but_the_first_can_be_reached_from_it():
    reached = {RunPhase.QUEUED}
    for _ in RunPhase:
        reached |= {end for (start, _), end in TRANSITIONS.items() if start in reached}
    assert reached == set(RunPhase)


def test_terminal_phases_have_no_way_out():
    assert not {start for start, _ in TRANSITIONS} & TERMINAL_PHASES


@pytest.mark.parametrize(
    ("phase", "stop_requested", "signal"),
    [
        (WorkflowPhase.PENDING, False, Signal.ACCEPTED),
        (WorkflowPhase.RUNNING, True, Signal.STARTED),
        (WorkflowPhase.SUCCEEDED, False, Signal.SUCCEEDED),
        (WorkflowPhase.SUCCEEDED, True, Signal.SUCCEEDED),
        (WorkflowPhase.FAILED, False, Signal.FAILED),
        (WorkflowPhase.ERROR, False, Signal.FAILED),
        (WorkflowPhase.FAILED, True, Signal.STOPPED),
        (WorkflowPhase.ERROR, True, Signal.STOPPED),
    ],
)
def test_a_workflows_phase_means_something_for_its_run(phase, stop_requested, signal):
    assert signal_of(phase, stop_requested) is signal


@pytest.mark.parametrize(
    ("values", "wish"),
    [
        ({}, Wish.SUBMIT),
        ({"handed_over_at": THEN}, Wish.SUBMIT),
        ({"handed_over_at": THEN, "stop_requested_at": THEN}, Wish.STOP),
        ({"delete_requested_at": THEN, "stop_requested_at": THEN}, Wish.DELETE),
        ({"phase": "submitted", "handed_over_at": THEN}, None),
        ({"phase": "running", "handed_over_at": THEN}, None),
        ({"phase": "running", "handed_over_at": THEN, "stop_requested_at": THEN}, Wish.STOP),
        ({"phase": "failed", "handed_over_at": THEN, "stop_requested_at": THEN, "finished_at": THEN}, Wish.STOP),
        ({"phase": "failed", "handed_over_at": THEN, "finished_at": THEN}, None),
        ({"phase": "failed", "handed_over_at": THEN, "finished_at": THEN, "workflow_ended_at": THEN}, Wish.RELEASE),
        ({"phase": "stopped", "finished_at": THEN, "workflow_ended_at": THEN}, Wish.RELEASE),
        ({"phase": "stopped", "finished_at": THEN, "workflow_ended_at": THEN, "released_at": THEN}, None),
        ({"phase": "stopped", "finished_at": THEN, "released_at": THEN, "delete_requested_at": THEN}, Wish.DELETE),
    ],
)
def test_a_runs_row_says_what_is_to_be_carried_out(values, wish):
    due = due_wish(WorkflowRun(created_at=THEN, **values))

    assert (due.wish if due else None) is wish


def test_a_workflow_that_does_not_stop_is_terminated_after_a_grace():
    run = WorkflowRun(phase="running", handed_over_at=THEN, stop_requested_at=THEN, stop_sent_at=THEN)

    assert due_wish(run) == DueWish(Wish.TERMINATE, THEN + STOP_GRACE)

    run.terminate_sent_at = THEN
    assert due_wish(run) is None


def test_backoff_grows_to_a_limit():
    waits = [backoff_seconds(tries) for tries in range(2000)]

    assert waits[:3] == [0.25, 0.5, 1.0]
    assert waits == sorted(waits)
    assert waits[-1] == 30.0


@pytest.mark.parametrize(
    ("version", "than", "older"), [("9", "10", True), ("10", "9", False), ("10", "10", False), ("a", "b", False)]
)
def test_versions_are_compared_as_numbers_or_not_at_all(version, than, older):
    assert is_older(version, than) is older


LATER = datetime(2026, 1, 1, 12, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "wish"),
    [
        ({"wind_up_at": LATER}, DueWish(Wish.WIND_UP, LATER)),
        ({"wind_up_at": LATER, "tend_at": THEN}, DueWish(Wish.TEND, THEN)),
        ({"wind_up_at": LATER, "stop_requested_at": THEN}, DueWish(Wish.STOP, THEN)),
        ({"wind_up_at": LATER, "stop_requested_at": THEN, "stop_sent_at": THEN, "terminate_sent_at": THEN}, None),
        ({"wind_up_at": LATER, "workflow_ended_at": THEN, "finished_at": THEN, "phase": "succeeded"},
         DueWish(Wish.RELEASE, THEN)),
    ],
)  # fmt: skip
def test_what_goes_on_after_the_end_is_looked_after(values, wish):
    assert due_wish(WorkflowRun(**{"phase": "running", "handed_over_at": THEN, **values})) == wish

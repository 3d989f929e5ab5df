from datetime import timedelta

import pytest

from engines.base import WorkflowPhase, WorkflowStatus
from runs import outbox
from runs.carrier import Carrier
from runs.models import RunEvent, WorkflowRun
from runs.owners import CannotPrepare, NotReady
from runs.services import run_delete, run_expire, run_observe, run_stop
from runs.transitions import STOP_GRACE
from tests.runs.test_outbox import START, claimed, now_of

pytestmark = pytest.mark.django_db


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def forward(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def carry(engine, clock):
    """Return a function that carries every wish that is due now, once."""

    def carry() -> int:
        claimed = outbox.claim(engine="double", limit=10, claimed_by="me", now=clock())
        for each in claimed:
            Carrier(engine, "me", clock).carry(each.run_id)
        return len(claimed)

    return carry


def test_a_run_is_prepared_submitted_and_released(make_run, carry, engine, status_of, clock):
    run = make_run(now=START)

    carry()
    assert now_of(run).phase == "submitted"
    assert now_of(run).submitted_at == START
    assert not carry()
    run_observe(run_id=run.pk, status=status_of(run, WorkflowPhase.SUCCEEDED), now=clock())
    carry()

    name = run.name
    assert engine.calls == [
        f"prepare {name}", f"submit {name}", f"created {name}", f"phase:submitted {name}",
        f"phase:succeeded {name}", f"release {name}",
    ]  # fmt: skip
    run = now_of(run)
    assert (run.released_at, run.next_try_at, run.claimed_by, run.claimed_until) == (START, None, "", None)


def test_a_claimed_run_is_not_claimed_again_until_its_lease_ends(make_run, engine, clock):
    run = make_run(now=START)

    assert claimed(limit=1, claimed_by="one") == [run.pk]
    assert claimed(limit=1, claimed_by="two") == []
    assert claimed(limit=1, claimed_by="two", now=START + outbox.LEASE) == [run.pk]
    Carrier(engine, "one", clock).carry(run.pk)
    assert engine.calls == []


def test_an_engine_that_is_down_is_tried_again_with_backoff(make_run, carry, engine, clock):
    run = make_run(now=START)
    engine.say("down")

    waits = []
    for _ in range(9):
        carry()
        waits.append((now_of(run).next_try_at - clock()).total_seconds())
        clock.now = now_of(run).next_try_at - timedelta(milliseconds=1)
        assert not carry()
        clock.now = now_of(run).next_try_at

    assert waits == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert now_of(run).phase == "queued"
    assert now_of(run).message == "the double is down"
    assert RunEvent.objects.filter(run=run, message__contains="tried again").count() == 1

    engine.unsay("down")
    carry()
    assert (now_of(run).phase, now_of(run).message, now_of(run).tries) == ("submitted", "", 0)


@pytest.fixture
def last_known(engine, monkeypatch):
    """What the engine remembers of Workflows that are gone; a test fills it, by name."""
    last_known = {}
    monkeypatch.setattr(engine, "last_known", lambda name, uid="": last_known.get(name))
    return last_known


def ended(run, at="2026-01-01T12:00:09Z"):
    return WorkflowStatus(run.name, WorkflowPhase.SUCCEEDED, finished_at=at)


def begun(run, at="2026-01-01T12:00:09Z"):
    return WorkflowStatus(run.name, WorkflowPhase.RUNNING, started_at=at)


@pytest.mark.parametrize(("known", "end"), [(ended, ("succeeded", "")), (begun, ("lost", "lost"))])
def test_what_ran_and_was_deleted_before_its_submission_was_answered_runs_once(
    make_run, engine, clock, carry, last_known, known, end
):
    # Its controller died when it had submitted it.
    run = make_run(now=START)
    claimed(limit=1, claimed_by="dead")
    clock.forward(outbox.LEASE.total_seconds() + 1)
    last_known[run.name] = known(run)

    carry()

    assert (now_of(run).phase, now_of(run).reason) == end
    assert [call for call in engine.calls if call.startswith(("submit", "prepare"))] == []


def test_what_ran_before_an_error_told_nothing_of_it_runs_once(make_run, engine, clock, carry, last_known):
    run = make_run(now=START)
    engine.say("down")
    carry()
    engine.unsay("down")
    clock.forward(1)
    last_known[run.name] = ended(run)

    carry()

    assert now_of(run).phase == "succeeded"
    assert "created" not in {call.split()[0] for call in engine.calls}


@pytest.mark.parametrize("phase", [WorkflowPhase.RUNNING, WorkflowPhase.SUCCEEDED])
def test_what_has_begun_is_not_submitted_again(make_run, engine, clock, carry, phase):
    # It could end, and be tidied away, between any look at it and the submission.
    run = make_run(now=START)
    claimed(limit=1, claimed_by="dead")
    engine.put(run.name, phase, digest=run.manifest_digest)
    clock.forward(outbox.LEASE.total_seconds() + 1)

    carry()

    assert now_of(run).phase == phase.lower()
    assert engine.calls == [f"phase:{phase.lower()} {run.name}"]


def test_anothers_workflow_of_that_name_fails_the_run(make_run, engine, clock, carry):
    run = make_run(now=START)
    claimed(limit=1, claimed_by="dead")
    engine.put(run.name, WorkflowPhase.RUNNING, digest="another")
    clock.forward(outbox.LEASE.total_seconds() + 1)

    carry()

    assert (now_of(run).phase, now_of(run).reason) == ("failed", "engine")


@pytest.mark.parametrize("known", [ended, begun])
def test_an_older_workflow_of_that_name_says_nothing(make_run, engine, clock, carry, last_known, known):
    run = make_run(now=START)
    claimed(limit=1, claimed_by="dead")
    clock.forward(outbox.LEASE.total_seconds() + 1)
    last_known[run.name] = known(run, at="2026-01-01T11:00:00Z")

    carry()

    assert now_of(run).phase == "submitted"


def test_a_first_try_asks_for_no_end(make_run, carry, last_known):
    run = make_run(now=START)
    last_known[run.name] = ended(run)

    carry()

    assert now_of(run).phase == "submitted"


def test_the_schedule_of_retries_outlives_the_controller(make_run, carry, engine, clock):
    run = make_run(now=START)
    engine.say("down")
    for _ in range(4):
        carry()
        clock.now = now_of(run).next_try_at
    carry()
    due_at, tries = now_of(run).next_try_at, now_of(run).tries

    clock.now = due_at - timedelta(milliseconds=1)
    assert claimed(limit=1, claimed_by="the next one", now=clock()) == []
    assert claimed(limit=1, claimed_by="the next one", now=due_at) == [run.pk]
    clock.now = due_at
    Carrier(engine, "the next one", clock).carry(run.pk)

    assert (now_of(run).tries, (now_of(run).next_try_at - due_at).total_seconds()) == (tries + 1, 8)


def test_an_engine_that_stays_down_fails_the_run_at_its_deadline(make_run, carry, engine, clock):
    run = make_run(now=START, deadline_seconds=20)
    engine.say("down")
    carry()
    clock.forward(20)
    assert outbox.expired(clock()) == [run.pk]

    run_expire(run_id=run.pk, now=clock())
    engine.unsay("down")
    carry()
    clock.forward(1)
    carry()

    run = now_of(run)
    assert (run.phase, run.reason) == ("failed", "deadline")
    assert "the double is down" in run.message
    assert [call.split()[0] for call in engine.calls] == ["prepare", "phase:failed", "stop", "release"]


def test_a_manifest_that_is_refused_fails_with_its_pointer(make_run, carry, engine):
    run = make_run(now=START, manifest={"metadata": {"annotations": {"reject": "/spec/templates/0"}}})

    carry()

    assert (now_of(run).phase, now_of(run).reason) == ("failed", "engine")
    assert now_of(run).message == "/spec/templates/0: cannot run this"


def test_anothers_workflow_of_the_same_name_is_left_alone(make_run, carry, engine):
    run = make_run(now=START)
    engine.put(run.name, digest="other")

    carry()
    assert now_of(run).phase == "failed"
    assert "somebody else's" in now_of(run).message
    run_delete(owner_kind="test", owner_id=run.owner_id, now=START)
    carry()

    assert not WorkflowRun.objects.filter(pk=run.pk).exists()
    assert engine.get(run.name).digest == "other"


def test_a_run_that_cannot_be_prepared_fails(make_run, carry, engine, owner):
    run = make_run(now=START)
    owner.failures.append(CannotPrepare("no such partner"))

    carry()

    assert (now_of(run).phase, now_of(run).message) == ("failed", "no such partner")
    assert f"submit {run.name}" not in engine.calls


@pytest.mark.parametrize("failure", [NotReady("the broker is away"), RuntimeError("the broker is away")])
def test_preparing_and_releasing_are_tried_again(make_run, carry, engine, owner, clock, status_of, failure):
    run = make_run(now=START)
    owner.failures.append(failure)
    carry()
    assert now_of(run).message.endswith("the broker is away")
    clock.forward(1)
    carry()
    run_observe(run_id=run.pk, status=status_of(run, WorkflowPhase.SUCCEEDED), now=clock())

    owner.failures.append(failure)
    carry()
    assert now_of(run).released_at is None
    clock.forward(1)
    carry()

    assert (now_of(run).phase, now_of(run).released_at) == ("succeeded", clock())
    assert [c.split()[0] for c in engine.calls].count("release") == 2


def test_a_run_that_is_stopped_while_it_is_prepared_never_starts(make_run, carry, engine, owner, clock, monkeypatch):
    run = make_run(now=START)
    monkeypatch.setattr(owner, "prepare", lambda run: run_stop(run_id=run.pk, now=START))

    carry()
    carry()

    assert now_of(run).phase == "stopped"
    assert f"submit {run.name}" not in engine.calls


def test_a_stop_reaches_the_engine(make_run, carry, engine, clock):
    run = make_run(now=START)
    carry()

    run_stop(run_id=run.pk, now=START)
    carry()

    assert f"stop {run.name}" in engine.calls
    run_observe(run_id=run.pk, status=engine.get(run.name), now=START)
    assert now_of(run).phase == "stopped"


def test_a_workflow_that_ignores_its_stop_is_terminated(make_run, carry, engine, clock):
    run = make_run(now=START)
    carry()
    engine.say("deaf")
    run_stop(run_id=run.pk, now=START)
    carry()
    assert not carry()

    clock.forward(STOP_GRACE.total_seconds())
    carry()

    assert engine.calls.count(f"stop {run.name}") == 2
    assert now_of(run).next_try_at is None


def test_a_stop_of_what_is_gone_ends_the_run(make_run, carry, engine):
    run = make_run(now=START)
    carry()
    engine.vanish(run.name)

    run_stop(run_id=run.pk, now=START)
    carry()

    assert (now_of(run).phase, now_of(run).reason) == ("stopped", "stopped")


def test_a_row_stays_until_the_engine_confirmed_the_deletion(make_run, carry, engine, clock):
    run = make_run(now=START)
    carry()
    engine.say("down")

    run_delete(owner_kind="test", owner_id=run.owner_id, now=START)
    carry()
    assert WorkflowRun.objects.filter(pk=run.pk).exists()
    engine.unsay("down")
    clock.forward(1)
    carry()

    assert not WorkflowRun.objects.filter(pk=run.pk).exists()
    assert engine.calls[-2:] == [f"delete {run.name}", f"release {run.name}"]
    assert not list(engine.list())


def test_a_queued_run_is_deleted_without_asking_the_engine(make_run, carry, engine):
    run = make_run(now=START)
    engine.say("down")

    run_delete(owner_kind="test", owner_id=run.owner_id, now=START)
    carry()

    assert not WorkflowRun.objects.filter(pk=run.pk).exists()

from datetime import UTC, datetime, timedelta

import pytest

from runs import outbox
from runs.models import WorkflowRun
from runs.services import run_delete, run_observe
from runs.transitions import Wish

pytestmark = pytest.mark.django_db
START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def claimed(*, engine="double", now=START, **given) -> list[int]:
    return [each.run_id for each in outbox.claim(engine=engine, now=now, **given)]


def now_of(run):
    return WorkflowRun.objects.get(pk=run.pk)


def test_a_renewed_claim_lasts(make_run):
    run = make_run(now=START)
    outbox.claim(engine="double", limit=1, claimed_by="one", now=START)

    outbox.renew(claimed_by="one", run_ids=[run.pk], now=START + timedelta(seconds=50))

    assert outbox.claim(engine="double", limit=1, claimed_by="two", now=START + outbox.LEASE) == []


def test_a_claim_that_nobody_works_on_is_given_back_when_the_others_are_renewed(make_run):
    run, forgotten = make_run(now=START), make_run(now=START)
    outbox.claim(engine="double", limit=2, claimed_by="one", now=START)

    outbox.renew(claimed_by="one", run_ids=[run.pk], now=START)

    assert claimed(limit=2, claimed_by="two") == [forgotten.pk]


def test_only_so_many_are_claimed_and_the_longest_due_first(make_run):
    second, first, _third = (make_run(now=START + timedelta(seconds=s)) for s in (2, 1, 3))

    later = START + timedelta(minutes=1)

    assert claimed(limit=2, claimed_by="me", now=later) == [first.pk, second.pk]
    assert claimed(engine="other", limit=2, claimed_by="me", now=later) == []


def test_a_postponed_wish_that_was_overtaken_is_not_postponed(make_run, status_of):
    run = make_run(now=START)
    run_observe(run_id=run.pk, status=status_of(run), now=START)

    outbox.postpone(run_id=run.pk, wish=Wish.SUBMIT, message="late", now=START)

    assert now_of(run).next_try_at is None


def test_wishes_that_nobody_carries_are_counted_and_the_next_one_is_known(make_run):
    assert outbox.wishes(START) == outbox.Wishes({}, None)
    for seconds in (1, 2, 5, 9):
        make_run(now=START + timedelta(seconds=seconds))
    now = START + timedelta(seconds=2)

    assert outbox.wishes(now) == outbox.Wishes({"double": 2}, START + timedelta(seconds=5))
    claimed(limit=1, claimed_by="me", now=now)
    assert outbox.wishes(now) == outbox.Wishes({"double": 1}, START + timedelta(seconds=5))


def test_a_claim_tells_the_first_deadline_and_hands_over_only_what_is_to_be_submitted(make_run):
    new = make_run(now=START, deadline_seconds=60, pending_deadline_seconds=3)
    gone = make_run(now=START)
    run_delete(owner_kind="test", owner_id=gone.owner_id, now=START)

    found = outbox.claim(engine="double", limit=2, claimed_by="me", now=START)

    assert found == [outbox.Claimed(new.pk, START + timedelta(seconds=3)), outbox.Claimed(gone.pk, None)]
    assert (now_of(new).handed_over_at, now_of(gone).handed_over_at) == (START, None)


def test_a_run_is_claimed_with_few_queries(make_run, django_assert_num_queries):
    make_run(now=START)

    # What is free, its claim in a savepoint of this test, and the claim's two statements.
    with django_assert_num_queries(5):
        outbox.wishes(START)
        claimed(limit=1, claimed_by="me")


def test_the_next_deadline_is_the_first_of_either_kind(make_run):
    assert outbox.next_deadline_at() is None
    make_run(now=START + timedelta(seconds=9), deadline_seconds=60)
    make_run(now=START + timedelta(seconds=5), pending_deadline_seconds=3)

    assert outbox.next_deadline_at() == START + timedelta(seconds=8)

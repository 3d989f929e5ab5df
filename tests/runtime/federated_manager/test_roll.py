import pytest

from runtime.federated_manager.errors import RoundError
from runtime.federated_manager.roll import Roll, Verdict


def _roll(number: int = 3, minimum: int = 3, continues: bool = False) -> Roll:
    roll = Roll(number, minimum, continues)
    roll.begin(0)
    return roll


def _answer(roll: Roll, *clients: str, number: int = 0) -> list[Verdict]:
    verdicts = []
    for client in clients:
        verdicts.append(roll.judge(client, number))
        if verdicts[-1] is Verdict.COUNTS:
            roll.count(client)
    return verdicts


def test_a_round_is_complete_when_each_client_has_answered() -> None:
    roll = _roll()

    before = [roll.complete]
    for client in "abc":
        _answer(roll, client)
        before.append(roll.complete)

    assert before == [False, False, False, True]


def test_clients_are_counted_by_identity() -> None:
    roll = _roll()

    verdicts = _answer(roll, "a", "a", "a")

    assert verdicts == [Verdict.COUNTS, Verdict.REPEATED, Verdict.REPEATED]
    assert not roll.complete


def test_answers_of_other_rounds_do_not_count() -> None:
    roll = _roll()
    roll.begin(1)

    assert _answer(roll, "a", number=0) == [Verdict.LATE]
    assert _answer(roll, "a", number=2) == [Verdict.EARLY]
    assert roll.answered == set()


def test_more_clients_than_announced_are_strangers() -> None:
    roll = _roll(number=2)

    assert _answer(roll, "a", "b", "c") == [Verdict.COUNTS, Verdict.COUNTS, Verdict.STRANGER]
    assert roll.admit("a")
    assert not roll.admit("c")


def test_one_failure_fails_the_round() -> None:
    roll = _roll()

    with pytest.raises(RoundError, match="client b failed in round 0: out of memory"):
        roll.fail("b", "out of memory")


def test_a_round_whose_time_is_over_names_who_is_missing() -> None:
    roll = _roll()
    roll.admit("c")
    _answer(roll, "a")

    with pytest.raises(RoundError, match="1 of 3 clients answered in round 0 within 5 s; no answer of: c"):
        roll.close(5)


def test_a_quorum_ends_a_round_whose_time_is_over() -> None:
    roll = _roll(minimum=2, continues=True)
    _answer(roll, "a", "b")

    assert not roll.complete
    roll.close(5)


def test_too_few_for_the_quorum_fail_the_round() -> None:
    roll = _roll(minimum=2, continues=True)
    _answer(roll, "a")

    with pytest.raises(RoundError, match="1 of 2 clients answered"):
        roll.close(5)


def test_who_was_silent_is_not_waited_for_until_it_is_heard_again() -> None:
    roll = _roll(minimum=1, continues=True)
    roll.admit("c")
    _answer(roll, "a")
    roll.close(5)
    roll.begin(1)

    _answer(roll, "a", number=1)
    alone = roll.complete
    late = _answer(roll, "c", number=0)

    assert alone
    assert late == [Verdict.LATE]
    assert not roll.complete
    _answer(roll, "c", number=1)
    assert roll.complete


def test_who_was_never_heard_of_is_waited_for_once_it_comes() -> None:
    roll = _roll(number=2, minimum=1, continues=True)
    _answer(roll, "a")
    roll.close(5)
    roll.begin(1)
    _answer(roll, "a", number=1)
    alone = roll.complete

    roll.admit("b")

    assert alone
    assert not roll.complete


def test_a_failed_client_is_not_waited_for_but_may_try_again() -> None:
    roll = _roll(number=2, minimum=1, continues=True)
    roll.judge("b", 0, failed=True)
    roll.fail("b", "crashed")
    waiting = roll.complete
    _answer(roll, "a")

    assert not waiting
    assert roll.complete
    assert _answer(roll, "b") == [Verdict.COUNTS]
    assert roll.failed == {}


def test_a_failure_that_leaves_too_few_fails_the_round_with_every_reason() -> None:
    roll = _roll(minimum=2, continues=True)
    roll.fail("a", "one")

    with pytest.raises(RoundError, match=r"fewer than 2 clients are left in round 0 \(a: one; b: two\)"):
        roll.fail("b", "two")


def test_a_failure_told_too_late_means_that_the_client_is_gone() -> None:
    roll = _roll(number=2, minimum=1, continues=True)
    _answer(roll, "a", "b")
    roll.begin(1)
    _answer(roll, "a", number=1)

    assert not roll.complete
    roll.judge("b", 0, failed=True)
    assert roll.complete


def test_a_quorum_is_waited_for_when_those_expected_are_too_few() -> None:
    roll = _roll(number=3, minimum=2, continues=True)
    _answer(roll, "a", "b")
    roll.close(5)
    roll.begin(1)
    roll.judge("b", 0, failed=True)

    _answer(roll, "a", number=1)

    assert not roll.complete


def test_an_answer_that_is_taken_back_counts_as_a_failure() -> None:
    roll = _roll(minimum=2, continues=True)
    _answer(roll, "a", "b", "c")

    roll.reject("c", "it has no arrays")

    assert (roll.answered, roll.failed, roll.complete) == ({"a", "b"}, {"c": "it has no arrays"}, True)
    with pytest.raises(RoundError, match="fewer than 2 clients are left in round 0"):
        roll.reject("b", "it has no arrays")

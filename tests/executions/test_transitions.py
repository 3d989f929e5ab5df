from __future__ import annotations

import itertools

from executions.transitions import TRANSITIONS, Move, State


def test_the_table_answers_every_request() -> None:
    wanted = [state for state in State if state is not State.PENDING]

    assert set(TRANSITIONS) == set(itertools.product(State, wanted))


def test_an_end_is_final() -> None:
    for ended in (State.SUCCEEDED, State.FAILED):
        moves = {wanted: move for (state, wanted), move in TRANSITIONS.items() if state is ended}
        assert moves.pop(ended) is Move.KEEP
        assert set(moves.values()) == {Move.REFUSE}


def test_states_not_ended_may_end_either_way() -> None:
    for state in (State.PENDING, State.RUNNING):
        assert TRANSITIONS[state, State.FAILED] is TRANSITIONS[state, State.SUCCEEDED] is Move.CHANGE

"""How an execution's state may change; the table of contracts/http-api.md as data."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Move(StrEnum):
    """How a request to change the state is answered."""

    CHANGE = "change"
    KEEP = "keep"
    REFUSE = "refuse"


TRANSITIONS: dict[tuple[State, State], Move] = {
    (State.PENDING, State.RUNNING): Move.CHANGE,
    (State.PENDING, State.FAILED): Move.CHANGE,
    (State.PENDING, State.SUCCEEDED): Move.CHANGE,
    (State.RUNNING, State.RUNNING): Move.KEEP,
    (State.RUNNING, State.FAILED): Move.CHANGE,
    (State.RUNNING, State.SUCCEEDED): Move.CHANGE,
    (State.FAILED, State.RUNNING): Move.REFUSE,
    (State.FAILED, State.FAILED): Move.KEEP,
    (State.FAILED, State.SUCCEEDED): Move.REFUSE,
    (State.SUCCEEDED, State.RUNNING): Move.REFUSE,
    (State.SUCCEEDED, State.FAILED): Move.REFUSE,
    (State.SUCCEEDED, State.SUCCEEDED): Move.KEEP,
}

ENDED = frozenset({State.SUCCEEDED, State.FAILED})

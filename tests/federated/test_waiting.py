"""Long polls in turns, as the server that ships takes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from federated.waiting import MESSAGES
from tests.federated.requests import Topic
from web.long_polls import LongPoll
from web.turns import TAKES_TURNS, Turn

pytestmark = pytest.mark.django_db(transaction=True)


def poll(found: list[Any], seconds: float = 60) -> LongPoll[Any]:
    return LongPoll(MESSAGES, lambda: found[0] if found else None, lambda what: str(what).encode(), seconds)


def test_a_poll_is_due_again_until_something_is_found() -> None:
    found: list[Any] = []
    turns = poll(found)

    assert turns.take().again_in == pytest.approx(2, abs=0.1)
    found.append("x")
    assert turns.take() == Turn(b"x")
    turns.close()


def test_a_poll_ends_after_its_time() -> None:
    turns = poll([], seconds=0)

    assert turns.take() == Turn(b"None")
    turns.close()


def test_no_more_are_held_than_may(settings) -> None:
    settings.FEDERATED_WAITING_REQUESTS = 1
    first, second = poll([]), poll([])

    assert (first.take().again_in is None, second.take().again_in is None) == (False, True)
    second.close()
    first.close()
    third = poll([])
    assert third.take().again_in is not None
    third.close()


def test_the_answer_is_the_one_of_a_server_that_waits(topic: Topic) -> None:
    topic.post(key="mine")

    in_turns = topic.client.get(f"{topic.url}?wait=5", **{TAKES_TURNS: True})

    assert json.loads(b"".join(in_turns.streaming_content)) == topic.heads()
    assert in_turns["Content-Type"] == "application/json"
    assert in_turns["Cache-Control"] == "no-store"

"""Answers that are produced in turns: between two turns no thread waits.

The shipped server (`orchestrator_api.server`) takes a turn in one of its threads, sends its bytes, and waits for a
wake-up or until the next turn is due. A server without turns iterates over the answer.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import StreamingHttpResponse

from web.wakeups import Listener

# The key in a request's environment if its server takes turns.
TAKES_TURNS = "orchestrator.takes_turns"


@dataclass(frozen=True)
class Turn:
    """The result of a turn: bytes to send, and the seconds until the next one is due; None after the last."""

    content: bytes = b""
    again_in: float | None = None


class Turns(ABC):
    """The work of an answer, one turn after another, each short and in any thread."""

    @property
    def topic(self) -> str:
        """Return the topic (web.wakeups) whose wake-up makes the next turn due at once; '' for none."""
        return ""

    @abstractmethod
    def take(self) -> Turn:
        """Do the next turn. An error before anything was sent is answered as a problem document."""

    def close(self) -> None:
        """Release resources: the answer has been sent, or its reader is gone."""


class InTurns(StreamingHttpResponse):
    """An answer whose content comes in turns; its headers are sent with the first bytes."""

    def __init__(self, turns: Turns, **options: Any) -> None:
        super().__init__(_iterated(turns), **options)
        self.turns = turns
        self._resource_closers.append(turns.close)  # type: ignore[attr-defined]


def takes_turns(meta: Mapping[str, Any]) -> bool:
    """Return whether the server of a request takes turns."""
    return bool(meta.get(TAKES_TURNS))


def _iterated(turns: Turns) -> Iterator[bytes]:
    while True:
        turn = turns.take()
        if turn.content:
            yield turn.content
        if turn.again_in is None:
            return
        _wait(turns.topic, turn.again_in)


def _wait(topic: str, seconds: float) -> None:
    if not topic:
        time.sleep(seconds)
        return
    with Listener(topic) as listener:
        listener.wait(seconds)

"""What goes wrong between an engine and its API server, and when: dealt from shuffled decks, by a seed."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from tests.chaos.messages import Request


class FaultKind(StrEnum):
    DELAY = "delay"
    RESET_BEFORE = "reset before it was accepted"
    RESET_AFTER = "reset after it was accepted"
    INTERNAL_ERROR = "500"
    UNAVAILABLE = "503"
    THROTTLED = "429"
    GONE = "410"
    CUT = "watch cut"
    SLOW = "slow stream"


EVERY_REQUEST = (
    FaultKind.DELAY,
    FaultKind.RESET_BEFORE,
    FaultKind.RESET_AFTER,
    FaultKind.INTERNAL_ERROR,
    FaultKind.UNAVAILABLE,
    FaultKind.THROTTLED,
    FaultKind.SLOW,
)
# A watch is one request for a long time, and 410 is its own fault, so both come more often.
EVERY_WATCH = (*EVERY_REQUEST, *(FaultKind.GONE, FaultKind.CUT) * 4)
EVERY_PAGE = (*EVERY_REQUEST, FaultKind.GONE)


@dataclass(frozen=True)
class Fault:
    """One fault; `dice` (0 to 1) settles what its kind leaves open: how long, where, in which of two ways."""

    kind: FaultKind
    dice: float


class Schedule:
    """Deals faults to requests, each with the given probability; watches have one of their own."""

    def __init__(self, seed: int, probability: float, watch_probability: float) -> None:
        self.injected: Counter[FaultKind] = Counter()
        self._random = random.Random(seed)
        self._probability = probability
        self._watch_probability = watch_probability
        self._decks: dict[tuple[FaultKind, ...], list[FaultKind]] = {}
        self._lock = threading.Lock()

    def draw(self, request: Request) -> Fault | None:
        """Return the fault of a request, or None where it goes well."""
        with self._lock:
            likely = self._watch_probability if request.is_watch else self._probability
            if self._random.random() >= likely:
                return None
            fault = Fault(self._deal(_deck(request)), self._random.random())
            self.injected[fault.kind] += 1
            return fault

    def _deal(self, kinds: tuple[FaultKind, ...]) -> FaultKind:
        cards = self._decks.setdefault(kinds, [])
        if not cards:
            cards.extend(kinds)
            self._random.shuffle(cards)
        return cards.pop()


def _deck(request: Request) -> tuple[FaultKind, ...]:
    if request.is_watch:
        return EVERY_WATCH
    return EVERY_PAGE if request.is_later_page else EVERY_REQUEST

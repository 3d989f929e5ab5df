"""Who takes part in a federated training, and who has answered in a round: pure rules, no channel."""

from __future__ import annotations

from enum import Enum

from runtime.federated_manager.errors import RoundError


class Verdict(Enum):
    """What an answer is worth."""

    COUNTS = "counts"
    REPEATED = "repeated"
    LATE = "late"
    EARLY = "early"
    STRANGER = "stranger"


class Roll:
    """The clients, counted by identity, and their answers in one round after the other.

    `number` clients take part. Without `continues` each must answer in each round; with it, `minimum` are enough
    when the round's time is over, and who was silent is waited for no more until it's heard again.
    """

    def __init__(self, number: int, minimum: int, continues: bool) -> None:
        self._number, self._minimum, self._continues = number, minimum, continues
        self.known: set[str] = set()
        self.answered: set[str] = set()
        self.failed: dict[str, str] = {}
        self._silent: set[str] = set()
        # Those who never said anything have no name.
        self._missing = 0
        self.round = -1

    def begin(self, number: int) -> None:
        """Open a round; who failed in the one before isn't waited for."""
        self._silent = (self._silent | set(self.failed)) - self.answered
        self.round, self.answered, self.failed = number, set(), {}

    def admit(self, client: str) -> bool:
        """Tell whether a client takes part: as many as were announced do, the first that are heard of."""
        if client not in self.known and len(self.known) < self._number:
            self.known.add(client)
            self._missing = min(self._missing, self._number - len(self.known))
        return client in self.known

    def judge(self, client: str, number: int, failed: bool = False) -> Verdict:
        """Say what an answer for round `number` is worth; whoever answers late is waited for again."""
        if not self.admit(client):
            return Verdict.STRANGER
        if failed and number < self.round:
            self._silent.add(client)
        else:
            self._silent.discard(client)
        if number != self.round:
            return Verdict.LATE if number < self.round else Verdict.EARLY
        return Verdict.REPEATED if client in self.answered else Verdict.COUNTS

    def excuse(self, present: set[str]) -> None:
        """Wait for none but those present, until the others are heard of."""
        self._silent |= self.known - present
        self._missing = self._number - len(self.known)

    def count(self, client: str) -> None:
        """Count an answer."""
        self.answered.add(client)
        self.failed.pop(client, None)

    def fail(self, client: str, reason: str) -> None:
        """Note that a client failed in this round; raise RoundError when the round can't end well any more."""
        self.failed[client] = reason
        if not self._continues:
            raise RoundError(f"client {client} failed in round {self.round}: {reason}")
        if self._number - len(self.failed) < self._minimum:
            told = "; ".join(f"{name}: {why}" for name, why in sorted(self.failed.items()))
            raise RoundError(f"fewer than {self._minimum} clients are left in round {self.round} ({told})")

    def reject(self, client: str, reason: str) -> None:
        """Take an answer back that was counted: the client failed in this round. Raises RoundError as `fail` does."""
        self.answered.discard(client)
        self.fail(client, reason)

    @property
    def complete(self) -> bool:
        """Tell whether nobody is waited for any more and enough have answered."""
        gone = self.answered | set(self.failed) | self._silent
        return len(gone) + self._missing >= self._number and len(self.answered) >= self._minimum

    def close(self, seconds: float) -> None:
        """End a round whose time is over; raise RoundError when too few have answered."""
        enough = self._minimum if self._continues else self._number
        if len(self.answered) < enough:
            waited = sorted(self.known - self.answered) or ["all"]
            raise RoundError(
                f"{len(self.answered)} of {enough} clients answered in round {self.round} within {seconds:g} s; "
                f"not: {', '.join(waited)}"
            )
        self.excuse(self.answered)

"""The clients of a federated training and their answers in a round: pure rules, no channel."""

from __future__ import annotations

from enum import Enum

from runtime.federated_manager.errors import RoundError


class Verdict(Enum):
    """How an answer counts."""

    COUNTS = "counts"
    REPEATED = "repeated"
    LATE = "late"
    EARLY = "early"
    STRANGER = "stranger"


class Roll:
    """The clients, counted by identity, and their answers in each round.

    `number` clients take part. Without `continues` each must answer in each round; with it, `minimum` are enough
    when the round's time is over, and the server no longer waits for a silent client until it sends again.
    """

    def __init__(self, number: int, minimum: int, continues: bool) -> None:
        self._number, self._minimum, self._continues = number, minimum, continues
        self.known: set[str] = set()
        self.answered: set[str] = set()
        self.failed: dict[str, str] = {}
        self._silent: set[str] = set()
        # Clients that never sent anything have no name.
        self._missing = 0
        self.round = -1

    def begin(self, number: int) -> None:
        """Open a round; the server does not wait for clients that failed in the one before."""
        self._silent = (self._silent | set(self.failed)) - self.answered
        self.round, self.answered, self.failed = number, set(), {}

    def admit(self, client: str) -> bool:
        """Return whether a client takes part: the first `number` clients that send do."""
        if client not in self.known and len(self.known) < self._number:
            self.known.add(client)
            self._missing = min(self._missing, self._number - len(self.known))
        return client in self.known

    def judge(self, client: str, number: int, failed: bool = False) -> Verdict:
        """Return how an answer for round `number` counts; the server waits again for a client that answers late."""
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
        """Wait only for the present clients, until the others send."""
        self._silent |= self.known - present
        self._missing = self._number - len(self.known)

    def count(self, client: str) -> None:
        """Count an answer."""
        self.answered.add(client)
        self.failed.pop(client, None)

    def fail(self, client: str, reason: str) -> None:
        """Note that a client failed in this round; raise RoundError when the round cannot succeed any more."""
        self.failed[client] = reason
        if not self._continues:
            raise RoundError(f"client {client} failed in round {self.round}: {reason}")
        if self._number - len(self.failed) < self._minimum:
            told = "; ".join(f"{name}: {why}" for name, why in sorted(self.failed.items()))
            raise RoundError(f"fewer than {self._minimum} clients are left in round {self.round} ({told})")

    def reject(self, client: str, reason: str) -> None:
        """Remove a counted answer: the client failed in this round. Raises RoundError as `fail` does."""
        self.answered.discard(client)
        self.fail(client, reason)

    @property
    def complete(self) -> bool:
        """Return whether all awaited clients, and enough of them, have answered."""
        gone = self.answered | set(self.failed) | self._silent
        return len(gone) + self._missing >= self._number and len(self.answered) >= self._minimum

    def close(self, seconds: float) -> None:
        """End a round at its time limit; raise RoundError when too few clients have answered."""
        enough = self._minimum if self._continues else self._number
        if len(self.answered) < enough:
            waited = sorted(self.known - self.answered) or ["all"]
            raise RoundError(
                f"{len(self.answered)} of {enough} clients answered in round {self.round} within {seconds:g} s; "
                f"no answer of: {', '.join(waited)}"
            )
        self.excuse(self.answered)

"""The rounds of a federated training as its roles reported them: roles, bytes, metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from executions.models import Execution, FederatedProgress
from executions.progress import EVALUATED, FAILED, SERVER, partner_names, refuse_unless_federated

# A training may have millions of rounds; an answer or a plot shows at most this many.
MAX_ROUNDS = 500


class PartnerState(StrEnum):
    """The state of a data partner's client."""

    WAITING = "waiting"
    READY = "ready"
    TRAINING = "training"
    ANSWERED = "answered"
    EVALUATING = "evaluating"
    EVALUATED = "evaluated"
    ENDED = "ended"
    FAILED = "failed"


_OF_STEP = {
    "ready": PartnerState.READY,
    "training_from_scratch": PartnerState.TRAINING,
    "training_from_pretrained_model": PartnerState.TRAINING,
    "sent": PartnerState.ANSWERED,
    "evaluating_from_pretrained_model": PartnerState.EVALUATING,
    EVALUATED: PartnerState.EVALUATED,
    "ended": PartnerState.ENDED,
    FAILED: PartnerState.FAILED,
}


@dataclass(frozen=True)
class Role:
    """The last report of a server or client; `round` is None before the first one. Bytes since its process began."""

    partner: str
    state: str
    round: int | None
    message: str
    bytes_sent: int
    bytes_received: int
    at: datetime | None


@dataclass(frozen=True)
class Round:
    """One round; the final evaluation has the number of rounds. `failed` maps data partners to reasons."""

    number: int
    is_evaluation: bool
    state: str
    ready: Sequence[str]
    answered: Sequence[str]
    failed: Mapping[str, str]
    metrics: Mapping[str, Mapping[str, float]]
    bytes_sent: int
    bytes_received: int
    began_at: datetime
    at: datetime


@dataclass(frozen=True)
class Training:
    """The federated training of one attempt, with the newest `MAX_ROUNDS` rounds."""

    attempt: int
    server: Role | None
    partners: Sequence[Role]
    rounds: Sequence[Round]


def training_of(execution: Execution, attempt: int) -> Training:
    """Return the federated training of an execution's attempt. Raises InvalidInput for one that is not federated."""
    refuse_unless_federated(execution)
    told = FederatedProgress.objects.filter(execution=execution, attempt=attempt).order_by("round", "partner")
    last = told.last()
    rows = list(told.filter(round__gt=last.round - MAX_ROUNDS)) if last else []
    names = partner_names(execution)
    by_round: dict[int, dict[str, FederatedProgress]] = {}
    newest: dict[str, FederatedProgress] = {}
    for row in rows:
        by_round.setdefault(row.round, {})[row.partner] = row
        newest[row.partner] = row
    for name in names if last and last.round >= MAX_ROUNDS else ():
        if name not in newest and (earlier := told.filter(partner=name).last()):
            newest[name] = earlier
    server = newest.get(SERVER)
    return Training(
        attempt=attempt,
        server=_role(server, server.step) if server else None,
        partners=[_partner(name, newest.get(name), server) for name in names],
        rounds=[_round(number, told, names, execution.number_iterations or 0) for number, told in by_round.items()],
    )


def _role(row: FederatedProgress, state: str) -> Role:
    return Role(row.partner, state, row.round, row.message, row.bytes_sent, row.bytes_received, row.at)


def _partner(name: str, row: FederatedProgress | None, server: FederatedProgress | None) -> Role:
    """Return the state of a client by its own reports, else by the server's: not every implementation reports to us."""
    if row is not None:
        return _role(row, _OF_STEP.get(row.step, PartnerState.TRAINING))
    told = (server.clients or {}) if server else {}
    if server is not None and name in told.get("failed", ()):
        return Role(name, PartnerState.FAILED, server.round, told["failed"][name], 0, 0, server.at)
    for kind, state in (("answered", PartnerState.ANSWERED), ("ready", PartnerState.READY)):
        if server is not None and name in told.get(kind, ()):
            return Role(name, state, server.round, "", 0, 0, server.at)
    return Role(name, PartnerState.WAITING, None, "", 0, 0, None)


def _round(number: int, told: Mapping[str, FederatedProgress], names: Sequence[str], last: int) -> Round:
    server = told.get(SERVER)
    clients = (server.clients or {}) if server else {}
    own = {name: told[name] for name in names if name in told}
    metrics = {name: row.metrics for name, row in own.items() if row.metrics}
    return Round(
        number=number,
        is_evaluation=number == last,
        state=server.step if server else "",
        ready=clients.get("ready", []),
        answered=clients.get("answered", []),
        failed=clients.get("failed", {}),
        metrics=metrics,
        bytes_sent=server.bytes_sent if server else 0,
        bytes_received=server.bytes_received if server else 0,
        began_at=min(row.first_at for row in told.values()),
        at=max(row.at for row in told.values()),
    )

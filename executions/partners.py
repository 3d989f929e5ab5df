"""Data partners that an execution waits for: they have no ready cluster node for its pods. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from runs.readiness import NO_NODE, Readiness


@dataclass(frozen=True)
class AwaitedPartner:
    """A data partner whose pods cannot start now, and why."""

    name: str
    reason: str


def awaited_partners(names: Iterable[str], known: Mapping[str, Readiness] | None) -> list[AwaitedPartner]:
    """Return the data partners without a ready cluster node; none if the engine's cluster nodes are not known."""
    if known is None:
        return []
    found = ((name, known.get(name, NO_NODE)) for name in names)
    return [AwaitedPartner(name, partner.reason) for name, partner in found if not partner.is_ready]


def waiting_words(awaited: Sequence[AwaitedPartner]) -> str:
    """Return a sentence that names the awaited data partners and the reasons, or an empty text."""
    if not awaited:
        return ""
    return "The execution waits for " + " and ".join(f"{each.name} ({each.reason})" for each in awaited) + "."

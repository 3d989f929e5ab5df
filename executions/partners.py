"""Data partners that an execution waits for: those without a node that could take its pods. Pure."""

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
    """Return which data partners have no ready node; none where nothing is known of the engine's nodes."""
    if known is None:
        return []
    found = ((name, known.get(name, NO_NODE)) for name in names)
    return [AwaitedPartner(name, partner.reason) for name, partner in found if not partner.is_ready]


def waiting_words(awaited: Sequence[AwaitedPartner]) -> str:
    """Return a sentence that says who is waited for, or an empty text."""
    if not awaited:
        return ""
    return "Waiting for " + ", and for ".join(f"{partner.name}: {partner.reason}" for partner in awaited) + "."

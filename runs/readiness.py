"""Whether data partners have cluster nodes for their pods, by the table of cluster nodes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runs.models import Node


@dataclass(frozen=True)
class Readiness:
    """The state of one data partner's cluster nodes at one engine; `unready` says which are not ready, and why."""

    is_ready: bool
    unready: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why no pod of the data partner can start; only used if none can."""
        return (
            f"none of its cluster nodes is ready ({'; '.join(self.unready)})"
            if self.unready
            else "it has no cluster node"
        )


NO_NODE = Readiness(is_ready=False)


def readiness(engines: Iterable[str]) -> dict[str, dict[str, Readiness]]:
    """Return the readiness of each data partner by engine; no entry for an engine whose cluster nodes are unknown."""
    found: dict[str, dict[str, Readiness]] = {}
    rows = Node.objects.filter(engine__in=set(engines)).order_by("engine", "name")
    for engine, partner, name, ready, message in rows.values_list("engine", "partner", "name", "ready", "message"):
        partners = found.setdefault(engine, {})
        if partner:
            known = partners.get(partner, NO_NODE)
            said = () if ready else (f"{name}: {message}" if message else name,)
            partners[partner] = Readiness(known.is_ready or ready, (*known.unready, *said))
    return found

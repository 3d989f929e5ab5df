"""The machines of each engine: the controller asks for them and keeps a table, so that nobody else needs to ask."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import datetime

from django.db import connections, transaction
from django.utils import timezone

from engines.base import ClusterNode, Engine, EngineUnavailable
from runs.models import Node

logger = logging.getLogger(__name__)

# Manifests place a data partner's pods by this label of cluster nodes.
PARTNER_LABEL = "dataPartner"
INVENTORY_SECONDS = 30.0
# The pause after an engine did not answer.
PAUSE_SECONDS = 5.0


def nodes_written(*, engine: str, nodes: Iterable[ClusterNode], now: datetime | None = None) -> None:
    """Store the cluster nodes that an engine has now; delete those that it no longer has."""
    now = now or timezone.now()
    # Always in the same order: otherwise two controllers that write at once could wait for each other.
    rows = [_row(engine, node, now) for _, node in sorted({node.name: node for node in nodes}.items())]
    with transaction.atomic():
        present = {row.name for row in rows}
        known = Node.objects.filter(engine=engine).values_list("pk", "name")
        gone = [pk for pk, name in known if name not in present]
        Node.objects.filter(pk__in=gone).delete()
        Node.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=("engine", "name"),
            update_fields=("partner", "labels", "ready", "message", "seen_at"),
        )


def nodes_forgotten(*, except_of: Iterable[str]) -> None:
    """Delete the cluster nodes of all engines but these: nothing would update them."""
    Node.objects.exclude(engine__in=list(except_of)).delete()


def _row(engine: str, node: ClusterNode, now: datetime) -> Node:
    return Node(
        engine=engine,
        name=node.name,
        partner=node.labels.get(PARTNER_LABEL, ""),
        labels=dict(node.labels),
        ready=node.ready,
        message=node.message.replace("\0", "\ufffd"),
        seen_at=now,
    )


class Inventory:
    """Keeps one engine's cluster nodes up to date."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock

    def run(self, stopping: threading.Event, every_seconds: float = INVENTORY_SECONDS) -> None:
        """Look regularly until the controller stops, and sooner after the engine did not answer."""
        answered = True
        while not stopping.is_set():
            pause = every_seconds
            try:
                self.look()
                answered = True
            except EngineUnavailable as error:
                # The earlier rows stay, with their time.
                if answered:
                    logger.warning("Engine %s does not list its cluster nodes: %s", self._engine.alias, error)
                answered, pause = False, min(every_seconds, PAUSE_SECONDS)
            except Exception:
                logger.exception("The cluster nodes of engine %s could not be stored", self._engine.alias)
                pause = min(every_seconds, PAUSE_SECONDS)
            # A connection that is used so rarely is not kept open.
            connections.close_all()
            stopping.wait(pause)

    def look(self) -> None:
        """Look once. Raises EngineUnavailable."""
        nodes_written(engine=self._engine.alias, nodes=self._engine.nodes(), now=self._clock())

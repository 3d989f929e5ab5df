"""Deletes the Kafka topics of channels that have ended; docs/reference/federated-channels.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from federated.adapters.base import ChannelAdapter, ChannelUnavailable
from federated.adapters.configured import get_adapter
from federated.adapters.database import DatabaseAdapter
from federated.cleaning import DONE, WOULD, Outcome, remainders, remove

_FAILED_EXIT = 1
_HEAD = ("TOPIC", "EXECUTION", "WHY", "STATE")


class Command(BaseCommand):
    help = "Delete the Kafka topics of ended and deleted runs, and no other topics."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="List what would be deleted, and delete nothing.")
        parser.add_argument(
            "--orphans",
            type=_days,
            metavar="DAYS",
            help="Also delete topics named like a channel's that belong to no channel of this service, if their run "
            "began more than DAYS days ago. They may belong to another orchestrator at the same brokers.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        adapters = list(_outside_adapters())
        if not adapters:
            self.stdout.write("No adapter uses topics: nothing to do.")
            return
        failures = []
        outcomes: list[Outcome] = []
        for alias, adapter in adapters:
            try:
                outcomes += self._clean(alias, adapter, options)
            except ChannelUnavailable as error:
                failures.append(str(error))
        self._show(outcomes)
        failures += [outcome.message for outcome in outcomes if outcome.message]
        if failures:
            raise CommandError("\n".join(failures), returncode=_FAILED_EXIT)

    def _clean(self, alias: str, adapter: ChannelAdapter, options: dict[str, Any]) -> list[Outcome]:
        now, days = timezone.now(), options["orphans"]
        found = list(remainders(alias, adapter, now, None if days is None else now - timedelta(days=days)))
        if options["dry_run"]:
            return [Outcome(remainder, WOULD) for remainder in found]
        return list(remove(adapter, found))

    def _show(self, outcomes: Sequence[Outcome]) -> None:
        rows = [
            (part, str(outcome.remainder.owner_id), outcome.remainder.why, outcome.state)
            for outcome in outcomes
            for part in outcome.remainder.parts or (f"({outcome.remainder.channel_id}: no topic left)",)
        ]
        if rows:
            widths = [max(len(row[column]) for row in (_HEAD, *rows)) for column in range(len(_HEAD))]
            for row in (_HEAD, *rows):
                cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
                self.stdout.write("  ".join(cells).rstrip())
        deleted = sum(len(outcome.remainder.parts) for outcome in outcomes if outcome.state == DONE)
        self.stdout.write(f"{len(rows)} found, {deleted} deleted")


def _outside_adapters() -> Iterator[tuple[str, ChannelAdapter]]:
    """Yield the adapters that keep messages outside this service; its own rows are deleted in its transactions."""
    for alias in settings.FEDERATED_ADAPTERS:
        adapter = get_adapter(alias)
        if not isinstance(adapter, DatabaseAdapter):
            yield alias, adapter


def _days(text: str) -> int:
    days = int(text)
    if not 0 < days <= 36_500:
        raise ValueError("the number of days must be from 1 to 36500")
    return days

"""Finds and deletes topics that are left over from channels.

Normally a run's release closes its channel. Topics are left over if a broker was down, or if a service's database was
created anew. A channel whose row is open and whose time is not over is never touched: its row was written before its
topics were created.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from federated.adapters.base import ChannelAdapter, ChannelUnavailable
from federated.channels import read_channel_id
from federated.models import Channel
from federated.services import channel_close

DONE, FAILED, NOT_TRIED, WOULD = "deleted", "failed", "not tried", "would be deleted"


@dataclass(frozen=True)
class Remainder:
    """What is left of one channel, and why it may be deleted; `is_known` means that the channel has a row here."""

    channel_id: str
    parts: tuple[str, ...]
    owner_id: int
    why: str
    is_known: bool


@dataclass(frozen=True)
class Outcome:
    """The result of a deletion; `message` is empty unless it failed."""

    remainder: Remainder
    state: str
    message: str = ""


def remainders(
    alias: str, adapter: ChannelAdapter, now: datetime, orphans_before: datetime | None
) -> Iterator[Remainder]:
    """Yield what may be deleted, the oldest owner first.

    A channel without a row is deleted only if the time in its name is before `orphans_before`: it may belong to another
    service and still be in use. Raises ChannelUnavailable.
    """
    # The adapter is asked first: a channel that is opened in the meantime has a row when the rows are read.
    there = adapter.remains()
    rows = {row.pk: row for row in Channel.objects.filter(pk__in=list(there))}
    uncleared = Channel.objects.filter(adapter=alias, cleared_at__isnull=True)
    rows |= {row.pk: row for row in uncleared}
    found = [
        Remainder(row.pk, there.get(row.pk, ()), row.owner_id, why, is_known=True)
        for row in rows.values()
        if row.adapter == alias and (why := _why(row, now))
    ]
    found += _orphans({name: parts for name, parts in there.items() if name not in rows}, orphans_before)
    yield from sorted(found, key=lambda each: (each.owner_id, each.channel_id))


def remove(adapter: ChannelAdapter, found: Iterable[Remainder]) -> Iterator[Outcome]:
    """Delete remainders one by one; once the adapter does not answer, the others are not tried."""
    is_away = False
    for remainder in found:
        if is_away:
            yield Outcome(remainder, NOT_TRIED)
            continue
        try:
            if remainder.is_known:
                channel_close(remainder.channel_id)
            # Even if the row says that nothing is left: something was created after that.
            adapter.close(remainder.channel_id)
        except ChannelUnavailable as error:
            is_away = True
            yield Outcome(remainder, FAILED, str(error))
        else:
            yield Outcome(remainder, DONE)


def _why(row: Channel, now: datetime) -> str:
    if row.closed_at is not None:
        return "closed"
    return "its time is over" if row.ends_at < now else ""


def _orphans(unknown: dict[str, tuple[str, ...]], before: datetime | None) -> Iterator[Remainder]:
    for channel_id, parts in unknown.items():
        name = read_channel_id(channel_id)
        if before is not None and name is not None and name.created_at < before:
            yield Remainder(channel_id, parts, name.owner_id, "unknown here", is_known=False)

"""Reads of channels, their messages and their stored models."""

from __future__ import annotations

from typing import Any

from federated.errors import ChannelClosed
from federated.messages import topic_end
from federated.models import Channel, ChannelMessage, StoredModel
from web.errors import NotFound

Keys = frozenset[str] | None


def channel_found(channel_id: str) -> Channel:
    """Return a channel, open or closed. Raises NotFound."""
    channel = Channel.objects.filter(pk=channel_id).first()
    if channel is None:
        raise NotFound("There is no such channel.")
    return channel


def refuse_closed(channel: Channel) -> None:
    """Raise ChannelClosed if a channel is closed."""
    if channel.closed_at is not None:
        raise ChannelClosed


def heads_after(channel_id: str, topic: str, after: int, limit: int, keys: Keys = None) -> list[dict[str, Any]]:
    """Return the heads of a topic's messages after an offset, the oldest first; of `keys` only if given."""
    rows = ChannelMessage.objects.filter(channel=channel_id, topic=topic, offset__gt=after).order_by("offset")
    if keys is not None:
        rows = rows.filter(key__in=keys)
    return [dict(row) for row in rows.values("offset", "key", "headers", "size")[:limit]]


def end_of(channel_id: str, topic: str, heads: list[dict[str, Any]], limit: int, keys: Keys = None) -> int:
    """Return the offset of a topic's last message of these keys, as of when the heads were read or later."""
    if heads and len(heads) < limit:
        return int(heads[-1]["offset"])
    return topic_end(channel_id, topic, keys)


def message_found(channel_id: str, topic: str, offset: int, keys: Keys = None) -> ChannelMessage:
    """Return a message that has a value; of `keys` only if given. Raises NotFound."""
    row = ChannelMessage.objects.filter(channel=channel_id, topic=topic, offset=offset).first()
    if row is None or (keys is not None and row.key not in keys):
        raise NotFound("There is no message at this offset.")
    if not row.contents:
        raise NotFound("The message at this offset has the null value.")
    return row


def stored_model_found(channel_id: str, sha256: str, storers: Keys = None) -> StoredModel:
    """Return a stored model; of `storers` only if given. Raises NotFound."""
    row = StoredModel.objects.filter(channel=channel_id, sha256=sha256).first()
    if row is None or (storers is not None and row.stored_by not in storers):
        raise NotFound("There is no stored model with this digest.")
    return row

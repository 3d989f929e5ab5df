"""Messages and models of channels that this service stores: publishing and deleting them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.core.files.base import File
from django.db import transaction
from django.db.models import Max, Model, QuerySet
from django.db.models.fields.files import FieldFile

from federated.errors import ChannelClosed
from federated.models import Channel, ChannelMessage, StoredModel
from federated.waiting import MESSAGES
from web.errors import NotFound
from web.storage import delete_after_commit, save, stored_files


@dataclass(frozen=True)
class Publication:
    """A message to publish; `body` is None for the null value."""

    topic: str
    message_id: str
    key: str
    headers: dict[str, str]
    body: File[Any] | None


@dataclass(frozen=True)
class Published:
    """The offset of a message, and whether it is new."""

    offset: int
    is_new: bool


class _KnownAlready(Exception):
    """Another request has stored the same in the meantime."""


def message_offset(*, channel_id: str, topic: str, message_id: str) -> int | None:
    """Return the offset of a message that has been published already, or None."""
    known = ChannelMessage.objects.filter(channel=channel_id, topic=topic, message_id=message_id)
    return known.values_list("offset", flat=True).first()


def message_publish(*, channel: Channel, message: Publication) -> Published:
    """Append a message to its topic, once for each id. Raises NotFound, ChannelClosed and StorageFull."""
    row = ChannelMessage(
        channel=channel,
        topic=message.topic,
        message_id=message.message_id,
        key=message.key,
        headers=message.headers,
        size=None if message.body is None else message.body.size,
    )
    offset: int | None = None
    try:
        with stored_files():
            if message.body is not None:
                save(row.contents, "message", message.body)
            with transaction.atomic():
                # The lock lets one publisher of a channel write at a time: offsets become visible in their order.
                _lock_open(channel.pk)
                offset = message_offset(channel_id=channel.pk, topic=message.topic, message_id=message.message_id)
                if offset is not None:
                    raise _KnownAlready
                row.offset = topic_end(channel.pk, message.topic) + 1
                row.save(force_insert=True)
                MESSAGES.tell()
    except _KnownAlready:
        assert offset is not None
        return Published(offset, is_new=False)
    return Published(row.offset, is_new=True)


def stored_model_put(*, channel: Channel, sha256: str, body: File[Any], stored_by: str = "") -> bool:
    """Store a model under its digest; return whether it is new. `stored_by` is the data partner, '' for the server.

    Raises NotFound, ChannelClosed and StorageFull.
    """
    row = StoredModel(channel=channel, sha256=sha256, size=body.size, stored_by=stored_by)
    try:
        with stored_files():
            save(row.contents, "model", body)
            with transaction.atomic():
                _lock_open(channel.pk)
                if StoredModel.objects.filter(channel=channel, sha256=sha256).exists():
                    raise _KnownAlready
                row.save(force_insert=True)
    except _KnownAlready:
        if not stored_by:
            # A model of the server is for all roles, even if one client has sent the same.
            StoredModel.objects.filter(channel=channel, sha256=sha256).update(stored_by="")
        return False
    return True


def messages_delete(*, channel_id: str) -> None:
    """Delete a channel's messages and their files."""
    with transaction.atomic():
        Channel.objects.select_for_update().filter(pk=channel_id).first()
        _delete(ChannelMessage.objects.filter(channel=channel_id))


def stored_models_delete(*, channel_id: str) -> None:
    """Delete the models that were stored for a channel, and their files."""
    with transaction.atomic():
        _delete(StoredModel.objects.filter(channel=channel_id))


def topic_end(channel_id: str, topic: str, keys: Collection[str] | None = None) -> int:
    """Return the offset of a topic's last message, of `keys` only if given; -1 if there is none."""
    messages = ChannelMessage.objects.filter(channel=channel_id, topic=topic)
    if keys is not None:
        messages = messages.filter(key__in=keys)
    last: int | None = messages.aggregate(last=Max("offset"))["last"]
    return -1 if last is None else last


def _lock_open(channel_id: str) -> None:
    channel = Channel.objects.select_for_update().filter(pk=channel_id).first()
    if channel is None:
        raise NotFound("There is no such channel.")
    if channel.closed_at is not None:
        raise ChannelClosed


def _delete(rows: QuerySet[Any, Any]) -> None:
    found: list[Model] = list(rows)
    files: list[FieldFile] = [row.contents for row in found]  # type: ignore[attr-defined]
    rows.delete()
    delete_after_commit(*files)

"""Channels: opened before a Workflow starts and closed after it has ended.

    environment = manager_environment(spec)      # for the manifest, when it is rendered
    secrets = channel_open(spec)                 # before the Workflow is submitted
    channel_close(spec.id)                       # after its end

Opening a channel writes its row first, so that everything outside the database always has a row. A channel whose row is
open is never cleaned up.
"""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

from federated.adapters.base import ChannelAdapter, ChannelRefused, ChannelSpec, ChannelUnavailable
from federated.adapters.configured import get_adapter
from federated.messages import stored_models_delete
from federated.models import Channel

__all__ = [
    "ChannelRefused",
    "ChannelSpec",
    "ChannelUnavailable",
    "channel_close",
    "channel_fail",
    "channel_open",
    "manager_environment",
    "secret_variables",
]


def manager_environment(spec: ChannelSpec) -> dict[str, str]:
    """Return the environment variables of the federated managers that use a channel; no network."""
    return _chosen().environment(spec)


def secret_variables() -> tuple[str, ...]:
    """Return the names of the environment variables that `channel_open` returns and a Secret holds."""
    return _chosen().secret_variables()


def channel_open(spec: ChannelSpec) -> dict[str, str]:
    """Open a channel unless it is open already; return the values of `secret_variables`.

    Raises ChannelUnavailable, which is temporary, and ChannelRefused, which is final.
    """
    first = Channel(
        pk=spec.id,
        adapter=settings.FEDERATED_ADAPTER,
        owner_kind=spec.owner_kind,
        owner_id=spec.owner_id,
        attempt=spec.attempt,
        max_model_bytes=spec.max_model_bytes,
        ends_at=spec.ends_at,
    )
    Channel.objects.bulk_create([first], ignore_conflicts=True)
    channel = Channel.objects.get(pk=spec.id)
    if channel.closed_at is not None:
        raise ChannelRefused(f"The channel {spec.id} is closed.")
    adapter = _adapter_of(channel)
    values = adapter.open(spec)
    # If the channel was closed in the meantime, the closing may have missed what was just created.
    if not Channel.objects.filter(pk=spec.id, closed_at__isnull=True).update(opened_at=timezone.now()):
        adapter.close(spec.id)
        raise ChannelRefused(f"The channel {spec.id} was closed while it was being opened.")
    return values


def channel_fail(channel_id: str, reason: str) -> None:
    """Tell the clients of an open channel, in place of their server, that the training has failed.

    Raises ChannelUnavailable.
    """
    channel = Channel.objects.filter(pk=channel_id, closed_at__isnull=True).first()
    if channel is not None:
        _adapter_of(channel).fail(channel_id, reason)


def channel_close(channel_id: str) -> None:
    """Close a channel and delete its messages; does nothing if it was never opened.

    Raises ChannelUnavailable; even then nothing can be published any more.
    """
    with transaction.atomic():
        channel = Channel.objects.select_for_update().filter(pk=channel_id).first()
        if channel is None:
            return
        if channel.closed_at is None:
            channel.closed_at = timezone.now()
            channel.save(update_fields=["closed_at"])
        stored_models_delete(channel_id=channel_id)
    if channel.cleared_at is None:
        _adapter_of(channel).close(channel_id)
        Channel.objects.filter(pk=channel_id).update(cleared_at=timezone.now())


def _adapter_of(channel: Channel) -> ChannelAdapter:
    try:
        return get_adapter(channel.adapter)
    except ImproperlyConfigured as error:
        # The adapter was removed from the settings; until it is configured again, the channel cannot be cleared.
        raise ChannelUnavailable(f"The adapter of the channel {channel.pk} is not configured: {error}") from error


def _chosen() -> ChannelAdapter:
    return get_adapter(settings.FEDERATED_ADAPTER)

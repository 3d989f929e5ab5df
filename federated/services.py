"""Channels, opened before a Workflow starts and closed when nothing of it runs any more.

    environment = manager_environment(spec)      # into the manifest, when it is rendered
    secrets = channel_open(spec)                 # before the Workflow is submitted
    channel_close(spec.id)                       # after its end

Whoever opens writes a row first, so that what is made outside always has one; a channel whose row is open is nobody's
to clean up.
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
    """Return the environment variables of the federated managers that talk over a channel; asks nobody."""
    return _chosen().environment(spec)


def secret_variables() -> tuple[str, ...]:
    """Return the names of the environment variables whose values `channel_open` gives, for a Secret to hold."""
    return _chosen().secret_variables()


def channel_open(spec: ChannelSpec) -> dict[str, str]:
    """Open a channel, or find it open; return the values of `secret_variables`.

    Raises ChannelUnavailable, which may pass, and ChannelRefused, which will not.
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
    # Who closed it meanwhile may have been earlier than what was just made.
    if not Channel.objects.filter(pk=spec.id, closed_at__isnull=True).update(opened_at=timezone.now()):
        adapter.close(spec.id)
        raise ChannelRefused(f"The channel {spec.id} was closed while it was being opened.")
    return values


def channel_fail(channel_id: str, reason: str) -> None:
    """Tell the clients that talk over an open channel that the training has failed, in their server's place.

    Raises ChannelUnavailable.
    """
    channel = Channel.objects.filter(pk=channel_id, closed_at__isnull=True).first()
    if channel is not None:
        _adapter_of(channel).fail(channel_id, reason)


def channel_close(channel_id: str) -> None:
    """Close a channel and delete all that was in it; does nothing where it never was opened.

    Raises ChannelUnavailable; nothing can be published any more even so.
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
        # Whoever took the adapter out of the settings may put it back; until then the channel can't be cleared.
        raise ChannelUnavailable(f"The channel {channel.pk} needs its adapter: {error}") from error


def _chosen() -> ChannelAdapter:
    return get_adapter(settings.FEDERATED_ADAPTER)

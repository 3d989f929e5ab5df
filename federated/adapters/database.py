"""Channels whose messages are stored by this service and sent over its API (federated.views)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from federated.adapters.base import ChannelAdapter, ChannelSpec
from federated.adapters.environment import common_environment
from federated.channels import FAILURE_ID, TO_CLIENTS, failure_headers
from federated.errors import ChannelClosed
from federated.messages import Publication, message_publish, messages_delete
from federated.models import Channel, ChannelMessage
from web.errors import NotFound


class DatabaseAdapter(ChannelAdapter):
    """Options: `api`, the address of this service for Workflows."""

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        self._api = str(options["api"])
        if not self._api.startswith(("http://", "https://")):
            raise ValueError(f"api must be an HTTP address, not {self._api!r}")

    def environment(self, spec: ChannelSpec) -> dict[str, str]:
        return {
            **common_environment(spec),
            "COMMUNICATION_ADAPTER": "DATABASE",
            "COMMUNICATION_ADAPTER_BOOTSTRAP_SERVERS_CONFIG": self._api,
        }

    def secret_variables(self) -> tuple[str, ...]:
        return ()

    def open(self, spec: ChannelSpec) -> dict[str, str]:
        # Publishing only needs the row, which the caller has stored.
        return {}

    def fail(self, channel_id: str, reason: str) -> None:
        message = Publication(TO_CLIENTS, FAILURE_ID, channel_id, failure_headers(reason), None)
        with contextlib.suppress(ChannelClosed, NotFound):
            message_publish(channel=Channel(pk=channel_id), message=message)

    def close(self, channel_id: str) -> None:
        messages_delete(channel_id=channel_id)

    def remains(self) -> dict[str, tuple[str, ...]]:
        kept = Channel.objects.filter(pk__in=ChannelMessage.objects.values("channel")).values_list("pk", flat=True)
        return dict.fromkeys(kept, ("messages",))

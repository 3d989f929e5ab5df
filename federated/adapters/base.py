"""The port between a channel's row and what carries its messages.

An adapter is created once for each process, as ``Adapter(alias, options)`` from settings.FEDERATED_ADAPTERS. Its
constructor checks the options, raises ValueError for wrong ones, and opens no connection.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime


class ChannelUnavailable(Exception):
    """The system that carries the messages does not answer; trying again may help."""


class ChannelRefused(Exception):
    """The channel can never be opened; the message says why, with the numbers."""


@dataclass(frozen=True)
class ChannelSpec:
    """A channel of one attempt of an owner of runs.

    `id` comes from `federated.channels.channel_id`; `max_model_bytes` is the declared size of a model's zip; the
    channel is not needed after `ends_at`.
    """

    id: str
    owner_kind: str
    owner_id: int
    attempt: int
    max_model_bytes: int
    ends_at: datetime


class ChannelAdapter(ABC):
    """Carries the messages of channels. Every call may be repeated, also by several processes at once."""

    @abstractmethod
    def environment(self, spec: ChannelSpec) -> dict[str, str]:
        """Return the environment variables that tell a federated manager how to reach the channel; no network.

        They contain no secrets.
        """

    @abstractmethod
    def secret_variables(self) -> tuple[str, ...]:
        """Return the names of the environment variables that `open` gives and only a Secret may hold."""

    @abstractmethod
    def open(self, spec: ChannelSpec) -> dict[str, str]:
        """Create what carries the channel's messages; return the values of `secret_variables`.

        For one channel the values are always the same. Raises ChannelUnavailable and ChannelRefused.
        """

    def fail(self, channel_id: str, reason: str) -> None:
        """Tell the clients of a channel, in place of the server, that the training failed; they end with the reason.

        Raises ChannelUnavailable. If an adapter cannot tell them, the clients end by their time-outs.
        """
        return

    @abstractmethod
    def close(self, channel_id: str) -> None:
        """Delete the channel's messages and what carries them; does nothing if there are none.

        Raises ChannelUnavailable.
        """

    @abstractmethod
    def remains(self) -> dict[str, tuple[str, ...]]:
        """Return what exists of all channels, also of other services: channel ids to the names of their parts.

        Raises ChannelUnavailable.
        """

"""The port between a channel's row and what carries its messages.

An adapter is made once for each process, as ``Adapter(alias, options)`` from settings.FEDERATED_ADAPTERS; its
constructor checks the options, raises ValueError for what is wrong with them, and connects to nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime


class ChannelUnavailable(Exception):
    """What carries the messages does not answer; trying again may help."""


class ChannelRefused(Exception):
    """The channel can never be opened; the message says why, with the numbers."""


@dataclass(frozen=True)
class ChannelSpec:
    """A channel of one attempt of an owner of runs.

    `id` is made by `federated.channels.channel_id`; `max_model_bytes` is the declared size of a model's zip; nothing
    needs the channel after `ends_at`.
    """

    id: str
    owner_kind: str
    owner_id: int
    attempt: int
    max_model_bytes: int
    ends_at: datetime


class ChannelAdapter(ABC):
    """Carries the messages of channels. Every call may be repeated, by several processes at once, and must not mind."""

    @abstractmethod
    def environment(self, spec: ChannelSpec) -> dict[str, str]:
        """Return the environment variables by which a federated manager finds the channel; asks nobody.

        Nothing secret is in them.
        """

    @abstractmethod
    def secret_variables(self) -> tuple[str, ...]:
        """Return the names of the environment variables that `open` gives and only a Secret may hold."""

    @abstractmethod
    def open(self, spec: ChannelSpec) -> dict[str, str]:
        """Make ready what carries the channel's messages; return the values of `secret_variables`.

        The values are the same for the same channel, whenever asked. Raises ChannelUnavailable and ChannelRefused.
        """

    def fail(self, channel_id: str, reason: str) -> None:
        """Tell the clients of a channel that the training has failed, in the server's place; they end with the reason.

        Raises ChannelUnavailable. An adapter that cannot tell them leaves them to their time-outs.
        """
        return

    @abstractmethod
    def close(self, channel_id: str) -> None:
        """Delete what carries the channel's messages, and the messages; also where there is nothing of it.

        Raises ChannelUnavailable.
        """

    @abstractmethod
    def remains(self) -> dict[str, tuple[str, ...]]:
        """Return what there is of any channel, of whatever service: channel ids to names of what they have.

        Raises ChannelUnavailable.
        """

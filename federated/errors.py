"""Errors of the channel API, besides those of the whole API."""

from __future__ import annotations

from web.errors import OrchestratorError


class ChannelClosed(OrchestratorError):
    code = "channel-closed"
    status = 410
    title = "The channel is closed and its messages are deleted."

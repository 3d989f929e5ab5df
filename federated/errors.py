"""What is wrong with a request to a channel, beside what the whole API knows."""

from __future__ import annotations

from web.errors import OrchestratorError


class ChannelClosed(OrchestratorError):
    code = "channel-closed"
    status = 410
    title = "The channel is closed, and what was in it is gone."

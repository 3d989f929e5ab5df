"""What every federated manager is told of its channel, whatever carries the messages."""

from __future__ import annotations

from federated.adapters.base import ChannelSpec

_KILOBYTE = 1024
# How long a role listens before it looks at its own deadlines again; an answer that comes earlier ends the wait.
_POLL_SECONDS = 5


def common_environment(spec: ChannelSpec) -> dict[str, str]:
    """Return the variables that are the same for every adapter."""
    return {
        # Counted up: a model that the channel admits is never refused by the manager.
        "COMMUNICATION_ADAPTER_MAX_MODEL_SIZE": str(-(-spec.max_model_bytes // _KILOBYTE)),
        "COMMUNICATION_ADAPTER_POLL_TIME_OUT": str(_POLL_SECONDS),
    }

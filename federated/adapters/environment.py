"""The variables of a channel that every federated manager gets, whatever carries the messages."""

from __future__ import annotations

from federated.adapters.base import ChannelSpec

_KILOBYTE = 1024
# How long a role waits for messages before it checks its own deadlines; a message ends the wait earlier.
_POLL_SECONDS = 5


def common_environment(spec: ChannelSpec) -> dict[str, str]:
    """Return the variables that are the same for every adapter."""
    return {
        # Rounded up, so that the manager never refuses a model that the channel accepts.
        "COMMUNICATION_ADAPTER_MAX_MODEL_SIZE": str(-(-spec.max_model_bytes // _KILOBYTE)),
        "COMMUNICATION_ADAPTER_POLL_TIME_OUT": str(_POLL_SECONDS),
    }

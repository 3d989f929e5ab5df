"""The faults that end a role, beside those of `runtime.errors`.

RuntimeFault
├── ChannelError       a channel can't be used
├── ModelError         a model or its metrics can't be sent or used
│   └── ModelsRefused  the models of some clients can't be merged
├── RoundError         too few clients answered, or the server didn't
└── RunFailed          another role failed, and said so
"""

from collections.abc import Mapping

from runtime.errors import RuntimeFault


class ChannelError(RuntimeFault):
    """Tell that a channel can't be used: refused, gone, or silent for too long."""


class ModelError(RuntimeFault):
    """Tell that a model or its metrics can't be sent or used as they are."""


class ModelsRefused(ModelError):
    """Tell that the models of some clients can't be merged; `clients` has the reason for each."""

    def __init__(self, clients: Mapping[str, str]) -> None:
        self.clients = dict(clients)
        super().__init__("; ".join(f"{client}: {reason}" for client, reason in self.clients.items()))


class RoundError(RuntimeFault):
    """Tell that a round can't end: too few clients answered in time, or the server didn't."""


class RunFailed(RuntimeFault):
    """Tell that another role failed; whoever gets this needs to tell nobody else."""

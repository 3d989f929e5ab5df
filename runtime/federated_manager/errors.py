"""The faults that end a role, beside those of `runtime.errors`.

RuntimeFault
├── ChannelError       a channel cannot be used
├── ModelError         a model or its metrics cannot be sent or used
│   └── ModelsRefused  the models of some clients cannot be merged
├── RoundError         too few clients answered, or the server did not
└── RunFailed          another role reported a failure
"""

from collections.abc import Mapping

from runtime.errors import RuntimeFault


class ChannelError(RuntimeFault):
    """Report that a channel cannot be used: refused, gone, or silent for too long."""


class ModelError(RuntimeFault):
    """Report that a model or its metrics cannot be sent or used."""


class ModelsRefused(ModelError):
    """Report that the models of some clients cannot be merged; `clients` has the reason for each."""

    def __init__(self, clients: Mapping[str, str]) -> None:
        self.clients = dict(clients)
        super().__init__("; ".join(f"{client}: {reason}" for client, reason in self.clients.items()))


class RoundError(RuntimeFault):
    """Report that a round cannot end: too few clients answered in time, or the server did not."""


class RunFailed(RuntimeFault):
    """Report that another role failed; the others know it already."""

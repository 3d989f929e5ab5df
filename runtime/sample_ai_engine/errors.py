"""The sample AI engine's fault."""

from collections.abc import Mapping


class UseCaseError(Exception):
    """Report why a use case cannot be carried out; its text goes to the caller."""


class ModelsUnmergeable(UseCaseError):
    """Report which clients' models cannot be merged; `clients` has the reason for each."""

    def __init__(self, clients: Mapping[str, str]) -> None:
        self.clients = dict(clients)
        super().__init__("; ".join(f"the model of {client} {reason}" for client, reason in self.clients.items()))

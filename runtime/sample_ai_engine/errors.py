"""The sample AI engine's fault."""

from collections.abc import Mapping


class UseCaseError(Exception):
    """Say in a sentence why a use case can't be carried out; its text goes to the caller."""


class ModelsUnmergeable(UseCaseError):
    """Say which clients' models can't be merged; `clients` has the reason for each."""

    def __init__(self, clients: Mapping[str, str]) -> None:
        self.clients = dict(clients)
        super().__init__("; ".join(f"the model of {client} {reason}" for client, reason in self.clients.items()))

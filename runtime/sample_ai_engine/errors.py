"""The sample AI engine's fault."""


class UseCaseError(Exception):
    """Say in a sentence why a use case can't be carried out; its text goes to the caller."""

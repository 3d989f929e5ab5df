"""Hooks for the deletion of a Schema, registered by the apps that use Schemas.

This app must not import them, so each registers a callable that runs inside the deletion's transaction, before any row
is deleted.
"""

from __future__ import annotations

from collections.abc import Callable

from schemas.models import Schema

BeforeDelete = Callable[[Schema], None]

_registered: list[BeforeDelete] = []


def register(before_delete: BeforeDelete) -> None:
    """Let `before_delete(schema)` run whenever a Schema is deleted; registering it again changes nothing."""
    if before_delete not in _registered:
        _registered.append(before_delete)


def before_delete(schema: Schema) -> None:
    """Run the registered callables in their order."""
    for callback in _registered:
        callback(schema)

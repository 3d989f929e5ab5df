"""What else has to happen when a Schema is deleted, told by the kinds of work built upon it.

Those know the Schema, not the other way round: each registers a callable that runs inside the deletion's transaction,
before any row goes.
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
    """Run everything that was registered, in its order."""
    for callback in _registered:
        callback(schema)

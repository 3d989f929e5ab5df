"""Records what a request has created, in the transaction that stores it.

If a POST is repeated after its process died, it finds what the first one created and does not create it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Noter = Callable[[str], None]

_noter: ContextVar[Noter | None] = ContextVar("created", default=None)


def created(address: str) -> None:
    """Record the path of a created resource, e.g. `/api/executions/3/`; call it inside the transaction."""
    noter = _noter.get()
    if noter is not None:
        noter(address)


@contextmanager
def noting(noter: Noter) -> Iterator[None]:
    """Pass the paths that `created` gets inside the block to `noter`."""
    token = _noter.set(noter)
    try:
        yield
    finally:
        _noter.reset(token)

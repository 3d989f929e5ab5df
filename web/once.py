"""What a request has created, noted in the very transaction that stores it.

So a POST that is repeated after its process died finds what the first one made, in place of making it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Noter = Callable[[str], None]

_noter: ContextVar[Noter | None] = ContextVar("created", default=None)


def created(address: str) -> None:
    """Note the address of what is being created, e.g. `/api/executions/3/`; call it inside the transaction."""
    noter = _noter.get()
    if noter is not None:
        noter(address)


@contextmanager
def noting(noter: Noter) -> Iterator[None]:
    """Give what `created` is told inside the block to `noter`."""
    token = _noter.set(noter)
    try:
        yield
    finally:
        _noter.reset(token)

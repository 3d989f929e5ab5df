"""What a piece of work takes of the processor: unlike the time that passes, it does not grow on a busy machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cpu_seconds_below(limit: float) -> Iterator[None]:
    """Fail if this thread takes `limit` seconds of a processor, or more, within the block."""
    began = time.thread_time()
    yield
    assert time.thread_time() - began < limit

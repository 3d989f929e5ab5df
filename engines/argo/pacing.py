"""The rate limit of requests to the API server: a token bucket that all threads share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class TooFast(Exception):
    """A turn would come later than the caller can wait."""


class TokenBucket:
    """Gives turns: `burst` of them at once, `rate` a second in the long run, in the order of asking."""

    def __init__(
        self,
        rate: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._tokens = self._burst
        self._counted_at = clock()
        self._closed_until = 0.0

    def take(self, longest_seconds: float, leaving: float = 0.0) -> None:
        """Wait for a turn. Raises `TooFast` at once where that takes longer than told.

        With `leaving`, the call does not wait: a turn is taken only where so many turns are left then.
        """
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._counted_at) * self._rate)
            self._counted_at = now
            # A future turn is reserved: the next caller waits behind it.
            wait = max(self._closed_until - now, (1 - self._tokens) / self._rate, 0.0)
            if wait > longest_seconds or (leaving and (wait or self._tokens < 1 + leaving)):
                raise TooFast
            self._tokens -= 1
        if wait:
            self._sleep(wait)

    def close_for(self, seconds: float) -> None:
        """Give no turn for so long: the server has asked to wait."""
        with self._lock:
            self._closed_until = max(self._closed_until, self._clock() + seconds)

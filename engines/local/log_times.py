"""The times of a log file's content: pairs of offset and time, in a file beside it.

A pair gives the time of the content from that byte on: two 64-bit numbers, bytes and nanoseconds since 1970,
the lower byte first. The log itself stays what the container wrote. Imported inside sandboxes: it must load fast.
"""

# ruff: noqa: PTH123

from __future__ import annotations

import contextlib
import os
import struct
import time

from engines.local import layout

_PAIR = struct.Struct("<QQ")
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
# Writes within this time share a pair, so that single-byte writes do not make a far larger file of times.
_STEP_NANOSECONDS = 10_000_000
_READ_BYTES = 256 * _PAIR.size


class TimesWriter:
    """The writing end, for a log of `length` bytes up to now; on a full disk times are lost, never lines."""

    def __init__(self, log: str, length: int) -> None:
        self._path = log + layout.TIMES
        self._file = -1
        self._offset = length
        self._last = 0

    def note(self, size: int) -> None:
        """Note that so many bytes have come and are about to be written to the log."""
        now = time.time_ns()
        if not 0 <= now - self._last < _STEP_NANOSECONDS:
            with contextlib.suppress(OSError):
                if self._file < 0:
                    self._file = os.open(self._path, _FLAGS, 0o644)
                os.write(self._file, _PAIR.pack(self._offset, now))
                self._last = now
        self._offset += size

    def close(self) -> None:
        """Close what is open."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


class Times:
    """The reading end: for growing offsets it reads as far as needed."""

    def __init__(self, log: str) -> None:
        self._path = log + layout.TIMES
        self._read = 0
        self._ahead: list[tuple[int, int]] = []
        self._at = ""

    def at(self, offset: int) -> str:
        """Return the time of the byte at an offset (RFC 3339, UTC), '' where it is not known."""
        found = None
        while self._ahead or self._look_ahead():
            if self._ahead[-1][0] > offset:
                break
            found = self._ahead.pop()[1]
        if found is not None:
            self._at = rfc3339_of(found)
        return self._at

    def move(self, log: str) -> None:
        """Go on with the same times in a moved file."""
        self._path = log + layout.TIMES

    def _look_ahead(self) -> bool:
        try:
            with open(self._path, "rb") as file:
                file.seek(self._read)
                piece = file.read(_READ_BYTES)
        except OSError:
            return False
        whole = len(piece) - len(piece) % _PAIR.size
        self._read += whole
        self._ahead = [*_PAIR.iter_unpack(piece[:whole])][::-1]
        return bool(self._ahead)


def rfc3339_of(nanoseconds: int) -> str:
    """Return a time since 1970 in RFC 3339, in UTC and with microseconds."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction // 1000:06}Z"

"""Copy a container's stdout and stderr into its log files; runs in a sandbox's init process.

A stream is a pipe. Most containers end soon: their pipes are read once, after the end. Pipes of others are read
as they write. A file, and its directory, is made with the first byte: many containers write nothing.

Each stream has a limit: beyond it the container goes on, its further output is dropped, and a last
line of the log says so.

Making a file costs about as much as starting a program. So the output of a short container may be gathered with
that of others in one file per sandbox: `["<file name it would have had>", <bytes>, <nanoseconds since 1970>]` as a line
of JSON, then the bytes. The times of a separate file lie beside it (log_times.py).
"""

from __future__ import annotations

import errno
import json
import os
import select
import time

from engines.local.log_times import TimesWriter

_CHUNK_BYTES = 1 << 16
# More than a pipe of the largest size holds; only a writer outside of the container could go on after that.
_LAST_CHUNKS = 64
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_SOON_SECONDS = 0.05
LIMIT_BYTES = 100 << 20
_CUT = b"\n[The log was cut here: %d bytes are kept of each stream of a container. It goes on.]\n"


class Gathered:
    """The file with the outputs of many containers; only this process writes to it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = -1
        self._end = 0

    def add(self, name: str, chunk: bytes) -> None:
        """Add all that was written to a stream, or nothing. Raises OSError."""
        if self._file < 0:
            self._file = _open(self.path)
            self._end = os.fstat(self._file).st_size
        record = json.dumps([name, len(chunk), time.time_ns()]).encode() + b"\n" + chunk
        try:
            if os.write(self._file, record) < len(record):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._end += len(record)


def _open(path: str) -> int:
    try:
        return os.open(path, _FLAGS, 0o644)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        return os.open(path, _FLAGS, 0o644)


class Outlet:
    """One stream of one container, of which `limit` bytes are kept; `problem` says why they could not be."""

    def __init__(self, stream: str, path: str, limit: int = LIMIT_BYTES) -> None:
        self.problem = ""
        self._limit = limit
        # The remaining bytes once the file is open; less than 0 when the log was cut.
        self._room = limit
        self._stream = stream
        self._path = path
        self._file = -1
        self._times: TimesWriter | None = None
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.reader, False)

    def leave_writing(self) -> None:
        """Close the writing end here, so that only the container has it."""
        os.close(self.writer)
        self.writer = -1

    def pass_on(self) -> bool:
        """Write a piece of the new output; return whether more may come."""
        try:
            chunk = os.read(self.reader, _CHUNK_BYTES)
            if chunk:
                self._write(chunk)
        except BlockingIOError:
            return True
        except OSError as error:
            self.problem = f"its {self._stream} could not be stored: {error.strerror}"
            return False
        return bool(chunk)

    def finish(self, gathered: Gathered | None) -> None:
        """Write the rest, and close."""
        if self.reader < 0:
            return
        if gathered is not None and self._file < 0 and self._gather(gathered):
            self.close()
            return
        for _ in range(_LAST_CHUNKS):
            if not self.pass_on():
                break
        self.close()

    def _gather(self, gathered: Gathered) -> bool:
        """Gather the output if it is all there is; return whether the stream is finished."""
        try:
            chunk = os.read(self.reader, _CHUNK_BYTES)
            if len(chunk) == _CHUNK_BYTES:
                self._write(chunk)
                return False
            if len(chunk) > self._limit:
                self._write(chunk)
            elif chunk:
                gathered.add(os.path.basename(self._path), chunk)  # noqa: PTH119
        except BlockingIOError:
            # Empty, though a process outside of the container holds the writing end.
            return True
        except OSError as error:
            self.problem = f"its {self._stream} could not be stored: {error.strerror}"
        return True

    def _write(self, chunk: bytes) -> None:
        if self._file < 0:
            self._file = _open(self._path)
            # It may go on after an earlier run of the container; more than the limit means that it was cut then.
            length = os.fstat(self._file).st_size
            self._room = self._limit - length
            self._times = TimesWriter(self._path, length)
        if self._room < 0:
            return
        if self._times is not None:
            self._times.note(len(chunk))
        self._append(chunk[: self._room])
        if len(chunk) > self._room:
            self._room = -1
            self._append(_CUT % self._limit)
        else:
            self._room -= len(chunk)

    def _append(self, chunk: bytes) -> None:
        left = memoryview(chunk)
        while left:
            left = left[os.write(self._file, left) :]

    def close(self) -> None:
        """Close what is open."""
        for descriptor in (self.reader, self.writer, self._file):
            if descriptor >= 0:
                os.close(descriptor)
        if self._times is not None:
            self._times.close()
        self.reader = self.writer = self._file = -1


class Output:
    """Both streams of one container; small outputs go into `gathered`, where there is one."""

    def __init__(
        self, stdout: str, stderr: str, gathered: Gathered | None = None, limit: int | None = LIMIT_BYTES
    ) -> None:
        self.gathered = gathered
        most = LIMIT_BYTES if limit is None else limit
        self.stdout = Outlet("stdout", stdout, most)
        try:
            self.stderr = Outlet("stderr", stderr, most)
        except OSError:
            self.stdout.close()
            raise
        self.outlets = (self.stdout, self.stderr)


class Relay:
    """Copies the output of containers that have run for a moment."""

    def __init__(self, poller: select.poll) -> None:
        self._poller = poller
        self._new: dict[Output, float] = {}
        self._watched: dict[int, Outlet] = {}

    def add(self, output: Output) -> None:
        """Add the reading ends of a started container."""
        self._new[output] = time.monotonic() + _SOON_SECONDS

    def pause(self) -> float | None:
        """Return in how many milliseconds `look` has something to do, None when nothing is waited for."""
        for due in self._new.values():
            return max(due - time.monotonic(), 0.0) * 1000
        return None

    def look(self) -> None:
        """Start to watch the containers that have run for a moment."""
        now = time.monotonic() if self._new else 0.0
        for output in [output for output, due in self._new.items() if due <= now]:
            del self._new[output]
            for outlet in output.outlets:
                self._watched[outlet.reader] = outlet
                self._poller.register(outlet.reader, select.POLLIN)

    def serve(self, descriptor: int) -> None:
        """Copy the new output of a ready descriptor."""
        outlet = self._watched.get(descriptor)
        if outlet is not None and not outlet.pass_on():
            # After a failure the container's next write fails too, as it would on a full disk.
            self._forget(outlet)
            outlet.close()

    def _forget(self, outlet: Outlet) -> None:
        if self._watched.pop(outlet.reader, None) is not None:
            self._poller.unregister(outlet.reader)

    def finish(self, output: Output) -> str:
        """Write the rest of an ended container's output; return what could not be stored and why, or ''."""
        self._new.pop(output, None)
        # In the order in which their files would be read.
        for outlet in (output.stderr, output.stdout):
            self._forget(outlet)
            outlet.finish(output.gathered)
        return output.stdout.problem or output.stderr.problem

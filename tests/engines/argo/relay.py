"""A relay between an engine and its API server: bytes go through as they are, until a test cuts them off."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit

_LOOK_SECONDS = 0.05


class Relay:
    """Listens at `server` from `with` to the end of the block; `connections` counts those that were made."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_LOOK_SECONDS)
        self.server = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._is_away = threading.Event()

    def __enter__(self) -> Relay:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self.cut()
        while self._threads:
            self._threads.pop().join()
        for each in [self._listener, *self._open]:
            each.close()

    def cut(self) -> None:
        """Cut all connections."""
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def go_away(self) -> None:
        """Cut all connections, also those to come."""
        self._is_away.set()
        self.cut()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                caller, _ = self._listener.accept()
            except TimeoutError:
                continue
            self._open.append(caller)
            self.connections += 1
            if self._is_away.is_set():
                caller.shutdown(socket.SHUT_RDWR)
                continue
            called = socket.create_connection(self._target, timeout=10)
            called.settimeout(None)
            self._open.append(called)
            self._start(self._pump, caller, called)
            self._start(self._pump, called, caller)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

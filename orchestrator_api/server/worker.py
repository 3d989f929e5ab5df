"""Gunicorn's worker: uvicorn's, with this project's connections and an orderly shutdown."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import resource
from collections.abc import Iterator
from typing import Any

from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

_M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 1 << 20


class Worker(UvicornWorker):  # type: ignore[misc]
    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "asyncio",
        "http": "orchestrator_api.server.connections:Connection",
        "ws": "none",
        "lifespan": "off",
        "interface": "asgi3",
        # The caller's address and scheme follow from Django's settings (BEHIND_PROXY).
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Gunicorn already logs starts and ends.
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)

    def init_process(self) -> None:
        """Raise the limit of file descriptors to its maximum: each connection needs one."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        give_back_large_memory()
        super().init_process()

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        # Gunicorn itself waits a moment longer before it kills.
        self.config.timeout_graceful_shutdown = max(1, self.cfg.graceful_timeout - 2)
        self._install_sigquit_handler()
        await _QuietServer(self.config).serve(sockets=self.sockets)


def give_back_large_memory() -> None:
    """Make the C library return large pieces of memory as soon as they are free.

    By default it learns from the first large document to keep such pieces, for each thread: many documents in many
    threads took twice their memory. Source: mallopt(3). A library without this function keeps no memory that long.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


class _QuietServer(Server):
    """A server that ends by returning, not by raising the signal again."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            try:
                yield
            finally:
                self._captured_signals.clear()

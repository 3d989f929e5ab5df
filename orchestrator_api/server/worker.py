"""Gunicorn's worker: uvicorn's, with our connections and an end in good order."""

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
        # Who called and how is for Django's settings to say (BEHIND_PROXY).
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Gunicorn tells of starts and ends already.
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)

    def init_process(self) -> None:
        """Begin with as many descriptors as may be had: each connection needs one."""
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
    """Have the C library give large pieces of memory back as soon as they are free.

    It learns from the first large document to keep such pieces, for each thread by itself: many documents, each worked
    on by another thread, took twice their room. Source: mallopt(3). A library without it keeps nothing that long.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


class _QuietServer(Server):
    """A server that ends where it has been told to: by returning, not by the signal once more."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            try:
                yield
            finally:
                self._captured_signals.clear()

"""One client's connection: how much it may send before it is handled, and how long it may take.

uvicorn's protocol parses and answers. This module adds what uvicorn leaves to a proxy: limits of a request's head,
time-outs with an answer (408), and a limit of connections. At the limit, the connection that has waited longest for
its request is closed: no client can block others by holding connections.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import struct
from collections import Counter
from typing import Any, cast

import httptools
from django.conf import settings
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from orchestrator_api.problems import CONTENT_TYPE, Problem
from web.errors import TooLarge

_LONGEST_LINE = 8190
_MOST_HEADERS = 100
_LARGEST_HEAD = 64 * 1024
# Requests that a client sends before the first is answered.
_MOST_AHEAD = 16
# Descriptors for everything but connections: spooled bodies, files, databases, calls to other services.
_OTHER_DESCRIPTORS = 1024
RETRY_SECONDS = 5
# The key of the connection in a request's scope.
EXTENSION = "orchestrator.connection"

SLOW_HEAD = Problem(
    408, "request-timeout", "The request took too long to arrive.", "The head of the request is not complete."
)
_BROKEN = "The request is malformed."
_AHEAD = Problem(
    400, "bad-request", _BROKEN, f"More than {_MOST_AHEAD} requests were sent before the first was answered."
)
_HUGE = Problem(413, TooLarge.code, TooLarge.title, "The Content-Length is larger than any allowed one.")
_LONG_LINE = Problem(
    414, "uri-too-long", "The address is too long.", f"An address may have at most {_LONGEST_LINE} bytes."
)
_LARGE_HEAD = Problem(
    431, "head-too-large", "The headers are too large.",
    f"A request may have at most {_MOST_HEADERS} headers with {_LARGEST_HEAD} bytes in all.",
)  # fmt: skip
_PARSERS_WORDS = {"Pause on PRI/Upgrade": "HTTP/2 is not supported; use HTTP/1.1."}
_CROWDED = Problem(
    503, "service-unavailable", "There are too many connections.", "Try again a little later.",
    headers={"Retry-After": str(RETRY_SECONDS)},
)  # fmt: skip


class Connection(HttpToolsProtocol):
    """A connection with its limits of time and number; `over` is set when its answer is no longer needed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self.over = asyncio.Event()
        self.has_hung_up = False
        self.address = self.client[0] if self.client else ""
        self._fault: Problem | None = None
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._abort_timer: asyncio.TimerHandle | None = None
        self.is_lost = False
        crowd.enter(self)
        if not self.transport.is_closing():
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self._head_is_there()
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        crowd.leave(self)
        self.over.set()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_idle():
            self._await_head()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Upgrades are not supported; bytes after such a request are not read.
            self.cycle.keep_alive = False
        except httptools.HttpParserError as error:
            self.refuse(self._fault or (_HUGE if "overflow" in str(error) else _broken(error)))
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _LARGEST_HEAD:
                self.refuse(_LARGE_HEAD)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Go on with the current request: the client may have closed only its sending side."""
        self._end_of_requests()
        return not self._is_idle()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._seen_bytes = 0
        self.scope["extensions"] = {EXTENSION: cast(Any, self)}

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._refuse_if(len(self.url) > _LONGEST_LINE, _LONG_LINE)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._seen_bytes += len(name) + len(value)
        self._refuse_if(self._seen_bytes > _LARGEST_HEAD or len(self.headers) >= _MOST_HEADERS, _LARGE_HEAD)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_is_there()
        super().on_headers_complete()
        self._refuse_if(len(self.pipeline) > _MOST_AHEAD, _AHEAD)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._close()
        elif self._is_idle():
            crowd.wait(self)

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def shutdown(self) -> None:
        """End long answers; let other requests finish."""
        self.over.set()
        super().shutdown()

    def refuse(self, problem: Problem) -> None:
        """Answer with a problem and close; where another answer is being sent, it is the last one."""
        if self.transport.is_closing():
            return
        if self._is_idle():
            self.transport.write(_written(problem))
            self._close()
        else:
            self.flow.pause_reading()
            self._end_of_requests()

    def abort(self) -> None:
        """Close at once, and discard unsent bytes, since the client may not read them."""
        connection = self.transport.get_extra_info("socket")
        if connection is not None and not self.is_lost:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _end_of_requests(self) -> None:
        self.has_hung_up = True
        self.over.set()
        if not self._is_idle():
            self.cycle.keep_alive = False
            self.cycle.message_event.set()

    def _refuse_if(self, is_at_fault: bool, problem: Problem) -> None:
        if is_at_fault:
            self._fault = problem
            raise ValueError(problem.code)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self) -> None:
        self._unset_keepalive_if_required()
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(settings.CLIENT_HEAD_SECONDS, self.refuse, SLOW_HEAD)
            crowd.wait(self)

    def _head_is_there(self) -> None:
        crowd.wait_no_more(self)
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close(self) -> None:
        self._head_is_there()
        self.transport.close()
        if not self.is_lost:
            self._abort_timer = self.loop.call_later(settings.CLIENT_READ_SECONDS, self.abort)


class Crowd:
    """All connections of this process, by their address; those that have waited longest come first."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._total = 0
        self._waiting: dict[str, dict[Connection, None]] = {}

    def enter(self, connection: Connection) -> None:
        """Add a connection; where there are too many, close another one, or this one."""
        self._counts[connection.address] += 1
        self._total += 1
        crowded = ""
        if self._total > most_connections():
            crowded = max(self._counts, key=self._counts.__getitem__)
        elif self._counts[connection.address] > settings.MAX_CONNECTIONS_PER_ADDRESS:
            crowded = connection.address
        if crowded:
            next(iter(self._waiting.get(crowded, ())), connection).refuse(_CROWDED)

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        self._counts[connection.address] -= 1
        self._total -= 1
        if not self._counts[connection.address]:
            del self._counts[connection.address]

    def wait(self, connection: Connection) -> None:
        """Note that a connection has no request in progress."""
        self._waiting.setdefault(connection.address, {})[connection] = None

    def wait_no_more(self, connection: Connection) -> None:
        """Note that a connection has a request, or is gone."""
        waiting = self._waiting.get(connection.address, {})
        waiting.pop(connection, None)
        if not waiting:
            self._waiting.pop(connection.address, None)


def most_connections() -> int:
    """Return how many connections there may be: the setting, limited by the file descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = int(settings.MAX_CONNECTIONS)
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - _OTHER_DESCRIPTORS))


def _broken(error: httptools.HttpParserError) -> Problem:
    """Return the problem for a request that the parser cannot read; the parser's message quotes nothing of it."""
    if isinstance(error, httptools.HttpParserCallbackError):
        return Problem(400, "bad-request", _BROKEN, "The address is not well formed.")
    reason = _PARSERS_WORDS.get(str(error), f"The request is not valid HTTP/1.1: {error}.")
    return Problem(400, "bad-request", _BROKEN, reason)


def headers_of(problem: Problem, content: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers of a problem that is answered here, after which the connection is closed."""
    named: dict[str, Any] = {"Content-Type": CONTENT_TYPE, "Content-Length": len(content), "Connection": "close"}
    return [(name.lower().encode(), str(value).encode()) for name, value in {**named, **problem.headers}.items()]


def content_of(problem: Problem) -> bytes:
    """Return a problem as bytes of an HTTP answer."""
    return json.dumps(problem.document()).encode()


def _written(problem: Problem) -> bytes:
    content = content_of(problem)
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers_of(problem, content))
    return STATUS_LINE[problem.status] + lines + b"\r\n" + content


crowd = Crowd()

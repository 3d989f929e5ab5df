"""One client's connection: how much it may send before it is heard, and for how long it may take over it.

uvicorn's protocol parses and answers; here is what it leaves to a proxy, which this service may not have before it:
limits of a request's head, time-outs that say so (408), and how many connections there may be. Where there are too
many, the one that has waited longest for its request makes room: nobody keeps others out by holding connections.
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
# Descriptors for everything but connections: spooled bodies, files that are read, databases, calls to others.
_OTHER_DESCRIPTORS = 1024
RETRY_SECONDS = 5
# Under which a request's scope has its connection.
EXTENSION = "orchestrator.connection"

SLOW_HEAD = Problem(408, "request-timeout", "The request took too long to arrive.", "Its head is not complete.")
_BROKEN = "The request cannot be understood."
_AHEAD = Problem(
    400, "bad-request", _BROKEN, f"More than {_MOST_AHEAD} requests were sent before the first was answered."
)
_HUGE = Problem(413, TooLarge.code, TooLarge.title, "Its Content-Length is larger than any that there may be.")
_LONG_LINE = Problem(
    414, "uri-too-long", "The address is too long.", f"An address may have at most {_LONGEST_LINE} bytes."
)
_LARGE_HEAD = Problem(
    431, "head-too-large", "The headers are too large.",
    f"There may be {_MOST_HEADERS} of them with {_LARGEST_HEAD} bytes in all.",
)  # fmt: skip
_PARSERS_WORDS = {"Pause on PRI/Upgrade": "HTTP/2 is not spoken here; HTTP/1.1 is."}
_CROWDED = Problem(
    503, "service-unavailable", "There are too many connections.", "Come back a little later.",
    headers={"Retry-After": str(RETRY_SECONDS)},
)  # fmt: skip


class Connection(HttpToolsProtocol):
    """A connection that is held to its time and to its share; `over` is set when nobody needs its answer any more."""

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
            # Nothing else is spoken here; what comes behind such a request is not read.
            self.cycle.keep_alive = False
        except httptools.HttpParserError as error:
            self.refuse(self._fault or (_HUGE if "overflow" in str(error) else _broken(error)))
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _LARGEST_HEAD:
                self.refuse(_LARGE_HEAD)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Go on with a request under way: its client may only have said that it sends no more."""
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
        """End what may go on for long; let the rest be answered."""
        self.over.set()
        super().shutdown()

    def refuse(self, problem: Problem) -> None:
        """Answer with a problem and close; where another answer is under way, that is the last one."""
        if self.transport.is_closing():
            return
        if self._is_idle():
            self.transport.write(_written(problem))
            self._close()
        else:
            self.flow.pause_reading()
            self._end_of_requests()

    def abort(self) -> None:
        """Close at once, and let the kernel forget what is still to be sent: it may find no reader."""
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
    """All connections of this process, by the address they come from; those first that have waited longest."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._total = 0
        self._waiting: dict[str, dict[Connection, None]] = {}

    def enter(self, connection: Connection) -> None:
        """Take a connection in, and send another one away, or this one, where there are too many."""
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
        """Note that a connection has no request that is worked on."""
        self._waiting.setdefault(connection.address, {})[connection] = None

    def wait_no_more(self, connection: Connection) -> None:
        """Note that a connection has a request, or is gone."""
        waiting = self._waiting.get(connection.address, {})
        waiting.pop(connection, None)
        if not waiting:
            self._waiting.pop(connection.address, None)


def most_connections() -> int:
    """Return how many connections there may be: as the setting says, and as there are descriptors for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = int(settings.MAX_CONNECTIONS)
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - _OTHER_DESCRIPTORS))


def _broken(error: httptools.HttpParserError) -> Problem:
    """Return what the parser says of a request that it cannot read, in its own words, which quote nothing of it."""
    if isinstance(error, httptools.HttpParserCallbackError):
        return Problem(400, "bad-request", _BROKEN, "Its address is not well formed.")
    reason = _PARSERS_WORDS.get(str(error), f"It is not HTTP/1.1 as it must be: {error}.")
    return Problem(400, "bad-request", _BROKEN, reason)


def headers_of(problem: Problem, content: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers of a problem that is answered here, after which the connection is closed."""
    named: dict[str, Any] = {"Content-Type": CONTENT_TYPE, "Content-Length": len(content), "Connection": "close"}
    return [(name.lower().encode(), str(value).encode()) for name, value in {**named, **problem.headers}.items()]


def content_of(problem: Problem) -> bytes:
    """Return a problem as it goes over the wire."""
    return json.dumps(problem.document()).encode()


def _written(problem: Problem) -> bytes:
    content = content_of(problem)
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers_of(problem, content))
    return STATUS_LINE[problem.status] + lines + b"\r\n" + content


crowd = Crowd()

"""A TLS proxy between an engine and its API server that injects faults.

It runs in a thread of its own. Each client has a door of its own (a port), so that it is known who asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlsplit

from tests.chaos.faults import Fault, FaultKind, Schedule
from tests.chaos.messages import (
    LONGEST_HEAD,
    Head,
    Request,
    body_pieces,
    error_event,
    read_head,
    read_request,
    status_answer,
)
from tests.services.certificates import Authority

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 30.0
LONGEST_DELAY_SECONDS = 0.4
# Some delays last longer than any client waits; what it asked for is done all the same.
LATE_SHARE = 0.1
# A watch is cut within this time, where it is busy in the middle of an event.
LONGEST_CUT_SECONDS = 3.0
_BITES = 20
_RESET = struct.pack("ii", 1, 0)

# Told each step of a client: "POST secrets.before" before it is forwarded, ".after" once the server has answered it.
Witness = Callable[[str], None]
Closing = (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, TimeoutError)


class _Broken(Exception):
    """The client's connection was broken on purpose."""


@dataclass(frozen=True)
class _Exchange:
    """One request on its way, between its client and the server."""

    request: Request
    client: asyncio.StreamWriter
    server: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    witness: Witness


class FaultProxy:
    """Passes on what doors are opened for, from `with` to the end of the block."""

    def __init__(self, server: str, authority: Authority, schedule: Schedule, late_seconds: float) -> None:
        parts = urlsplit(server)
        self._host, self._port = parts.hostname, parts.port
        self._schedule = schedule
        self._late_seconds = late_seconds
        own = authority.issue("proxy")
        self._as_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._as_server.load_cert_chain(own.certificate, own.key)
        self._as_client = ssl.create_default_context(cafile=str(authority.certificate))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy")
        self._doors: list[asyncio.Server] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self.failures: list[BaseException] = []

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(PATIENCE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()
        if self.failures and error is None:
            raise self.failures[0]

    def open_door(self, witness: Witness = lambda step: None) -> str:
        """Open a port, and return the address of the API server behind it."""
        opening = asyncio.run_coroutine_threadsafe(self._open(witness), self._loop)
        return f"https://127.0.0.1:{opening.result(PATIENCE_SECONDS)}"

    async def _open(self, witness: Witness) -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._under_way.add(task)
            try:
                await self._serve(reader, writer, witness)
            except (_Broken, asyncio.CancelledError, *Closing):
                pass
            except Exception as error:
                logger.exception("The proxy failed")
                self.failures.append(error)
            finally:
                await _hang_up(writer)
                self._under_way.discard(task)

        door = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=self._as_server, limit=LONGEST_HEAD)
        self._doors.append(door)
        return int(door.sockets[0].getsockname()[1])

    async def _close(self) -> None:
        for door in self._doors:
            door.close()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter, witness: Witness) -> None:
        server = None
        try:
            while (request := await read_request(reader)) is not None:
                server = server or await asyncio.open_connection(
                    self._host, self._port, ssl=self._as_client, limit=LONGEST_HEAD
                )
                witness(f"{request.step}.before")
                exchange = _Exchange(request, client, server, witness)
                await self._exchange(exchange, self._schedule.draw(request))
        finally:
            if server is not None:
                await _hang_up(server[1])

    async def _exchange(self, exchange: _Exchange, fault: Fault | None) -> None:
        match fault and fault.kind:
            case None:
                await self._pass_on(exchange)
            case FaultKind.DELAY:
                late = fault.dice < LATE_SHARE
                await asyncio.sleep(self._late_seconds if late else fault.dice * LONGEST_DELAY_SECONDS)
                await self._pass_on(exchange)
            case FaultKind.RESET_BEFORE:
                _reset(exchange.client)
            case FaultKind.RESET_AFTER:
                await self._forward(exchange)
                _reset(exchange.client)
            case FaultKind.INTERNAL_ERROR:
                if fault.dice < 0.5 and not exchange.request.is_watch:
                    # As when etcd is too slow to say that it has written: the error tells nothing of what was done.
                    await self._swallow(exchange)
                await _say(exchange.client, status_answer(500, "InternalError", "etcdserver: request timed out"))
            case FaultKind.UNAVAILABLE:
                await _say(exchange.client, status_answer(503, "ServiceUnavailable", "apiserver is shutting down"))
            case FaultKind.THROTTLED:
                said = status_answer(429, "TooManyRequests", "too many requests", "Retry-After: 1\r\n")
                await _say(exchange.client, said)
            case FaultKind.GONE:
                answer = error_event if exchange.request.is_watch and fault.dice < 0.5 else status_answer
                await _say(exchange.client, answer(410, "Expired", "too old resource version: 1 (2)"))
            case FaultKind.CUT:
                await self._cut(exchange, fault.dice)
            case FaultKind.SLOW:
                await self._pass_on(exchange, bites=_BITES)

    async def _forward(self, exchange: _Exchange) -> Head:
        """Send a request on, and return the head of its answer: now the server has done what was asked."""
        reader, writer = exchange.server
        writer.write(exchange.request.raw)
        await writer.drain()
        head = await read_head(reader)
        exchange.witness(f"{exchange.request.step}.after")
        return head

    async def _pass_on(self, exchange: _Exchange, bites: int = 1) -> None:
        head = await self._forward(exchange)
        await _say(exchange.client, head.raw)
        async for piece in body_pieces(exchange.server[0], head):
            size = -(-len(piece) // bites)
            for start in range(0, len(piece), size):
                await _say(exchange.client, piece[start : start + size])
                if bites > 1:
                    await asyncio.sleep(LONGEST_DELAY_SECONDS / bites)

    async def _swallow(self, exchange: _Exchange) -> None:
        head = await self._forward(exchange)
        async for _ in body_pieces(exchange.server[0], head):
            pass

    async def _cut(self, exchange: _Exchange, dice: float) -> None:
        """Let a watch go on for a moment, then end it in the middle of an event, in order or not."""
        head = await self._forward(exchange)
        await _say(exchange.client, head.raw)
        end = self._loop.time() + dice * LONGEST_CUT_SECONDS
        pieces = aiter(body_pieces(exchange.server[0], head))
        with contextlib.suppress(TimeoutError, StopAsyncIteration):
            while True:
                # One more event after the end, to be cut in its middle, if there is one.
                late = self._loop.time() >= end
                piece = await asyncio.wait_for(anext(pieces), 1.0 if late else end - self._loop.time() + 1.0)
                if self._loop.time() >= end:
                    await self._say_half(exchange.client, piece, in_order=dice < 0.5)
                    break
                await _say(exchange.client, piece)
        _reset(exchange.client)

    async def _say_half(self, client: asyncio.StreamWriter, chunk: bytes, in_order: bool) -> None:
        payload = chunk.split(b"\r\n", 1)[1][:-2]
        half = payload[: max(1, len(payload) // 2)]
        if in_order and payload:
            # The answer ends as it should, the event in it does not.
            await _say(client, b"%x\r\n%s\r\n0\r\n\r\n" % (len(half), half))
            # What ended in order is read before a reset would take it away.
            await asyncio.sleep(0.1)
        else:
            await _say(client, chunk[: len(chunk) // 2])


async def _say(client: asyncio.StreamWriter, data: bytes) -> None:
    client.write(data)
    await client.drain()


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(*Closing):
        await writer.wait_closed()


def _reset(client: asyncio.StreamWriter) -> None:
    # Who has hung up meanwhile has no socket any more.
    if connected := client.get_extra_info("socket"):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    client.transport.abort()
    raise _Broken

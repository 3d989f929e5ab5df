"""The ASGI application around Django: it receives requests, handles them in a pool of threads, and sends answers.

No thread waits for a client. A body is complete before a thread gets it; a long or streamed answer is fetched piece by
piece as the client reads it. `/health/live` is answered by the event loop itself.
"""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import IO, Any

from django.conf import settings

from orchestrator_api.middleware import request_id_of
from orchestrator_api.problems import Problem, problem_of
from orchestrator_api.server.connections import EXTENSION, RETRY_SECONDS, Connection, content_of, headers_of
from orchestrator_api.server.documents import Room, RoomTakenError, document_bytes
from orchestrator_api.server.spool import (
    IN_MEMORY_BYTES,
    BrokeOffError,
    GoneError,
    Receive,
    TooSlowError,
    body_received,
)
from orchestrator_api.server.wakeups import Wakeups
from orchestrator_api.server.wsgi import PIECE, Answer, Application, BodyWanted, NoBodyYet, Scope, call, environ_of
from web.errors import TooLarge
from web.turns import Turn

logger = logging.getLogger("orchestrator.requests")

Send = Callable[[dict[str, Any]], Awaitable[None]]

_ALIVE = b'{"status": "ok"}'
_ALIVE_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(_ALIVE)).encode()),
    (b"cache-control", b"max-age=0, no-cache, no-store, must-revalidate, private"),
]
# Requests that may wait for a thread, for each thread there is.
_WAITING_FOR_EACH = 16
_DISK_THREADS = 4
_TURN_THREADS = 4
# How long a large document may wait.
_PATIENCE_SECONDS = 20.0
# How long a refused client may go on sending, so that it can read the answer.
_LINGER_SECONDS = 2.0

_SLOW_BODY = Problem(408, "request-timeout", "The request took too long to arrive.", "The body came too slowly.")
_BROKE_OFF = Problem(
    400, "bad-request", "The request is malformed.", "The request ended too early, or its form is incomplete."
)
_BUSY = Problem(
    503, "service-unavailable", "The service is overloaded.", "Try again a little later.",
    headers={"Retry-After": str(RETRY_SECONDS)},
)  # fmt: skip
_NO_ROOM = Problem(
    503, "service-unavailable", "The service is overloaded.",
    "Large documents are handled one after another, and this one waited too long.",
    headers={"Retry-After": str(RETRY_SECONDS)},
)  # fmt: skip
_STOPPING = Problem(
    503, "service-unavailable", "The service is being stopped.", "Try again a little later.",
    headers={"Retry-After": str(RETRY_SECONDS)},
)  # fmt: skip


class RefusedError(Exception):
    """The request is answered with a problem, by the shell itself."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


class Shell:
    """An ASGI application (3.0, http alone) around a WSGI application."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._threads = ThreadPoolExecutor(settings.WEB_THREADS, thread_name_prefix="request")
        self._turns = ThreadPoolExecutor(_TURN_THREADS, thread_name_prefix="turn")
        self._under_way = 0
        self.disk = ThreadPoolExecutor(_DISK_THREADS, thread_name_prefix="disk")
        self.room = Room(settings.DOCUMENTS_AT_ONCE_BYTES, _PATIENCE_SECONDS)
        self.wakeups = Wakeups()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["raw_path"] == b"/health/live" and scope["method"] in ("GET", "HEAD"):
            await send({"type": "http.response.start", "status": 200, "headers": _ALIVE_HEADERS})
            await send({"type": "http.response.body", "body": _ALIVE})
            return
        await _Request(self, scope, receive, send).serve()

    async def worked_on(self, environ: dict[str, Any]) -> Answer:
        """Handle a request in a thread. Raises RefusedError where too many requests wait, and BodyWanted."""
        if self._under_way >= settings.WEB_THREADS * (1 + _WAITING_FOR_EACH):
            raise RefusedError(_BUSY)
        self._under_way += 1
        try:
            answer: Answer = await self.in_thread(call, self._application, environ)
            return answer
        finally:
            self._under_way -= 1

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function in one of the threads for requests."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    async def in_turn(self, function: Callable[[], Any]) -> Any:
        """Call a function in one of the few threads for streamed answers."""
        return await asyncio.get_running_loop().run_in_executor(self._turns, function)


class _Request:
    """One request in the shell."""

    def __init__(self, shell: Shell, scope: Scope, receive: Receive, send: Send) -> None:
        self._shell = shell
        self._scope = scope
        self._receive = receive
        self._send = send
        self._connection: Connection = scope["extensions"][EXTENSION]
        headers = dict(scope["headers"])
        self._length = int(headers.get(b"content-length") or 0)
        self._request_id = request_id_of(headers.get(b"x-request-id", b"").decode("latin-1"))
        self._expects_word = b"expect" in headers
        self._is_unread = self._length > 0 or b"transfer-encoding" in headers
        self._has_begun = False
        self._began_at = time.monotonic()

    async def serve(self) -> None:
        """Answer the request; answer with a problem where that fails."""
        try:
            await self._give(await self._answer())
        except RefusedError as refused:
            await self._refuse(refused.problem)
        except TooSlowError:
            await self._refuse(_SLOW_BODY)
        except BrokeOffError:
            await self._refuse(_BROKE_OFF)
        except RoomTakenError:
            await self._refuse(_NO_ROOM)
        except GoneError:
            self._connection.abort()
        except Exception as error:  # the outermost place: the client always gets an answer
            problem = problem_of(error)
            if problem is None:
                logger.exception("a request could not be served", extra={"request_id": self._request_id})
            await self._refuse(problem or self._fault())

    async def _answer(self) -> Answer:
        if self._length <= IN_MEMORY_BYTES:
            body = await self._body() if self._length else io.BytesIO()
            return await self._worked_on(body)
        if not self._scope["path"].startswith("/api/") and self._length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge(f"Outside of /api/ a request may have at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes.")
        try:
            # A caller without permission, or with a wrong address, is refused before the body is read.
            return await self._worked_on(NoBodyYet())
        except BodyWanted:
            pass
        with await self._body() as body:
            documents = await self._shell.in_thread(document_bytes, body, self._content_type(), self._length)
            async with self._shell.room.taken(documents):
                return await self._worked_on(body)

    async def _body(self) -> IO[bytes]:
        body = await body_received(self._receive, self._length, self._connection, self._shell.disk)
        self._is_unread = False
        return body

    async def _worked_on(self, body: Any) -> Answer:
        return await self._shell.worked_on(environ_of(self._scope, body))

    def _content_type(self) -> str:
        return str(dict(self._scope["headers"]).get(b"content-type", b"").decode("latin-1"))

    async def _give(self, answer: Answer) -> None:
        try:
            if answer.turns is not None:
                await self._give_turns(answer)
            elif answer.rest is not None:
                await self._begin(answer)
                while piece := await self._shell.in_thread(answer.next_piece):
                    await self._write(piece)
                await self._end()
            else:
                await self._begin(answer)
                for start in range(0, len(answer.content), PIECE):
                    await self._write(answer.content[start : start + PIECE])
                await self._end()
        finally:
            if answer.turns is not None or answer.rest is not None:
                await self._shell.in_thread(answer.close)

    async def _give_turns(self, answer: Answer) -> None:
        assert answer.turns is not None
        over = self._connection.over
        while not over.is_set():
            heard = await self._shell.wakeups.heard(answer.turns.topic)
            turn: Turn = await self._shell.in_turn(answer.take_turn)
            if turn.again_in is None and not self._has_begun:
                answer.headers.append((b"content-length", str(len(turn.content)).encode()))
            if turn.content or turn.again_in is None:
                await self._begin(answer)
                await self._write(turn.content)
            if turn.again_in is None:
                await self._end()
                return
            await self._shell.wakeups.wait(heard, over, turn.again_in)
        if self._has_begun or self._connection.has_hung_up:
            self._connection.abort()
        else:
            raise RefusedError(_STOPPING)

    async def _begin(self, answer: Answer) -> None:
        if not self._has_begun:
            self._has_begun = True
            headers = [*answer.headers, (b"connection", b"close")] if self._is_unread else answer.headers
            await self._sent({"type": "http.response.start", "status": answer.status, "headers": headers})

    async def _write(self, content: bytes) -> None:
        await self._sent({"type": "http.response.body", "body": content, "more_body": True})

    async def _end(self) -> None:
        if self._is_unread and not self._expects_word:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LINGER_SECONDS):
                    await self._discard()
        await self._sent({"type": "http.response.body", "body": b""})

    async def _discard(self) -> None:
        is_more = True
        while is_more and not self._connection.has_hung_up:
            message = await self._receive()
            is_more = message["type"] == "http.request" and message["more_body"]

    async def _sent(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(settings.CLIENT_READ_SECONDS):
                await self._send(message)
        except TimeoutError as error:
            raise GoneError from error
        is_last = message["type"] == "http.response.body" and not message.get("more_body")
        if self._connection.transport.is_closing() and not is_last:
            raise GoneError

    async def _refuse(self, problem: Problem) -> None:
        self._log(problem)
        if self._has_begun:
            # The started answer breaks off, which tells the client that it is incomplete.
            self._connection.abort()
            return
        content = content_of(problem)
        headers = [*headers_of(problem, content), (b"x-request-id", self._request_id.encode())]
        with suppress(GoneError):
            await self._give(Answer(problem.status, headers, content))

    def _fault(self) -> Problem:
        detail = f"The error is logged under the request id {self._request_id}."
        return Problem(500, "internal-error", "The orchestrator has an internal error.", detail)

    def _log(self, problem: Problem) -> None:
        logger.info(
            "request",
            extra={
                "request_id": self._request_id,
                "method": self._scope["method"],
                "path": self._scope["path"][:300],
                "status": problem.status,
                "duration_ms": round((time.monotonic() - self._began_at) * 1000, 1),
                "user_id": None,
                "workflow": None,
            },
        )

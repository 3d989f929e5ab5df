"""Call a WSGI application from a pool thread: build its environment and take its answer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from django.db import close_old_connections

from web.turns import TAKES_TURNS, InTurns, Turns

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Scope = dict[str, Any]

PIECE = 256 * 1024


class BodyWanted(BaseException):
    """The application reads the body. Not an Exception, so that no handler takes it for a fault of the request."""


class NoBodyYet:
    """Stands for a body that has not been received yet: a refused client need not send it."""

    def read(self, size: int = -1) -> bytes:
        raise BodyWanted

    readline = read

    def __iter__(self) -> Iterator[bytes]:
        raise BodyWanted


@dataclass
class Answer:
    """The application's answer: `content` at once, then the pieces of `rest` or of `turns`."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    content: bytes = b""
    rest: Iterator[bytes] | None = None
    turns: Turns | None = None
    close: Callable[[], None] = lambda: None

    def next_piece(self) -> bytes:
        """Return the next bytes, b"" after the last ones."""
        assert self.rest is not None
        piece = bytearray()
        for chunk in self.rest:
            if not piece and len(chunk) >= PIECE:
                return chunk
            piece += chunk
            if len(piece) >= PIECE:
                break
        return bytes(piece)

    def take_turn(self) -> Any:
        """Take the next turn; old database connections of the thread are closed as in Django."""
        assert self.turns is not None
        close_old_connections()
        try:
            return self.turns.take()
        finally:
            close_old_connections()


class FileWrapper:
    """Reads a file in pieces as large as they are sent (PEP 3333)."""

    def __init__(self, file: IO[bytes], block_size: int = 0) -> None:
        self._file = file
        self.close: Callable[[], None] = file.close

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._file.read(PIECE):
            yield piece


def environ_of(scope: Scope, body: Any) -> dict[str, Any]:
    """Return the environment of a request (PEP 3333).

    Headers with an underscore are left out: they could be confused with those with a hyphen.
    """
    server, client = scope.get("server") or ("localhost", None), scope.get("client") or ("", None)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 0),
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1] or 0),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        TAKES_TURNS: True,
    }
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper()
        if "_" in key:
            continue
        key = key.replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ


def call(application: Application, environ: dict[str, Any]) -> Answer:
    """Call the application and return its answer; an answer that is not a stream is read to its end. Raises
    BodyWanted."""
    answer = Answer()

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        answer.status = int(status.split(" ", 1)[0])
        answer.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]

    result = application(environ, start_response)
    close = getattr(result, "close", lambda: None)
    try:
        if isinstance(result, InTurns):
            answer.turns, answer.close = result.turns, close
        elif environ["REQUEST_METHOD"] == "HEAD":
            close()
        elif isinstance(result, FileWrapper) or getattr(result, "streaming", False):
            answer.rest, answer.close = iter(result), close
        else:
            answer.content = b"".join(result)
            close()
    except BaseException:
        close()
        raise
    return answer

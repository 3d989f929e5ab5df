"""As much of HTTP/1.1 as a proxy needs that looks at whole requests and passes answers on in pieces (RFC 9112)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import orjson

LONGEST_HEAD = 1 << 20


@dataclass(frozen=True)
class Request:
    """A request as it came: `raw` is all of it."""

    method: str
    target: str
    raw: bytes

    @property
    def is_watch(self) -> bool:
        return parse_qs(urlsplit(self.target).query).get("watch", ["false"])[0] in ("true", "1", "True")

    @property
    def is_later_page(self) -> bool:
        return "continue" in parse_qs(urlsplit(self.target).query)

    @property
    def step(self) -> str:
        """Name what it asks for, e.g. `POST secrets`, `LIST workflows`, `WATCH workflows`."""
        parts = urlsplit(self.target).path.strip("/").split("/")
        inside = parts[parts.index("namespaces") + 2 :] if "namespaces" in parts else parts[-1:]
        verb = "WATCH" if self.is_watch else "LIST" if self.method == "GET" and len(inside) == 1 else self.method
        return f"{verb} {inside[0] if inside else 'namespaces'}"


@dataclass(frozen=True)
class Head:
    """The head of an answer."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def is_chunked(self) -> bool:
        return self.headers.get("transfer-encoding", "").lower() == "chunked"


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Return the next request of a connection, or None where its client has closed it."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    line, headers = _parse(raw)
    method, target, _ = line.split(" ", 2)
    length = int(headers.get("content-length", "0"))
    if "transfer-encoding" in headers:
        raise ValueError("Requests in chunks are not expected here.")
    return Request(method, target, raw + await reader.readexactly(length))


async def read_head(reader: asyncio.StreamReader) -> Head:
    """Return the head of the next answer. Raises IncompleteReadError where there is none."""
    raw = await reader.readuntil(b"\r\n\r\n")
    line, headers = _parse(raw)
    return Head(int(line.split(" ")[1]), headers, raw)


async def body_pieces(reader: asyncio.StreamReader, head: Head) -> AsyncIterator[bytes]:
    """Yield an answer's body as it goes over the wire: whole chunks, or what came at once."""
    if head.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        return
    if head.is_chunked:
        while True:
            size = await reader.readuntil(b"\r\n")
            yield size + await reader.readexactly(int(size.split(b";")[0], 16) + 2)
            if size.strip() == b"0":
                return
    left = int(head.headers.get("content-length", "0"))
    while left:
        piece = await reader.read(min(left, 65536))
        if not piece:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(piece)
        yield piece


def status_answer(status: int, reason: str, message: str, headers: str = "") -> bytes:
    """Return a whole answer that refuses, with a Status object as the API server would write it."""
    body = _status(status, reason, message)
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
        f"{headers}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def error_event(status: int, reason: str, message: str) -> bytes:
    """Return a whole answer to a watch that holds one ERROR event."""
    event = b'{"type":"ERROR","object":%s}\n' % _status(status, reason, message)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(event), event)


def _status(status: int, reason: str, message: str) -> bytes:
    kind = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return orjson.dumps({**kind, "message": message, "reason": reason, "code": status})


def _parse(raw: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.split(":", 1) for line in lines)
    return first, {name.strip().lower(): value.strip() for name, value in pairs}

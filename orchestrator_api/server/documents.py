"""How much of a request's body becomes objects in memory, and a limit of that at once.

Parsed JSON takes many times its size in memory. Files go to the disk unchanged and need none.
"""

from __future__ import annotations

import asyncio
import codecs
import mmap
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import IO

from django.http.multipartparser import (  # type: ignore[attr-defined]
    FILE,
    ChunkIter,
    LazyStream,
    parse_boundary_stream,
)
from django.utils.http import parse_header_parameters

SMALL_BYTES = 1024 * 1024
_LONGEST_HEAD = 64 * 1024
_LONGEST_SPACE = 1024
# The form's parser refuses more.
_MOST_PARTS = 1200


class RoomTakenError(Exception):
    """The memory for a document did not become free in time."""


class Room:
    """Bytes of documents that may be handled at once; a document that needs more than is left waits in turn.

    A single document is admitted even where it is larger than the limit.
    """

    def __init__(self, size: int, patience_seconds: float) -> None:
        self._left = self._size = size
        self._patience_seconds = patience_seconds
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def taken(self, size: int) -> AsyncIterator[None]:
        """Reserve memory for a document inside the block. Raises RoomTakenError when it does not become free in
        time."""
        size = min(size, self._size) if size > SMALL_BYTES else 0
        if size:
            await self._take(size)
        try:
            yield
        finally:
            self._left += size
            self._give()

    async def _take(self, size: int) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, place))
        self._give()
        try:
            async with asyncio.timeout(self._patience_seconds):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self._left += size
            elif (size, place) in self._waiting:
                self._waiting.remove((size, place))
            self._give()
            if isinstance(error, TimeoutError):
                raise RoomTakenError from error
            raise

    def _give(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._left:
            size, place = self._waiting.popleft()
            if not place.done():
                self._left -= size
                place.set_result(None)


def document_bytes(body: IO[bytes], content_type: str, length: int) -> int:
    """Return how many bytes of a body, which lies in a file, become text and objects: all of JSON, a form's documents.

    Raises MultiPartParserError as the form's own parser does, for a malformed form.
    """
    kind, options = parse_header_parameters(content_type)
    if kind != "multipart/form-data":
        return 0 if kind == "application/octet-stream" else length
    boundary = options.get("boundary", "").encode()
    if not boundary:
        return length
    with mmap.mmap(body.fileno(), 0, access=mmap.ACCESS_READ) as form:
        return _of_form(form, b"--" + boundary)


def _of_form(form: mmap.mmap, mark: bytes) -> int:
    size, start = 0, form.find(mark)
    for _ in range(_MOST_PARTS):
        if start < 0:
            return size
        begin, start = start + len(mark), form.find(mark, start + len(mark))
        end = start if start >= 0 else len(form)
        part = LazyStream(ChunkIter(BytesIO(form[begin : min(end, begin + _LONGEST_HEAD)])))
        kind, _, content = parse_boundary_stream(part, _LONGEST_HEAD)
        if kind != FILE or _may_be_json(content.read(_LONGEST_SPACE)):
            size += end - begin
    return len(form)


def _may_be_json(beginning: bytes) -> bool:
    """Return whether a file may hold an object or a list; other values take only their own size."""
    first = beginning.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    return first in (b"{", b"[", b"")

"""The body of a request, held until it is complete: small ones in memory, others in an unnamed file.

Such a file is gone when it is closed, and when its process is killed: an interrupted upload leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import IO, Any

from django.conf import settings

from orchestrator_api.server.connections import Connection

IN_MEMORY_BYTES = 64 * 1024
_BLOCK = 256 * 1024

Receive = Callable[[], Awaitable[Any]]


class TooSlowError(Exception):
    """The body came too slowly, or not at all."""


class BrokeOffError(Exception):
    """The body ended before its announced length."""


class GoneError(Exception):
    """The client no longer waits for an answer."""


async def body_received(receive: Receive, length: int, connection: Connection, disk: Executor) -> IO[bytes]:
    """Return a complete body, positioned at its beginning.

    Raises TooSlowError when nothing comes for CLIENT_BODY_SECONDS, or on average less than
    CLIENT_BODY_BYTES_PER_SECOND; BrokeOffError, GoneError, and OSError where there is no room.
    """
    loop = asyncio.get_running_loop()
    file: IO[bytes] = io.BytesIO()
    if length > IN_MEMORY_BYTES:
        file = await loop.run_in_executor(disk, _unnamed_file)
    try:
        received, block, is_complete = 0, bytearray(), False
        patience_ends = loop.time() + settings.CLIENT_BODY_SECONDS
        while not is_complete:
            silence_ends = loop.time() + settings.CLIENT_BODY_SECONDS
            enough_by = patience_ends + received / settings.CLIENT_BODY_BYTES_PER_SECOND
            try:
                async with asyncio.timeout_at(min(silence_ends, enough_by)):
                    message = await receive()
            except TimeoutError as error:
                raise TooSlowError from error
            if message["type"] != "http.request":
                raise GoneError
            is_complete = not message["more_body"]
            if not is_complete and connection.has_hung_up:
                raise BrokeOffError
            received += len(message["body"])
            block += message["body"]
            if len(block) >= _BLOCK or is_complete:
                await _write(loop, file, bytes(block), disk)
                block.clear()
        if received < length:
            raise BrokeOffError
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


async def _write(loop: asyncio.AbstractEventLoop, file: IO[bytes], block: bytes, disk: Executor) -> None:
    if isinstance(file, io.BytesIO):
        file.write(block)
    else:
        await loop.run_in_executor(disk, file.write, block)


def _unnamed_file() -> IO[bytes]:
    return tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)

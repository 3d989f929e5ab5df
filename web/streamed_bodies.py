"""The body of a request as a file that is written block by block into storage and checked against its digest."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
from collections.abc import Iterator
from functools import partial

from django.core.files.base import File
from django.http import HttpRequest
from rest_framework.request import Request

from web.bodies import limit_size
from web.errors import Fault, InvalidInput, TooLarge
from web.standing import refuse_ended

_BLOCK = 1024 * 1024
_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):\s*(?=,|$)")
_AT_DIGEST = "/headers/Content-Digest"


def announced_length(request: HttpRequest, limit: int) -> int:
    """Return the length of a request's body. Raises InvalidInput, and TooLarge with both numbers."""
    limit_size(request)
    length = int(request.META.get("CONTENT_LENGTH") or 0)
    if length > limit:
        raise TooLarge(f"The body has {length} bytes; at most {limit} are accepted here.")
    return length


def announced_digest(request: HttpRequest) -> str:
    """Return the SHA-256 of the `Content-Digest` (RFC 9530) in hexadecimal, '' without one. Raises InvalidInput."""
    text = request.headers.get("Content-Digest", "")
    if not text:
        return ""
    found = _DIGEST.search(text)
    try:
        digest = base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise InvalidInput(faults=[Fault(_AT_DIGEST, "must be sha-256=:<base64>:")])
    return digest.hex()


class IncomingBody(File[bytes]):
    """The body of a request as a file that is read once, on its way into storage; it is not buffered here.

    Reading the last byte checks the body: raises InvalidInput if the SHA-256 is not `sha256` ('' for any),
    UnreadablePostError if the body breaks off, and InvalidToken if the sender's token expires in the meantime.
    """

    def __init__(self, request: Request, length: int, sha256: str) -> None:
        super().__init__(None, "body")
        self._request, self._source = request, request._request
        self.size = length
        self._left = length
        self._wanted = sha256
        self._digest = hashlib.sha256()
        if length:
            # A server that receives a body on demand receives it now, before other work is begun for it.
            request.read(0)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most a megabyte at once."""
        wanted = min(_BLOCK if size < 0 else size, self._left)
        block: bytes = self._source.read(wanted) if wanted else b""
        refuse_ended(self._request)
        self._digest.update(block)
        self._left -= len(block)
        if wanted and not block:
            raise InvalidInput(f"The body broke off: {self.size - self._left} of {self.size} bytes were received.")
        if not self._left:
            self._judge()
        return block

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Yield the blocks as they arrive."""
        yield from iter(partial(self.read, chunk_size or _BLOCK), b"")

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Accept only the position at the beginning, before anything is read."""
        if offset or whence or self._left != self.size:
            raise io.UnsupportedOperation("a request's body can be read only once")
        return 0

    def seekable(self) -> bool:
        """Return False: it cannot be read again."""
        return False

    @property
    def closed(self) -> bool:
        """Return False: the request is open until it is answered."""
        return False

    def close(self) -> None:
        """Leave the request to the server."""

    def _judge(self) -> None:
        found = self._digest.hexdigest()
        if self._wanted and found != self._wanted:
            raise InvalidInput(
                faults=[Fault(_AT_DIGEST, f"must be the SHA-256 of the body, which is {found}, not {self._wanted}")]
            )

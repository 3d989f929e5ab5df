"""Files as answers: with length, HEAD and one range, so that a broken download can be resumed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, Protocol, runtime_checkable

from django.db.models.fields.files import FieldFile
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header
from rest_framework.request import Request

from web.errors import NotFound, RangeNotSatisfiable
from web.standing import refuse_ended

_CHUNK_BYTES = 256 * 1024
# A larger download may take long, so the caller's token is checked again during it.
_LASTING_BYTES = 8 * 1024**2
_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")


@dataclass(frozen=True)
class Download:
    """Content of a known size that `open` gives from its beginning; `tag` changes whenever the content does.

    If a part can be read without the content before it, `open_part` opens one.
    """

    open: Callable[[], IO[bytes]]
    size: int
    filename: str
    content_type: str = "application/octet-stream"
    tag: str = ""
    open_part: Callable[[range], IO[bytes]] | None = None


@runtime_checkable
class GivesParts(Protocol):
    """A storage that gives a part of a file without the rest of it."""

    def open_part(self, name: str, part: range) -> IO[bytes]:
        """Open the bytes of a file in the range."""


def file_response(
    request: Request | HttpRequest,
    field_file: FieldFile,
    filename: str,
    content_type: str = "application/octet-stream",
) -> HttpResponseBase:
    """Answer a stored file: 200, or 206 for a single range. Raises NotFound and RangeNotSatisfiable."""
    if not field_file:
        raise NotFound("There is no such file.")
    try:
        size = field_file.size
    except FileNotFoundError as error:
        raise NotFound("The file is no longer stored.") from error
    name = field_file.name or ""
    # Files are never overwritten: other contents have another name.
    tag = hashlib.sha256(f"{name}:{size}".encode()).hexdigest()[:32]
    storage, open_part = field_file.storage, None
    if isinstance(storage, GivesParts):
        open_part = partial(storage.open_part, name)
    return download_response(
        request, Download(lambda: storage.open(name, "rb"), size, filename, content_type, tag, open_part)
    )


def json_file_response(request: Request | HttpRequest, field_file: FieldFile, filename: str) -> HttpResponseBase:
    """Answer a stored JSON file, byte for byte."""
    return file_response(request, field_file, filename, "application/json")


def download_response(request: Request | HttpRequest, download: Download) -> HttpResponseBase:
    """Answer GET or HEAD with content of known size, whole or the single range that was asked for.

    Raises RangeNotSatisfiable.
    """
    wanted = _wanted_range(request, download)
    if wanted is not None and wanted.start >= download.size:
        raise RangeNotSatisfiable(download.size)
    part = range(download.size) if wanted is None else wanted
    if request.method == "HEAD":
        response: HttpResponseBase = HttpResponse()
    elif wanted is None and download.open_part is None and download.size < _LASTING_BYTES:
        response = FileResponse(download.open())
    else:
        response = StreamingHttpResponse(_read(request, download, part))
    if wanted is not None:
        response.status_code = 206
        response["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{download.size}"
    response["Content-Length"] = str(len(part))
    response["Content-Type"] = download.content_type
    response["Content-Disposition"] = content_disposition_header(True, download.filename) or "attachment"
    response["Accept-Ranges"] = "bytes"
    if download.tag:
        response["ETag"] = f'"{download.tag}"'
    return response


def _wanted_range(request: Request | HttpRequest, download: Download) -> range | None:
    """Return the requested range, or None for all; an invalid range is ignored (RFC 9110, 14.2)."""
    match = _RANGE.fullmatch(request.headers.get("Range", ""))
    if match is None or request.method not in ("GET", "HEAD"):
        return None
    if (condition := request.headers.get("If-Range")) and condition != f'"{download.tag}"':
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        return range(max(download.size - int(last), 0), download.size) if int(last) else range(download.size, 0)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, download.size) if last else download.size)


def _read(request: Request | HttpRequest, download: Download, part: range) -> Iterator[bytes]:
    with download.open_part(part) if download.open_part else download.open() as content:
        if not download.open_part:
            content.seek(part.start)
        left = len(part)
        while left and (chunk := content.read(min(_CHUNK_BYTES, left))):
            refuse_ended(request)
            left -= len(chunk)
            yield chunk

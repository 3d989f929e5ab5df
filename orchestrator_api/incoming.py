"""Refuses requests whose body is incomplete or could be misread, before anything else reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

_Environ = dict[str, Any]
_StartResponse = Callable[..., Any]
Application = Callable[[_Environ, _StartResponse], Iterable[bytes]]

_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s\";]*)", re.IGNORECASE)
_BOUNDARY = re.compile(r";\s*boundary\s*=\s*(?:\"([^\"]*)\"|([^\s;]*))", re.IGNORECASE)
_READABLE_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii", "")
_TITLES = {
    411: ("length-required", "Length Required", "A request needs a Content-Length."),
    415: ("unsupported-media-type", "Unsupported Media Type", "This content type is not accepted here."),
}
# Some clients send bytes after the last boundary; they are far fewer than this.
_TAIL_BYTES = 1024


class BodyBrokeOffError(OSError):
    """The body ended before its announced length, or a form before its last boundary."""


class WholeBodies:
    """A WSGI application around another: it passes on only bodies that are complete and declared as UTF-8 or without
    a charset."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: _Environ, start_response: _StartResponse) -> Iterable[bytes]:
        content_type = environ.get("CONTENT_TYPE", "")
        charset = _CHARSET.search(content_type)
        if charset and charset[1].lower() not in _READABLE_CHARSETS:
            return _refused(start_response, 415, "Text must be UTF-8.")
        if charset:
            environ["CONTENT_TYPE"] = _CHARSET.sub("", content_type)
        if "HTTP_TRANSFER_ENCODING" in environ:
            return _refused(start_response, 411, "A chunked body is not accepted: send it with a Content-Length.")
        if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() not in ("identity", ""):
            return _refused(start_response, 415, "A compressed body (Content-Encoding) is not accepted.")
        length = environ.get("CONTENT_LENGTH") or "0"
        if length.isdecimal() and int(length):
            environ["wsgi.input"] = _WholeInput(environ["wsgi.input"], int(length), _last_boundary(content_type))
        return self._application(environ, start_response)


class _WholeInput:
    """A request's body that raises BodyBrokeOffError where it ends too early."""

    def __init__(self, source: Any, length: int, last_boundary: bytes) -> None:
        self._source = source
        self._left = length
        self._last_boundary = last_boundary
        self._tail = b""

    def read(self, size: int = -1) -> bytes:
        return self._seen(self._source.read(size), size)

    def readline(self, size: int = -1) -> bytes:
        return self._seen(self._source.readline(size), size)

    def __iter__(self) -> Any:
        return iter(self.readline, b"")

    def _seen(self, data: bytes, size: int) -> bytes:
        if not self._left:
            return data
        self._left -= len(data)
        if self._left > 0 and not data and size != 0:
            raise BodyBrokeOffError("the body broke off")
        if self._last_boundary:
            self._tail = (self._tail + data[-_TAIL_BYTES:])[-_TAIL_BYTES:]
            if self._left <= 0 and self._last_boundary not in self._tail:
                raise BodyBrokeOffError("the form has no end")
        return data


def _last_boundary(content_type: str) -> bytes:
    boundary = _BOUNDARY.search(content_type)
    if boundary is None or not content_type.lower().lstrip().startswith("multipart/"):
        return b""
    name = boundary[1] or boundary[2] or ""
    # The form's parser refuses an invalid boundary with its own message.
    return f"--{name}--".encode("latin-1") if name and name.isascii() and len(name) <= 200 else b""


def _refused(start_response: _StartResponse, status: int, detail: str) -> Iterable[bytes]:
    code, reason, title = _TITLES[status]
    document = {
        "type": f"urn:problem:orchestrator:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [],
    }
    content = json.dumps(document).encode()
    headers = [("Content-Type", "application/problem+json"), ("Content-Length", str(len(content)))]
    start_response(f"{status} {reason}", headers)
    return [content]

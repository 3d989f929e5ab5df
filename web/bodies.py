"""The body of a POST or PATCH: one JSON document, and files."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.conf import settings
from django.core.files.base import File
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from django.http import HttpRequest, RawPostDataException
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request

from web.errors import Fault, InvalidInput, TooLarge
from web.grants import grant_of
from web.jsontext import escape, mended, parse_json
from web.standing import refuse_ended

DATA_PART = "data"
_F = TypeVar("_F", bound=File[Any])


@dataclass(frozen=True)
class Body:
    """The JSON object of a request, and its file parts by name."""

    data: dict[str, Any]
    files: Mapping[str, UploadedFile[Any]] = field(default_factory=dict)


def read_body(request: Request) -> Body:
    """Return a request's JSON document and files.

    Takes `multipart/form-data` (a part `data` with the document, any other part a file) and plain
    `application/json`. Raises InvalidInput with every fault of the form at `/data` or `/files/<part name>`, TooLarge,
    UnsupportedMediaType for another content type, and InvalidToken if the caller's token expired in the meantime.
    From a Workflow invalid characters are accepted and replaced by U+FFFD: programs cut texts in the middle of a
    character, and a training must not fail because of that.
    """
    limit_size(request)
    return _read(request, _as_exact_object if grant_of(request) is None else _as_mended_object)


def read_callback(request: Request) -> Body:
    """Return the body of a callback, read as `read_body` reads a Workflow's, whoever sends it.

    A request without a body is an empty document.
    """
    limit_size(request)
    if not _has_content(request):
        refuse_ended(request)
        return Body({})
    return _read(request, _as_mended_object)


def read_optional_body(request: Request) -> Body:
    """Return the body as `read_body` does; a request without one is an empty document."""
    limit_size(request)
    return read_body(request) if _has_content(request) else Body({})


def _has_content(request: Request) -> bool:
    return int(request.META.get("CONTENT_LENGTH") or 0) > 0


def _read(request: Request, parse: Callable[[bytes | str], dict[str, Any]]) -> Body:
    media_type = (request.content_type or "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        body = _read_multipart(request, parse)
    elif media_type == "application/json":
        body = Body(parse(_raw(request)))
    else:
        body = None
    if body is not None:
        # The upload may have taken hours.
        refuse_ended(request)
        return body
    if not _has_content(request):
        raise InvalidInput(faults=[Fault("/data", "is missing")])
    raise UnsupportedMediaType(media_type or "(none)")


def read_json_file(upload: UploadedFile[Any], pointer: str, max_bytes: int | None = None) -> Any:
    """Return the value that an uploaded JSON file holds. Raises InvalidInput at `pointer`, and TooLarge."""
    limit = max_bytes if max_bytes is not None else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if (upload.size or 0) > limit:
        raise TooLarge(faults=[Fault(pointer, f"is larger than {limit} bytes")])
    upload.seek(0)
    content = upload.read()
    upload.seek(0)
    if not content.strip():
        raise InvalidInput(faults=[Fault(pointer, "is empty")])
    return parse_json(content, pointer)


def without_marks(files: Mapping[str, _F], parts: Collection[str]) -> dict[str, _F | UploadedFile[Any]]:
    """Return files, with the byte order mark removed from the given JSON parts.

    Some editors on Windows write one; later readers of the file then need not handle it.
    """
    return {part: _without_mark(file) if part in parts else file for part, file in files.items()}


def _without_mark(file: _F) -> _F | UploadedFile[Any]:
    file.seek(0)
    has_mark = file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
    # A file that is too large is not read.
    content = file.read() if has_mark and file.size <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE else None
    file.seek(0)
    return file if content is None else SimpleUploadedFile(file.name or "json", content)


def limit_size(request: Request | HttpRequest) -> None:
    """Refuse a request by its announced length, before it is read. Raises TooLarge."""
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError as error:
        raise InvalidInput("Content-Length is not a number.") from error
    if length > settings.MAX_REQUEST_BYTES:
        raise TooLarge(f"A request may have at most {settings.MAX_REQUEST_BYTES} bytes.")


def _raw(request: Request) -> bytes:
    try:
        return bytes(request.body)
    except RawPostDataException as error:
        # request.data was read before: a fault of the view, not of the caller.
        raise RuntimeError("read_body must be the only reader of a request's body") from error


def _as_exact_object(text: bytes | str) -> dict[str, Any]:
    # A form's parser replaces invalid UTF-8 by this character: the original text is lost.
    if isinstance(text, str) and "\ufffd" in text:
        raise InvalidInput(faults=[Fault("/data", "is not UTF-8, or holds the replacement character U+FFFD")])
    return _as_object(text)


def _as_mended_object(text: bytes | str) -> dict[str, Any]:
    return _as_object(mended(text))


def _as_object(text: bytes | str) -> dict[str, Any]:
    if not text.strip():
        raise InvalidInput(faults=[Fault("/data", "is missing")])
    data = parse_json(text, "/data")
    if not isinstance(data, dict):
        raise InvalidInput(faults=[Fault("/data", "must be an object")])
    return data


def _read_multipart(request: Request, parse: Callable[[bytes | str], dict[str, Any]]) -> Body:
    form, uploads = request.POST, request.FILES
    faults: list[Fault] = []
    data: dict[str, Any] = {}
    try:
        data = parse(_document(form.getlist(DATA_PART), uploads.getlist(DATA_PART)))
    except InvalidInput as error:
        faults.extend(error.faults)
    for name in form:
        if name != DATA_PART:
            faults.append(Fault(f"/files/{escape(name)}", "must be sent as a file part, with a file name"))
    files: dict[str, UploadedFile[Any]] = {}
    for name in uploads:
        parts = uploads.getlist(name)
        if name == DATA_PART:
            continue
        if len(parts) > 1:
            faults.append(Fault(f"/files/{escape(name)}", "is sent more than once"))
        if "\x00" in name:
            faults.append(Fault("/files", "has a part whose name holds a NUL character"))
        files[name] = parts[0]
    if faults:
        raise InvalidInput(faults=faults)
    return Body(data, files)


def _document(fields: list[str], uploads: list[UploadedFile[Any]]) -> bytes | str:
    """Return the text of the part `data`, which senders may send with or without a file name."""
    if len(fields) + len(uploads) > 1:
        raise InvalidInput(faults=[Fault("/data", "is sent more than once")])
    if uploads:
        if (uploads[0].size or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge(faults=[Fault("/data", f"is larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes")])
        content: bytes = uploads[0].read()
        return content
    text = fields[0] if fields else ""
    return text.removeprefix("\ufeff")

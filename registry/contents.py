"""The contents of a stored archive: the list of its files, and one file as a stream."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from django.db.models.fields.files import FieldFile

from web.archives import BrokenArchive, Member, read_member, reading_archive, zip_paths
from web.downloads import Download
from web.errors import Fault, InvalidInput, NotFound

_POINTER = "/query/file_path"
# Files up to this size are unpacked before they are sent; in a larger one a fault breaks the answer off.
_READ_AHEAD_BYTES = 16 * 1024**2
_CHUNK_BYTES = 256 * 1024


class _MemberStream(io.RawIOBase):
    """A file of an archive; closing it closes the archive.

    It can seek, for ranges, but `seekable` says no: callers would use it to find the length, which unpacks the file.
    """

    def __init__(self, content: IO[bytes], archive: IO[Any]) -> None:
        self._content = content
        self._archive = archive

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._content.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        return self._content.read(size)

    def close(self) -> None:
        self._content.close()
        self._archive.close()
        super().close()


def listed_contents(stored: FieldFile) -> list[str]:
    """Return the paths of the files in a stored archive. Raises NotFound if it is no longer stored."""
    with _opened(stored) as archive:
        return zip_paths(archive)


def member_download(stored: FieldFile, path: str) -> Download:
    """Return one file of a stored archive as a download; the archive is closed until the download is read.

    Raises InvalidInput if the file is not in the archive or is broken, and NotFound if the archive is no longer stored.
    """
    if not path:
        raise InvalidInput(faults=[Fault(_POINTER, "is missing")])
    with _opened(stored) as archive:
        member = _read(archive, path)
        with member.content, _broken_is_invalid(), reading_archive():
            # A broken file is found by reading it: better before the answer begins than in the middle of it.
            _read_ahead(member)
    tag = hashlib.sha256(f"{stored.name}:{path}".encode()).hexdigest()[:32]
    return Download(lambda: _open_stream(stored, path), member.size, path.rpartition("/")[2], tag=tag)


def _open_stream(stored: FieldFile, path: str) -> IO[bytes]:
    archive = stored.storage.open(stored.name or "", "rb")
    try:
        return _MemberStream(_read(archive, path).content, archive)  # type: ignore[return-value]
    except BaseException:
        archive.close()
        raise


@contextmanager
def _opened(stored: FieldFile) -> Iterator[IO[Any]]:
    try:
        archive = stored.storage.open(stored.name or "", "rb")
    except FileNotFoundError as error:
        raise NotFound("The file is no longer stored.") from error
    with archive:
        yield archive


def _read(archive: IO[Any], path: str) -> Member:
    with _broken_is_invalid():
        return read_member(archive, path, pointer=_POINTER)


def _read_ahead(member: Member) -> None:
    left = _READ_AHEAD_BYTES
    while left > 0 and (chunk := member.content.read(_CHUNK_BYTES)):
        left -= len(chunk)


@contextmanager
def _broken_is_invalid() -> Iterator[None]:
    try:
        yield
    except BrokenArchive as error:
        raise InvalidInput(faults=[Fault(_POINTER, "is the path of a file that is broken in the archive")]) from error

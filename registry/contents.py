"""What is inside a stored archive: its list, and one file of it as a stream."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from django.db.models.fields.files import FieldFile

from web.archives import Member, check_zip, read_member
from web.downloads import Download
from web.errors import Fault, InvalidInput, NotFound

_POINTER = "/query/file_path"


class _MemberStream(io.RawIOBase):
    """A file of an archive that closes the archive with itself.

    It can seek, for ranges, but doesn't say so: whoever asks does it to measure the length, which unpacks all of it.
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
    """Return the paths of the files in a stored archive. Raises NotFound when it is no longer stored."""
    with _opened(stored) as archive:
        return check_zip(archive)


def member_download(stored: FieldFile, path: str) -> Download:
    """Return one file of a stored archive as a download; nothing stays open until it is asked for.

    Raises InvalidInput when the archive holds no such file or a broken one, and NotFound when it is no longer stored.
    """
    if not path:
        raise InvalidInput(faults=[Fault(_POINTER, "is missing")])
    with _opened(stored) as archive:
        member = _read(archive, path)
        member.content.close()
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
        raise NotFound("The file is no longer in the storage.") from error
    with archive:
        yield archive


def _read(archive: IO[Any], path: str) -> Member:
    try:
        return read_member(archive, path, pointer=_POINTER)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        # Only a file's own header can be wrong here: the archive's list was checked when it came.
        raise InvalidInput(faults=[Fault(_POINTER, "names a file that is broken in this archive")]) from error

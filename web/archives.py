"""Zip archives from outside: looked at before anybody unpacks them."""

from __future__ import annotations

import errno
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from web.errors import Fault, InvalidInput

MAX_FILES = 100_000
MAX_BYTES = 50 * 1024**3
# Deflate reaches about 1000:1; honest archives of any size stay far below this.
_MAX_RATIO = 250
_RATIO_FROM_BYTES = 256 * 1024**2
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


@dataclass(frozen=True)
class Member:
    """A file inside an archive, opened at its beginning."""

    path: str
    size: int
    content: IO[bytes]


class BrokenArchive(Exception):
    """The bytes are not what the zip format, or the archive's own directory, says they are."""


def check_zip(
    file: Any, *, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES, pointer: str = "/files/contents"
) -> list[str]:
    """Return the paths of the files in a zip archive, in its own order; each file's own header is looked at too.

    `file` is an open binary file and is left at its beginning. `max_bytes` counts what the archive would become.
    Raises InvalidInput at `pointer` for what is no zip or is encrypted, for absolute paths, paths that leave the
    archive's folder and symbolic links, for a path given twice, and beyond the limits.
    """
    file.seek(0)
    try:
        with reading_archive(), zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            problem = _problem(members, max_files, max_bytes) or _broken_member(archive, members)
    except BrokenArchive as error:
        raise InvalidInput(faults=[Fault(pointer, "is not a zip archive, or a broken one")]) from error
    finally:
        file.seek(0)
    if problem:
        raise InvalidInput(faults=[Fault(pointer, problem)])
    return _paths_in(members)


def zip_paths(file: Any) -> list[str]:
    """Return the paths of the files in an archive that `check_zip` let in."""
    with zipfile.ZipFile(file) as archive:
        return _paths_in(archive.infolist())


def _paths_in(members: list[zipfile.ZipInfo]) -> list[str]:
    """Return the paths of what are files."""
    return [member.filename for member in members if not member.is_dir()]


def read_member(file: Any, path: str, *, pointer: str = "/query/file_path") -> Member:
    """Open one file of an archive that `check_zip` let in; closing its content leaves `file` open.

    Raises InvalidInput at `pointer` when the archive holds no file of that path, and BrokenArchive.
    """
    with reading_archive():
        archive = zipfile.ZipFile(file)
    try:
        info = archive.getinfo(path)
    except KeyError as error:
        raise InvalidInput(faults=[Fault(pointer, "names no file of this archive")]) from error
    if info.is_dir():
        raise InvalidInput(faults=[Fault(pointer, "names a folder of this archive")])
    with reading_archive():
        return Member(info.filename, info.file_size, archive.open(info))


@contextmanager
def reading_archive() -> Iterator[None]:
    """Turn whatever zipfile and its decompressors raise over broken content into BrokenArchive."""
    try:
        yield
    except OSError as error:
        # EINVAL is how a place before the file's beginning shows, and no number what a decompressor raises.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise BrokenArchive from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, OverflowError) as error:
        raise BrokenArchive from error
    except (zlib.error, lzma.LZMAError, struct.error) as error:
        raise BrokenArchive from error


def _broken_member(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> str:
    for member in members:
        try:
            with reading_archive():
                archive.open(member).close()
        except BrokenArchive:
            return f"holds {member.filename[:200]!r}, which is broken"
    return ""


def _problem(members: list[zipfile.ZipInfo], max_files: int, max_bytes: int) -> str:
    if len(members) > max_files:
        return f"holds more than {max_files} files"
    expanded = sum(member.file_size for member in members)
    if expanded > max_bytes:
        return f"would expand to more than {max_bytes} bytes"
    packed = sum(member.compress_size for member in members)
    if expanded > _RATIO_FROM_BYTES and expanded > _MAX_RATIO * max(packed, 1):
        return f"would expand to more than {_MAX_RATIO} times its size"
    seen: set[str] = set()
    for member in members:
        problem = _member_problem(member)
        if not problem and member.filename in seen:
            problem = "is there twice"
        if problem:
            return f"holds {member.filename[:200]!r}, which {problem}"
        seen.add(member.filename)
    return ""


def _member_problem(member: zipfile.ZipInfo) -> str:
    # zipfile cuts a name at a NUL and turns the platform's separators round: judge what the archive really says.
    name = member.orig_filename
    kind = stat.S_IFMT(member.external_attr >> 16)
    problems = {
        "is encrypted": member.flag_bits & 0x1,
        "has a name that is not allowed": not name or "\x00" in name or "\\" in name,
        "is an absolute path": name.startswith("/") or name[1:2] == ":",
        "leaves its folder": ".." in name.split("/"),
        "is a link or another special file": kind not in (0, stat.S_IFREG, stat.S_IFDIR),
        "is packed in a way that is not known here": member.compress_type not in _METHODS,
    }
    return next((problem for problem, found in problems.items() if found), "")

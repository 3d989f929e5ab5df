"""Checks zip archives from outside before they are unpacked."""

from __future__ import annotations

import errno
import io
import lzma
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

from web.errors import Fault, InvalidInput

MAX_FILES = 100_000
MAX_BYTES = 50 * 1024**3
# Deflate reaches about 1000:1; normal archives of any size stay far below this.
_MAX_RATIO = 250
_RATIO_FROM_BYTES = 256 * 1024**2
# The limit for the list at an archive's end, which is read as a whole: enough for the most files with usual names.
_MAX_LIST_BYTES = 64 * 1024**2
_LIST_ENTRY = b"PK\x01\x02"
_LOCAL_HEADER_BYTES = 30
_MAX_NAME_BYTES = 255
_UTF_8_FLAG = 0x800
_DOS_FOLDER = 0x10
_DRIVE = re.compile("[A-Za-z]:")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


@dataclass(frozen=True)
class Member:
    """A file inside an archive, opened at its beginning."""

    path: str
    size: int
    content: IO[bytes]


class BrokenArchive(Exception):
    """The bytes do not agree with the zip format or with the archive's own directory."""


def check_zip(
    file: Any, *, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES, pointer: str = "/files/contents"
) -> list[str]:
    """Return the paths of the files in a zip archive, in its own order; each file's own header is checked too.

    Paths are those of `member_path`, without the helper files of macOS. `file` is an open binary file and is left at
    its beginning. `max_bytes` limits the unpacked size. Raises InvalidInput at `pointer` for a file that is not a zip,
    has no files or is encrypted, for absolute paths, paths that leave the archive's folder and symbolic links, for a
    path given twice or as a file and a folder, for files that share their bytes, and beyond the limits.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if not size:
        raise InvalidInput(faults=[Fault(pointer, "is empty, so it is not a zip archive")])
    try:
        with reading_archive(), zipfile.ZipFile(_Bounded(file, max_files)) as archive:
            members = archive.infolist()
            paths = list(_files_in(members))
            problem = _problem(members, max_files, max_bytes, size) or _broken_member(archive, members)
            problem = problem or ("" if paths else "is a zip archive without files")
    except _TooManyFiles:
        problem = f"holds more than {max_files} files"
    except BrokenArchive as error:
        raise InvalidInput(faults=[Fault(pointer, "is not a zip archive, or is broken")]) from error
    finally:
        file.seek(0)
    if problem:
        raise InvalidInput(faults=[Fault(pointer, problem)])
    return paths


def member_path(member: zipfile.ZipInfo) -> str:
    """Return the path of a member, with slashes and in the encoding of its packer.

    Packers on Windows separate by backslashes. Those on macOS write UTF-8 without its flag, so that it is read as code
    page 437 (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, appendix D).
    """
    name = member.filename
    if not member.flag_bits & _UTF_8_FLAG and not name.isascii():
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return name.replace("\\", "/")


def _is_folder(member: zipfile.ZipInfo) -> bool:
    # Some packers on Windows mark a folder only by the MS-DOS attribute.
    return member_path(member).endswith("/") or bool(member.external_attr & _DOS_FOLDER and not member.file_size)


def _files_in(members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Return the members that are files, by path, without the helper files of file managers."""
    files = {member_path(member): member for member in members if not _is_folder(member)}
    return {path: member for path, member in files.items() if not _is_left_over(path, files)}


def _is_left_over(path: str, paths: Container[str]) -> bool:
    """Return whether a file is a helper file of macOS: a resource fork of another file, or how to show a folder."""
    folder, separator, name = path.rpartition("/")
    is_fork = name.startswith("._") and f"{folder}{separator}{name[2:]}" in paths
    return path.startswith("__MACOSX/") or name == ".DS_Store" or is_fork


class _TooManyFiles(Exception):
    """The list at an archive's end has more entries than allowed, whatever number it declares."""


class _Bounded:
    """An archive's file; the length of its list is checked before an object is created for each entry."""

    def __init__(self, file: Any, max_files: int) -> None:
        self._file = file
        self._max_files = max_files
        self.seek, self.tell, self.seekable = file.seek, file.tell, lambda: True

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_LIST_BYTES:
            raise BrokenArchive("its list is too long")
        content: bytes = self._file.read(size)
        if content.count(_LIST_ENTRY) > self._max_files:
            raise _TooManyFiles
        return content


def zip_paths(file: Any) -> list[str]:
    """Return the paths of the files in an archive that has passed `check_zip`."""
    with zipfile.ZipFile(file) as archive:
        return list(_files_in(archive.infolist()))


def read_member(file: Any, path: str, *, pointer: str = "/query/file_path") -> Member:
    """Open one file of an archive that has passed `check_zip`; closing its content leaves `file` open.

    Raises InvalidInput at `pointer` if the archive has no file at that path, and BrokenArchive.
    """
    with reading_archive():
        archive = zipfile.ZipFile(file)
    info = next((member for member in archive.infolist() if path in (member.filename, member_path(member))), None)
    if info is None:
        raise InvalidInput(faults=[Fault(pointer, "is not the path of a file in the archive")])
    if _is_folder(info):
        raise InvalidInput(faults=[Fault(pointer, "is the path of a folder in the archive; it must be that of a file")])
    with reading_archive():
        return Member(member_path(info), info.file_size, archive.open(info))


@contextmanager
def reading_archive() -> Iterator[None]:
    """Turn the errors of zipfile and its decompressors for broken content into BrokenArchive."""
    try:
        yield
    except OSError as error:
        # EINVAL means a place before the file's beginning; errors of decompressors have no number.
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


def _problem(members: list[zipfile.ZipInfo], max_files: int, max_bytes: int, size: int) -> str:
    if len(members) > max_files:
        return f"holds more than {max_files} files"
    expanded = sum(member.file_size for member in members)
    if expanded > max_bytes:
        return f"would expand to more than {max_bytes} bytes"
    # Compared with the received size: several members may declare the same bytes.
    if expanded > _RATIO_FROM_BYTES and expanded > _MAX_RATIO * size:
        return f"would expand to more than {_MAX_RATIO} times its size"
    places = _Places()
    for member in members:
        if problem := _member_problem(member) or places.problem(member):
            return f"holds {member.filename[:200]!r}, which {problem}"
    return _overlap(members, size)


class _Places:
    """Which paths of an archive are taken, as files and as folders."""

    def __init__(self) -> None:
        self._files: set[tuple[str, ...]] = set()
        self._folders: set[tuple[str, ...]] = set()

    def problem(self, member: zipfile.ZipInfo) -> str:
        """Take a member's path; return why it is not allowed, or ''."""
        # As programs that unpack it read it: `a/./b` and `a//b` are `a/b`.
        path = tuple(part for part in member_path(member).split("/") if part not in ("", "."))
        is_folder = _is_folder(member)
        if path in self._files:
            return "appears twice"
        if not path and not is_folder:
            return "has a name that is not allowed"
        above = [path[:length] for length in range(1, len(path))]
        if any(folder in self._files for folder in above) or (not is_folder and path in self._folders):
            return "is a file and a folder at once"
        self._folders.update(above, [path] if is_folder else [])
        if not is_folder:
            self._files.add(path)
        return ""


def _overlap(members: list[zipfile.ZipInfo], size: int) -> str:
    """Return which member shares bytes with another one or exceeds the archive: few bytes could fill many files."""
    end = 0
    for member in sorted(members, key=lambda each: each.header_offset):
        if member.header_offset < end:
            return f"holds {member.filename[:200]!r}, which shares its bytes with another file"
        end = member.header_offset + _LOCAL_HEADER_BYTES + member.compress_size
        if end > size:
            return f"holds {member.filename[:200]!r}, which is longer than the archive"
    return ""


def _member_problem(member: zipfile.ZipInfo) -> str:
    # zipfile cuts a name at a NUL: check the archive's own name, as programs that unpack it read it.
    name = member_path(member)
    kind = stat.S_IFMT(member.external_attr >> 16)
    problems = {
        "is encrypted": member.flag_bits & 0x1,
        "has a name that is not allowed": not name or "\x00" in member.orig_filename,
        "has a name that is too long": any(
            len(part.encode(errors="replace")) > _MAX_NAME_BYTES for part in name.split("/")
        ),
        "is an absolute path": name.startswith("/") or bool(_DRIVE.match(name)),
        "leaves its folder": ".." in name.split("/"),
        "is a link or another special file": kind not in (0, stat.S_IFREG, stat.S_IFDIR),
        "uses a compression method that is not supported": member.compress_type not in _METHODS,
    }
    return next((problem for problem, found in problems.items() if found), "")

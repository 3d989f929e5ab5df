"""Make zips of an AI engine's files, and unpack zips without leaving their folder."""

import logging
import lzma
import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO

from zlib_ng import zlib_ng

from runtime.errors import ArchiveError

# zipfile copies 8 kB at a time, which takes as long as the checksums.
BLOCK = 1024 * 1024

# A local file header up to its name: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.7.
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_UTF_8_FLAG = 0x800
_DOS_FOLDER = 0x10
_DRIVE = re.compile("[A-Za-z]:")
# Errors of zipfile and its decompressors for damaged content.
_DAMAGED = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    UnicodeDecodeError,
)

log = logging.getLogger(__name__)


def pack(path: str, target: Path, compression: int = zipfile.ZIP_DEFLATED) -> None:
    """Write a zip of the file or folder at `path` to `target`.

    A path that ends in `/*` packs the folder's content without the folder's own name. `compression` is one of
    zipfile's methods.
    Raises ArchiveError when there's nothing to pack, or when a link leads out of the folder.
    """
    without_folder = path.endswith("/*")
    source = Path(path[:-2] or "/") if without_folder else Path(path)
    if not source.exists():
        raise ArchiveError(f"there is nothing at {source}")
    base = source if without_folder else source.parent
    files = sorted(_files(source))
    if not files:
        raise ArchiveError(f"{source} is a folder without files")
    with zipfile.ZipFile(target, "w") as archive:
        for file in files:
            member = zipfile.ZipInfo.from_file(file, file.relative_to(base).as_posix(), strict_timestamps=False)
            member.compress_type = compression
            with file.open("rb") as content, archive.open(member, "w") as packed:
                shutil.copyfileobj(content, packed, BLOCK)
    log.info("packed %d files of %s (%d bytes)", len(files), source, target.stat().st_size)


def unpack(archive_path: Path, folder: Path) -> None:
    """Unpack a zip into `folder`, creating it; metadata files of macOS are skipped.

    Raises ArchiveError, before anything is written, when it isn't a readable zip, holds no file, is encrypted, has a
    name that leads out of the folder, holds a link or a device, or needs more disk space than is free.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive_path) as archive:
            members = archive.infolist()
            for member in members:
                _check_member(member)
            members = _wanted(members)
            if all(_is_folder(member) for member in members):
                raise ArchiveError("the zip is empty: it has no files")
            needed, free = sum(member.file_size for member in members), shutil.disk_usage(folder).free
            if needed > free:
                raise ArchiveError(f"the zip needs {needed} bytes, but {folder} has {free} bytes free")
            for member in members:
                _write_member(archive, member, folder)
    except _DAMAGED as error:
        raise ArchiveError(f"the download is not a readable zip: {error}") from error
    log.info("unpacked %d members into %s", len(members), folder)


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
        return
    root = source.resolve()
    for current, _folders, names in os.walk(source):
        for name in names:
            file = Path(current, name)
            if file.is_symlink() and not file.resolve().is_relative_to(root):
                raise ArchiveError(f"{file} is a link that leads out of {source}")
            if file.is_file():
                yield file


def _path(member: zipfile.ZipInfo) -> str:
    """Return a member's path with slashes instead of Windows' backslashes, and in the intended characters.

    macOS writes UTF-8 without its flag, so the name is decoded as code page 437 (the same text, appendix D).
    """
    name = member.filename
    if not member.flag_bits & _UTF_8_FLAG and not name.isascii():
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return name.replace("\\", "/")


def _is_folder(member: zipfile.ZipInfo) -> bool:
    # Some packers of Windows mark folders only by MS-DOS' attribute.
    return _path(member).endswith("/") or bool(member.external_attr & _DOS_FOLDER and not member.file_size)


def _wanted(members: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """Return the members without macOS's resource forks and .DS_Store files."""
    paths = {_path(member) for member in members}

    def is_left_over(path: str) -> bool:
        folder, separator, name = path.rpartition("/")
        is_fork = name.startswith("._") and f"{folder}{separator}{name[2:]}" in paths
        return path.startswith("__MACOSX/") or name == ".DS_Store" or is_fork

    return [member for member in members if not is_left_over(_path(member))]


def _check_member(member: zipfile.ZipInfo) -> None:
    name = PurePosixPath(_path(member))
    if name.is_absolute() or ".." in name.parts or _DRIVE.match(_path(member)):
        raise ArchiveError(f"the zip has a name that leads out of its folder: {member.filename!r}")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError(f"the zip has a member that is neither a file nor a folder: {member.filename!r}")
    if member.flag_bits & 0x1:
        raise ArchiveError(f"the zip is encrypted: {member.filename!r}")


def _write_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    target = folder.joinpath(*PurePosixPath(_path(member)).parts)
    # A link that was in the folder before must not redirect a member.
    if not target.resolve().is_relative_to(folder.resolve()):
        raise ArchiveError(f"a link in {folder} leads out of it: {member.filename!r}")
    if _is_folder(member):
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, target.open("wb") as file:
        if member.compress_type == zipfile.ZIP_STORED and archive.fp is not None:
            _copy_stored(archive.fp, member, file)
        else:
            shutil.copyfileobj(source, file, BLOCK)


def _copy_stored(archive: IO[bytes], member: zipfile.ZipInfo, file: IO[bytes]) -> None:
    """Copy a member that isn't compressed; zipfile takes three times as long, mostly for its checksum."""
    archive.seek(member.header_offset)
    *_, name_length, extra_length = _LOCAL_HEADER.unpack(archive.read(_LOCAL_HEADER.size))
    archive.seek(name_length + extra_length, os.SEEK_CUR)
    left, checksum = member.file_size, 0
    while left:
        block = archive.read(min(left, BLOCK))
        if not block:
            raise EOFError(f"{member.filename!r} ends too early")
        checksum = zlib_ng.crc32(block, checksum)
        file.write(block)
        left -= len(block)
    if checksum != member.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {member.filename!r}")

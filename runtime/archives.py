"""Zips made of what an AI engine wrote, and zips unpacked without leaving their folder."""

import logging
import os
import shutil
import stat
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from zlib_ng import zlib_ng

from runtime.errors import ArchiveError

# zipfile's own copying, of 8 kB at a time, takes as long again as the checksums.
BLOCK = 1024 * 1024

# A local file header up to its name: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.7.
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")

log = logging.getLogger(__name__)


def pack(path: str, target: Path, compression: int = zipfile.ZIP_DEFLATED) -> None:
    """Write a zip of the file or folder at `path` to `target`.

    A path that ends in `/*` packs what the folder holds without the folder's own name. `compression` is one of
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
        raise ArchiveError(f"{source} holds no file")
    with zipfile.ZipFile(target, "w") as archive:
        for file in files:
            member = zipfile.ZipInfo.from_file(file, file.relative_to(base).as_posix(), strict_timestamps=False)
            member.compress_type = compression
            with file.open("rb") as content, archive.open(member, "w") as packed:
                shutil.copyfileobj(content, packed, BLOCK)
    log.info("packed %d files of %s (%d bytes)", len(files), source, target.stat().st_size)


def unpack(archive_path: Path, folder: Path) -> None:
    """Unpack a zip into `folder`, creating it.

    Raises ArchiveError, before anything is written, when it isn't a readable zip, is encrypted, has a name that
    leads out of the folder, holds a link or a device, or needs more room than there is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive_path) as archive:
            members = archive.infolist()
            for member in members:
                _check_member(member)
            needed, free = sum(member.file_size for member in members), shutil.disk_usage(folder).free
            if needed > free:
                raise ArchiveError(f"the zip needs {needed} bytes, {free} are free at {folder}")
            for member in members:
                _write_member(archive, member, folder)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise ArchiveError(f"what was downloaded isn't a readable zip: {error}") from error
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


def _check_member(member: zipfile.ZipInfo) -> None:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in (name.parts[0] if name.parts else ""):
        raise ArchiveError(f"the zip holds a name that leads out of its folder: {member.filename!r}")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError(f"the zip holds something that's neither file nor folder: {member.filename!r}")
    if member.flag_bits & 0x1:
        raise ArchiveError(f"the zip is encrypted: {member.filename!r}")


def _write_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    target = folder.joinpath(*PurePosixPath(member.filename.replace("\\", "/")).parts)
    # A link that lay in the folder before must not carry a member elsewhere.
    if not target.resolve().is_relative_to(folder.resolve()):
        raise ArchiveError(f"a link in {folder} leads out of it: {member.filename!r}")
    if member.is_dir():
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

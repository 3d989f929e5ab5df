"""Zips as the packers of macOS and Windows make them, which zipfile's own are not like."""

from __future__ import annotations

import io
import zipfile
from typing import Any

# What macOS writes beside each file: an AppleDouble header.
FORK = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "


class Unflagged(zipfile.ZipInfo):
    """A member whose name is written as UTF-8, or in another encoding, without the flag that says so."""

    encoding = "utf-8"

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode(self.encoding), self.flag_bits


class OfWindows(Unflagged):
    encoding = "cp437"


class _Pipe(io.BytesIO):
    """A place to write to without going back, so that sizes come behind the content (data descriptors)."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_args: Any) -> int:
        raise io.UnsupportedOperation("seek")

    def tell(self) -> int:
        raise io.UnsupportedOperation("tell")


def zipped(*members: tuple[zipfile.ZipInfo | str, bytes], piped: bool = False, zip64: bool = False) -> bytes:
    """Return a zip of members in their order; `piped` as into a pipe, `zip64` with sizes of 64 bits."""
    target = _Pipe() if piped else io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members:
            info = zipfile.ZipInfo(member) if isinstance(member, str) else member
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=zip64) as opened:
                opened.write(content)
    return target.getvalue()


def of_macos() -> bytes:
    """Return a zip as Finder makes one of a folder: two files, and what it leaves for itself."""
    return zipped(
        *((Unflagged(name), content) for name, content in (
            ("Données/", b""),
            ("Données/été.csv", b"a,b\n"),
            ("__MACOSX/Données/._été.csv", FORK),
            ("Données/.DS_Store", b"\x00\x00\x00\x01Bud1"),
            ("Données/._other", b"no fork of anything"),
            ("__MACOSX/._Données", FORK),
        )),
        piped=True,
    )  # fmt: skip


def of_windows() -> bytes:
    """Return a zip as older packers of .NET make one: backslashes, and an empty folder by name and by attribute."""
    folder = zipfile.ZipInfo("by attribute")
    folder.external_attr = 0x10
    return zipped(
        (OfWindows("data\\"), b""), (OfWindows("data\\größe.csv"), b"a,b\n"), (OfWindows("data\\deep\\b.csv"), b"b\n"),
        (folder, b""), ("by attribute\\c.csv", b"c\n"),
    )  # fmt: skip

"""Archives of every evil kind, beyond those of tests/web/test_archives.py: refused before anybody unpacks them."""

from __future__ import annotations

import io
import json
import random
import stat
import struct
import tracemalloc
import zipfile
import zlib

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.services import zips
from tests.web.test_archives import fault_of, zipped
from web import archives
from web.archives import check_zip

pytestmark = pytest.mark.filterwarnings("ignore:Duplicate name")
EVIL_NAMES = [
    "/etc/passwd",
    "//server/share",
    "../../etc/passwd",
    "a/../../../etc/passwd",
    "a/..",
    "..\\..\\windows",
    "C:\\windows\\system.ini",
    "c:relative",
    "Z:\\x",
    "\\\\server\\share",
    "\\etc\\passwd",
    "a\\..\\..\\x",
    "__MACOSX/../../x",
    "__MACOSX\\..\\..\\x",
    "a\x00.txt",
    "n" * 256,
    "ä" * 128,
    ".",
    "./.",
]
KINDS = {
    "link": stat.S_IFLNK,
    "block device": stat.S_IFBLK,
    "character device": stat.S_IFCHR,
    "pipe": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
}


def named(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x")
    info.filename = name
    return info


@pytest.mark.parametrize("name", EVIL_NAMES, ids=ascii)
def test_a_name_that_leads_elsewhere_or_is_none(name: str) -> None:
    assert "which" in fault_of(zipped(("good", b"1"), (named(name), b"x")))


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_that_is_no_file(kind: str) -> None:
    info = zipfile.ZipInfo("x")
    info.external_attr = (KINDS[kind] | 0o666) << 16
    assert "special file" in fault_of(zipped((info, b"/etc/passwd")))


def test_a_file_of_root_with_all_rights_is_a_file_and_no_more() -> None:
    info = zipfile.ZipInfo("x")
    info.external_attr = (stat.S_IFREG | 0o7777) << 16
    assert check_zip(zipped((info, b"x"))) == ["x"]


@pytest.mark.parametrize(
    "names",
    [("a", "a"), ("a/b", "a//b"), ("a/b", "a/./b"), ("a", "./a"), ("a/b", "./a/b"), ("a/b", "a\\b"), ("a", ".\\a")],
    ids=" and ".join,
)
def test_a_path_that_is_there_twice_however_it_is_written(names: tuple[str, str]) -> None:
    assert "twice" in fault_of(zipped(*((named(name), b"x") for name in names)))


@pytest.mark.parametrize(
    "names", [("a", "a/b"), ("a/b", "a"), ("a", "a/"), ("a/", "a"), ("a/b/c", "a/b"), ("a", "a\\b")]
)
def test_a_path_that_is_file_and_folder(names: tuple[str, str]) -> None:
    assert fault_of(zipped(*((named(name), b"" if name.endswith("/") else b"x") for name in names)))


@pytest.mark.parametrize("name", ["é/../../x", "é\\..\\..\\x", "/é", "C:é"])
def test_a_name_that_leads_elsewhere_once_it_is_read_as_utf_8(name: str) -> None:
    assert "which" in fault_of(io.BytesIO(zips.zipped((zips.Unflagged(name), b"x"))))


def test_two_names_that_are_one_once_they_are_read_as_utf_8() -> None:
    assert "twice" in fault_of(io.BytesIO(zips.zipped((zips.Unflagged("été"), b"1"), ("été", b"2"))))


def test_what_is_left_out_counts_for_every_limit() -> None:
    assert "more than 1 files" in fault_of(zipped(("a", b"1"), ("__MACOSX/._a", b"2")), max_files=1)
    assert "9 bytes" in fault_of(zipped(("a", b"1"), ("__MACOSX/._a", b"2" * 10)), max_bytes=9)


def test_names_that_differ_by_case_are_different_files_as_they_are_where_pods_run() -> None:
    assert check_zip(zipped(("Scan.dcm", b"1"), ("scan.dcm", b"2"))) == ["Scan.dcm", "scan.dcm"]


def test_an_archive_in_an_archive_is_a_file_that_nobody_unpacks() -> None:
    assert check_zip(zipped(("inner.zip", zipped(("../x", b"1")).getvalue()))) == ["inner.zip"]


def test_a_bomb_of_one_member() -> None:
    packer = zlib.compressobj(9)
    # What it says of its size is enough: nothing is unpacked to find out.
    assert "times its size" in fault_of(
        handmade([("bomb", packer.compress(b"0" * 300_000) + packer.flush(), 300 << 20)])
    )


def handmade(members: list[tuple[str, bytes, int]], share_bytes: bool = False) -> io.BytesIO:
    """Return an archive of (name, deflated content, size it says it has); all of the first one's bytes if asked for."""
    body, entries, offset = bytearray(), bytearray(), 0
    for number, (name, content, size) in enumerate(members):
        head = struct.pack("<5H3I2H", 20, 0, 8, 0, 33, zlib.crc32(content), len(content), size, len(name), 0)
        if not share_bytes or number == 0:
            offset = len(body)
            body += b"PK\x03\x04" + head + name.encode() + content
        entries += (
            b"PK\x01\x02" + struct.pack("<H", 20) + head + struct.pack("<3H2I", 0, 0, 0, 0, offset) + name.encode()
        )
    end = struct.pack("<4H2IH", 0, 0, len(members) & 0xFFFF, len(members) & 0xFFFF, len(entries), len(body), 0)
    return io.BytesIO(bytes(body + entries) + b"PK\x05\x06" + end)


def test_a_bomb_whose_members_share_their_bytes() -> None:
    content = zlib.compress(b"0" * 100_000, 9)[2:-4]
    shared = [(f"m{number:04}", content, 100_000) for number in range(2000)]
    assert fault_of(handmade(shared, share_bytes=True))


def test_members_that_share_bytes_are_refused_at_any_size() -> None:
    content = zlib.compress(b"hello", 9)[2:-4]
    assert "shares its bytes" in fault_of(handmade([("a", content, 5), ("b", content, 5)], share_bytes=True))


def test_the_ratio_is_that_of_what_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members that share bytes may each say that they are packed at a modest ratio."""
    monkeypatch.setattr(archives, "_RATIO_FROM_BYTES", 1000)
    monkeypatch.setattr(archives, "_overlap", lambda members, size: "")
    content = zlib.compress(random.Random(1).randbytes(2000), 9)[2:-4]
    shared = [(f"m{number:04}", content, len(content) * 200) for number in range(1000)]
    assert "times its size" in fault_of(handmade(shared, share_bytes=True))


def test_many_members_are_refused_before_an_object_is_made_of_each() -> None:
    entry = ("x", b"\x03\x00", 0)
    file = handmade([entry] * 300_000, share_bytes=True)
    tracemalloc.start()
    try:
        assert "more than 100000 files" in fault_of(file)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 100 * 1024**2


def test_a_list_that_is_longer_than_any_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MAX_LIST_BYTES", 100_000)
    assert "not a zip" in fault_of(zipped(*((f"{number:0200}", b"") for number in range(500))))


@pytest.mark.parametrize("sizes", [(0, 5), (5, 0), (2**32 - 1, 5), (5, 2**32 - 1)])
def test_a_member_that_lies_about_its_size_is_refused_or_breaks_off_when_read(sizes: tuple[int, int]) -> None:
    content = bytearray(zipped(("a", b"hello"), compression=zipfile.ZIP_STORED).getvalue())
    place = content.index(b"PK\x01\x02") + 20
    content[place : place + 8] = struct.pack("<2I", *sizes)
    file = io.BytesIO(bytes(content))
    try:
        assert check_zip(file) == ["a"]
    except archives.InvalidInput:
        return
    with pytest.raises(archives.BrokenArchive), archives.reading_archive():
        archives.read_member(file, "a").content.read()


@pytest.mark.django_db
@pytest.mark.parametrize("content", [handmade([("a", b"\x03\x00", 0)] * 3, share_bytes=True), zipped(("../x", b"1"))])
def test_the_api_refuses_them_and_keeps_nothing(api, settings, tmp_path, content: io.BytesIO) -> None:
    files = {"contents": SimpleUploadedFile("c.zip", content.getvalue())}
    answer = api.post("/api/generic_files/", {"data": json.dumps({"data_partners_patients": None}), **files})
    assert answer.status_code == 400
    assert "/files/contents" in {fault["pointer"] for fault in answer.json()["errors"]}
    assert not [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()]

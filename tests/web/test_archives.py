import io
import random
import stat
import zipfile

import pytest

from tests.services import zips
from web import archives
from web.archives import check_zip, read_member, zip_paths
from web.errors import InvalidInput


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], compression=zipfile.ZIP_DEFLATED) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file


def fault_of(file, **limits) -> str:
    with pytest.raises(InvalidInput) as caught:
        check_zip(file, pointer="/files/external_data", **limits)
    [fault] = caught.value.faults
    assert fault.pointer == "/files/external_data"
    return fault.detail


def test_the_files_of_an_archive_are_named_without_its_folders():
    file = zipped(("a/", b""), ("a/b.txt", b"x"), ("c", b""))
    assert check_zip(file) == ["a/b.txt", "c"]
    assert file.tell() == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"not a zip" * 100, zipped(("a", b"x")).getvalue()[:-5]],
    ids=["empty", "short", "text", "cut"],
)
def test_what_is_no_zip_is_refused(content):
    assert "not a zip" in fault_of(io.BytesIO(content))


@pytest.mark.parametrize("cut", range(0, 100, 7))
def test_a_broken_directory_is_no_zip(cut):
    content = zipped(("a" * 30, b"x" * 30)).getvalue()
    fault_of(io.BytesIO(content[cut + 1 :][: len(content) // 2]))


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "..", "c:/x", "a\\..\\x"])
def test_a_path_that_leaves_the_folder_is_refused(name):
    info = zipfile.ZipInfo("a")
    info.filename = name
    assert "which" in fault_of(zipped((info, b"x")))


def test_a_symbolic_link_is_refused():
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "link" in fault_of(zipped((info, b"/etc/passwd")))


def test_an_encrypted_archive_is_refused():
    content = bytearray(zipped(("secret", b"x")).getvalue())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert "encrypted" in fault_of(io.BytesIO(bytes(content)))


def test_an_archive_beyond_the_limits_is_refused(monkeypatch):
    file = zipped(("a", b"0" * 10_000), ("b", b"1"))
    assert "more than 1 files" in fault_of(file, max_files=1)
    assert "9999 bytes" in fault_of(file, max_bytes=9_999)
    monkeypatch.setattr(archives, "_RATIO_FROM_BYTES", 100)
    assert "times its size" in fault_of(zipped(("a", b"0" * 1_000_000)))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_path_given_twice_is_refused():
    assert "twice" in fault_of(zipped(("a", b"1"), ("a", b"2")))


def test_a_member_can_be_read():
    file = zipped(("a/b.txt", b"hello"))
    member = read_member(file, "a/b.txt")
    assert (member.path, member.size, member.content.read()) == ("a/b.txt", 5, b"hello")


@pytest.mark.parametrize("path", ["a", "a/", "nope", "../a/b.txt", ""])
def test_a_member_that_is_not_there_is_a_fault(path):
    with pytest.raises(InvalidInput):
        read_member(zipped(("a/", b""), ("a/b.txt", b"hello")), path)


def test_a_zip_of_macos_holds_its_files_and_not_what_it_leaves_for_itself():
    file = io.BytesIO(zips.of_macos())

    assert check_zip(file) == ["Données/été.csv", "Données/._other"]
    assert zip_paths(file) == ["Données/été.csv", "Données/._other"]
    assert read_member(file, "Données/été.csv").content.read() == b"a,b\n"


def test_a_zip_of_windows_has_folders():
    file = io.BytesIO(zips.of_windows())

    assert check_zip(file) == ["data/größe.csv", "data/deep/b.csv", "by attribute/c.csv"]
    assert read_member(file, "data/deep/b.csv").content.read() == b"b\n"
    assert read_member(file, "data\\deep\\b.csv").path == "data/deep/b.csv"


@pytest.mark.parametrize("name", ["1:1.csv", "Scan 12:30.csv", "é:b", "ab:c", "a/c:x", "-:"])
def test_a_colon_alone_makes_no_drive(name):
    assert check_zip(zipped((name, b"x"))) == [name]


@pytest.mark.parametrize("piped", [True, False])
@pytest.mark.parametrize("zip64", [True, False])
def test_sizes_may_be_of_64_bits_and_behind_the_content(piped, zip64):
    file = io.BytesIO(zips.zipped(("a.csv", b"x" * 1000), ("b.csv", b""), piped=piped, zip64=zip64))

    assert check_zip(file) == ["a.csv", "b.csv"]
    assert len(read_member(file, "a.csv").content.read()) == 1000


def test_a_list_of_64_bits_is_read(monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    file = zipped(("a", random.Random(1).randbytes(400)), ("b", b"1" * 400))

    assert b"PK\x06\x06" in file.getvalue()
    assert check_zip(file) == ["a", "b"]


@pytest.mark.parametrize(
    "content",
    [
        zipped().getvalue(),
        zipped(("a/", b""), ("b/", b"")).getvalue(),
        zipped(("__MACOSX/._a", b"x"), (".DS_Store", b"x")).getvalue(),
    ],
    ids=["nothing", "folders", "what macOS leaves"],
)
def test_an_archive_without_a_file_is_refused(content):
    assert fault_of(io.BytesIO(content)) == "is a zip archive without files"

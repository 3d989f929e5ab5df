import io
import stat
import zipfile

import pytest

from web import archives
from web.archives import check_zip, read_member
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

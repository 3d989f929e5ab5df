import io
import os
import struct
import zipfile
from pathlib import Path

import pytest

from runtime.archives import pack, unpack
from runtime.errors import ArchiveError
from tests.runtime.recording import names_in, zip_of
from tests.services import zips


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "ai_model"
    (made / "deep").mkdir(parents=True)
    (made / "weights.bin").write_bytes(b"w")
    (made / "deep" / "layer.bin").write_bytes(b"l")
    return made


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("/*", ["deep/layer.bin", "weights.bin"]),
        ("", ["ai_model/deep/layer.bin", "ai_model/weights.bin"]),
        ("/", ["ai_model/deep/layer.bin", "ai_model/weights.bin"]),
        ("/weights.bin", ["weights.bin"]),
    ],
)
def test_the_end_of_the_path_says_whether_the_folder_is_packed(
    folder: Path, tmp_path: Path, ending: str, expected: list[str]
) -> None:
    pack(f"{folder}{ending}", tmp_path / "made.zip")

    assert names_in(tmp_path / "made.zip") == expected


def test_a_file_of_1970_is_packed(folder: Path, tmp_path: Path) -> None:
    os.utime(folder / "weights.bin", (0, 0))

    pack(f"{folder}/*", tmp_path / "made.zip")

    assert "weights.bin" in names_in(tmp_path / "made.zip")


@pytest.mark.parametrize("path", ["missing", "missing/*", "empty", "empty/*"])
def test_nothing_to_pack_is_a_fault(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(ArchiveError):
        pack(f"{tmp_path}/{path}", tmp_path / "made.zip")


def test_a_link_out_of_the_folder_is_not_packed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (folder / "link").symlink_to(tmp_path / "secret")

    with pytest.raises(ArchiveError, match="leads out"):
        pack(f"{folder}/*", tmp_path / "made.zip")


def test_a_zip_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "z.zip").write_bytes(zip_of({"a.txt": "1", "deep/b.txt": "2", "empty/": ""}))

    unpack(tmp_path / "z.zip", tmp_path / "out")

    assert (tmp_path / "out" / "deep" / "b.txt").read_text() == "2"
    assert (tmp_path / "out" / "empty").is_dir()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_content_comes_out_as_it_went_in(tmp_path: Path, method: int) -> None:
    large, extra = os.urandom(3_000_001), b"\xfe\xca\x04\x00more"
    with zipfile.ZipFile(tmp_path / "z.zip", "w", method) as archive:
        for name, content in (("a", b""), ("b", large), ("c", b"last")):
            member = zipfile.ZipInfo(name)
            member.compress_type, member.extra = method, extra
            archive.writestr(member, content)
    # What lies before a zip, as in an executable one, is not its own.
    (tmp_path / "z.zip").write_bytes(b"#!/bin/something\n" + (tmp_path / "z.zip").read_bytes())

    unpack(tmp_path / "z.zip", tmp_path / "out")

    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        "a": b"", "b": large, "c": b"last"
    }  # fmt: skip


def test_a_member_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    content = zip_of({"x": "content"})
    start = content.index(b"PK\x01\x02")
    # The directory tells of more than there is.
    sizes = struct.pack("<II", 100_000, 100_000)
    (tmp_path / "z.zip").write_bytes(content[: start + 20] + sizes + content[start + 28 :])

    with pytest.raises(ArchiveError, match="readable zip"):
        unpack(tmp_path / "z.zip", tmp_path / "out")


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "..\\x", "C:\\x"])
def test_a_name_that_leads_out_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "z.zip").write_bytes(zip_of({"first.txt": "1", name: "2"}))

    with pytest.raises(ArchiveError, match="leads out"):
        unpack(tmp_path / "z.zip", tmp_path / "out")

    assert not list((tmp_path / "out").iterdir())


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    member = zipfile.ZipInfo("link")
    member.external_attr = 0o120777 << 16
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(member, "/etc/passwd")
    (tmp_path / "z.zip").write_bytes(content.getvalue())

    with pytest.raises(ArchiveError, match="neither a file nor a folder"):
        unpack(tmp_path / "z.zip", tmp_path / "out")


def test_a_link_that_was_there_carries_nothing_out(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "deep").symlink_to(tmp_path / "outside")
    (tmp_path / "z.zip").write_bytes(zip_of({"deep/x": "1"}))

    with pytest.raises(ArchiveError, match="leads out"):
        unpack(tmp_path / "z.zip", tmp_path / "out")

    assert not list((tmp_path / "outside").iterdir())


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    content = bytearray(zip_of({"x": "1"}))
    # The flag's place in the local header and in the central directory.
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "z.zip").write_bytes(bytes(content))

    with pytest.raises(ArchiveError, match="encrypted"):
        unpack(tmp_path / "z.zip", tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"no zip", zip_of({"x": "1" * 1000})[:-30]])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "z.zip").write_bytes(content)

    with pytest.raises(ArchiveError, match="readable zip"):
        unpack(tmp_path / "z.zip", tmp_path / "out")


def test_damaged_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "z.zip").write_bytes(zip_of({"x": "needle"}).replace(b"needle", b"noodle", 1))

    with pytest.raises(ArchiveError, match="readable zip"):
        unpack(tmp_path / "z.zip", tmp_path / "out")


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (zips.of_macos(), {"Données/._other": b"no fork of anything", "Données/été.csv": b"a,b\n"}),
        (
            zips.of_windows(),
            {"by attribute/c.csv": b"c\n", "data/deep/b.csv": b"b\n", "data/größe.csv": b"a,b\n"},
        ),
        (zips.zipped(("Scan 12:30.csv", b"x"), piped=True, zip64=True), {"Scan 12:30.csv": b"x"}),
    ],
    ids=["macOS", "Windows", "zip64"],
)
def test_zips_of_other_systems_are_unpacked_as_they_were_meant(
    tmp_path: Path, content: bytes, expected: dict[str, bytes]
) -> None:
    (tmp_path / "z.zip").write_bytes(content)

    unpack(tmp_path / "z.zip", tmp_path / "out")

    assert files_in(tmp_path / "out") == expected


@pytest.mark.parametrize("files", [{}, {"a/": ""}, {"__MACOSX/._a": "x", ".DS_Store": "x"}])
def test_a_zip_without_a_file_is_refused(tmp_path: Path, files: dict[str, bytes | str]) -> None:
    (tmp_path / "z.zip").write_bytes(zip_of(files))

    with pytest.raises(ArchiveError, match="has no files"):
        unpack(tmp_path / "z.zip", tmp_path / "out")

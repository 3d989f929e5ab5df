import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.federated_manager.channel.base import SmallContent, blake3_of, sha256_of
from runtime.federated_manager.errors import ModelError
from runtime.federated_manager.models import clear, pack_model, save_model, unpack_model
from tests.runtime.recording import names_in, zip_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    (made / "inner").mkdir(parents=True)
    (made / "inner" / "weights.bin").write_bytes(os.urandom(10_000))
    return made


def test_a_model_comes_back_as_it_was(folder: Path, tmp_path: Path) -> None:
    archive = pack_model(folder, tmp_path / "m.zip", 20_000)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "old.txt").write_text("of the round before")
    unpack_model(archive, tmp_path / "other")

    assert names_in(archive) == ["inner/weights.bin"]
    assert [path.name for path in (tmp_path / "other").rglob("*")] == ["inner", "weights.bin"]
    assert (tmp_path / "other" / "inner" / "weights.bin").read_bytes() == (folder / "inner/weights.bin").read_bytes()


@pytest.mark.parametrize(
    ("content", "method"), [(os.urandom(50_000), zipfile.ZIP_STORED), (b"text " * 10_000, zipfile.ZIP_DEFLATED)]
)
def test_only_what_shrinks_is_compressed(tmp_path: Path, content: bytes, method: int) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a").write_bytes(content)

    archive = pack_model(tmp_path / "model", tmp_path / "m.zip", 100_000)

    with zipfile.ZipFile(archive) as opened:
        assert [member.compress_type for member in opened.infolist()] == [method]


def test_a_model_may_be_as_long_as_the_limit_and_no_byte_longer(folder: Path, tmp_path: Path) -> None:
    size = pack_model(folder, tmp_path / "m.zip", 20_000).stat().st_size

    assert pack_model(folder, tmp_path / "n.zip", size).exists()
    with pytest.raises(ModelError, match=f"{size} bytes as a zip; at most {size - 1} are allowed"):
        pack_model(folder, tmp_path / "o.zip", size - 1)
    assert sorted(path.name for path in tmp_path.glob("*.zip*")) == ["m.zip", "n.zip"]


def test_no_model_can_not_be_sent(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="wrote no model that can be sent: there is nothing at"):
        pack_model(tmp_path / "none", tmp_path / "m.zip", 10)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"none", "the model is not valid"),
        (zip_of({"a": "x" * 1000})[:-60], "the model is not valid"),
        (zip_of({"a": "x" * 1000}).replace(b"xxx", b"yyy", 1), "Bad CRC"),
        (zip_of({}), "the zip is empty"),
        (zip_of({"../a": "x"}), "leads out of its folder"),
    ],
)
def test_a_damaged_model_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    archive = tmp_path / "m.zip"
    archive.write_bytes(content)

    with pytest.raises(ModelError, match=message):
        unpack_model(archive, tmp_path / "model")


@pytest.mark.parametrize(("name", "take"), [("BLAKE3", blake3_of), ("SHA-256", sha256_of)])
def test_a_model_is_checked_against_its_digest_where_it_has_one(
    tmp_path: Path, name: str, take: Callable[[Path], str]
) -> None:
    (tmp_path / "m").write_bytes(b"abc")
    headers = {name.replace("-", "").lower(): take(tmp_path / "m")}

    saved = save_model(SmallContent(b"abc"), headers, tmp_path / "a", 3)
    unchecked = save_model(SmallContent(b"abc"), {}, tmp_path / "b", 3)
    with pytest.raises(ModelError, match=f"its {name} differs"):
        save_model(SmallContent(b"abd"), headers, tmp_path / "c", 3)

    assert saved.read_bytes() == unchecked.read_bytes() == b"abc"
    assert not (tmp_path / "c").exists()


def test_a_model_beyond_the_limit_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="3 bytes; at most 2 are allowed"):
        save_model(SmallContent(b"abc"), {}, tmp_path / "a", 2)


def test_clearing_follows_no_link_and_keeps_the_folder(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "kept")
    inode = (tmp_path / "folder").stat().st_ino

    clear(tmp_path / "folder")

    assert list((tmp_path / "folder").iterdir()) == []
    assert (tmp_path / "folder").stat().st_ino == inode
    assert (tmp_path / "kept" / "a").exists()


@pytest.mark.parametrize("names", [["n" * 300], ["folder", "folder/file"]])
def test_names_that_no_file_can_have_are_the_senders_fault(tmp_path: Path, names: list[str]) -> None:
    archive = tmp_path / "m.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for name in names:
            opened.writestr(name, "x")

    with pytest.raises(ModelError, match="the model is not valid"):
        unpack_model(archive, tmp_path / "folder")

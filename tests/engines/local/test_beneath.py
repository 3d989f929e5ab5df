from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.local import beneath


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "root").mkdir()
    descriptor = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("path", ["link", "link/secret", "a/link/secret"])
def test_no_link_is_followed(tmp_path: Path, folder: int, path: str) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "root/a").mkdir()
    for link in ("root/link", "root/a/link"):
        (tmp_path / link).symlink_to(tmp_path)

    with pytest.raises(OSError) as refusal:
        beneath.open_beneath(folder, path)

    assert refusal.value.errno == errno.ELOOP


@pytest.mark.parametrize("path", ["../secret", "a/../../secret", "/etc/passwd"])
def test_no_path_leads_out(tmp_path: Path, folder: int, path: str) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "root/a").mkdir()

    with pytest.raises(OSError) as refusal:
        beneath.open_beneath(folder, path)

    assert refusal.value.errno == errno.EXDEV


def test_directories_are_made_with_their_mode(tmp_path: Path, folder: int) -> None:
    before = os.umask(0o077)
    try:
        os.close(beneath.make_directories(folder, ["a", "b"], 0o777))
    finally:
        os.umask(before)

    assert [stat.S_IMODE((tmp_path / "root" / path).stat().st_mode) for path in ("a", "a/b")] == [0o777] * 2


def test_directories_that_are_there_keep_their_mode(tmp_path: Path, folder: int) -> None:
    (tmp_path / "root/a").mkdir(mode=0o700)

    os.close(beneath.make_directories(folder, ["a", "b"], 0o777))

    assert stat.S_IMODE((tmp_path / "root/a").stat().st_mode) == 0o700


def test_no_directory_is_made_through_a_link(tmp_path: Path, folder: int) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "root/a").symlink_to(tmp_path / "outside")

    with pytest.raises(NotADirectoryError):
        beneath.make_directories(folder, ["a", "b"], 0o777)

    assert list((tmp_path / "outside").iterdir()) == []


def test_no_file_is_made_through_a_link(tmp_path: Path, folder: int) -> None:
    (tmp_path / "root/file").symlink_to(tmp_path / "outside")

    with pytest.raises(FileExistsError):
        beneath.make_file(folder, ["file"], b"x", 0o644)

    assert not (tmp_path / "outside").exists()


def test_files_lie_where_they_say(tmp_path: Path, folder: int) -> None:
    beneath.make_file(folder, ["deep", "er", "file"], b"content", 0o640)

    made = tmp_path / "root/deep/er/file"
    assert (made.read_bytes(), stat.S_IMODE(made.stat().st_mode)) == (b"content", 0o640)


def test_a_mount_that_was_swapped_for_a_link_is_refused(tmp_path: Path) -> None:
    """As when a pod moves its files about between the look at a subPath and its mount."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "root/a").mkdir(parents=True)
    os.close(beneath.open_mount(tmp_path / "root", "a"))
    (tmp_path / "root/a").rmdir()
    (tmp_path / "root/a").symlink_to(tmp_path / "outside")

    with pytest.raises(OSError) as refusal:
        beneath.open_mount(tmp_path / "root", "a")

    assert refusal.value.errno == errno.ELOOP


def test_a_mount_is_a_directory_or_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(OSError, match="neither a directory nor a regular file"):
        beneath.open_mount(tmp_path, "pipe")

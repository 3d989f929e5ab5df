from __future__ import annotations

import os
from pathlib import Path

import pytest

from engines.local import trees

MEBI = 1 << 20


def size(path: Path) -> int:
    return sum(trees.measured(str(path), set()))


def test_it_counts_what_lies_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_bytes(b"x" * MEBI)

    assert MEBI <= size(tmp_path) < MEBI + 64 * 1024


def test_a_hole_takes_nothing(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(1 << 40)

    assert size(tmp_path) < MEBI


def test_two_names_of_a_file_count_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * MEBI)
    os.link(tmp_path / "file", tmp_path / "again")

    assert size(tmp_path) < 2 * MEBI


def test_files_without_content_count(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / str(number)).touch()

    assert size(tmp_path) >= 1000 * trees.ENTRY_BYTES


def test_a_link_counts_for_itself(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"x" * MEBI)
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside/link").symlink_to(tmp_path / "outside")

    assert size(tmp_path / "inside") < MEBI


def test_what_is_missing_takes_nothing(tmp_path: Path) -> None:
    assert size(tmp_path / "nothing") == 0


def make_deep(path: Path, levels: int) -> None:
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(path)
        for _ in range(levels):
            Path("d").mkdir()
            os.chdir("d")
        Path("file").write_bytes(b"x")
    finally:
        os.fchdir(before)
        os.close(before)


def test_a_tree_too_deep_to_count_is_told(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    make_deep(tmp_path / "top", trees.DEEPEST + 1)

    with pytest.raises(trees.TooDeep):
        size(tmp_path / "top")


def test_no_tree_is_too_deep_to_be_removed(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    make_deep(tmp_path / "top", 3000)

    trees.remove(str(tmp_path / "top"))

    assert list(tmp_path.iterdir()) == []


def test_directories_that_deny_their_owner_are_removed(tmp_path: Path) -> None:
    (tmp_path / "top/closed/inner").mkdir(parents=True)
    (tmp_path / "top/closed/inner/file").touch()
    (tmp_path / "top/closed").chmod(0)
    (tmp_path / "top").chmod(0o500)

    trees.remove(str(tmp_path / "top"))

    assert list(tmp_path.iterdir()) == []


def test_nothing_behind_a_link_is_removed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").touch()
    (tmp_path / "top").mkdir()
    (tmp_path / "top/link").symlink_to(tmp_path / "outside")

    trees.remove(str(tmp_path / "top"))

    assert (tmp_path / "outside/file").exists()
    assert not (tmp_path / "top").exists()


def test_what_is_missing_is_removed_already(tmp_path: Path) -> None:
    trees.remove(str(tmp_path / "nothing"))

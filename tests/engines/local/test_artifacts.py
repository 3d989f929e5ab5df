"""Artifacts in the Workflow's own folder: what is stored of a container's output, and how."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.local.artifacts import ArtifactMissing, ArtifactStore
from engines.local.disk import DiskBudget, DiskExceeded
from engines.local.pods import OutputEntry, OutputUnreadable

MIB = 1 << 20
ARTIFACT = {"name": "made", "path": "/out"}


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path / "artifacts"), DiskBudget(64 * MIB))


def entries(*files: tuple[str, Path]) -> Iterator[OutputEntry]:
    for name, path in files:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            yield OutputEntry("file", name, 0o640, "", descriptor)
        finally:
            os.close(descriptor)


def test_holes_stay_holes_on_both_ways(store: ArtifactStore, tmp_path: Path) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.write(b"begin")
        file.seek(1 << 40)
        file.write(b"end")

    store.keep(ARTIFACT, entries(("", sparse)), "key")
    assert store.fetch({**ARTIFACT, "s3": {"key": "key"}}, str(tmp_path / "fetched"))

    found = (tmp_path / "fetched").stat()
    assert found.st_size == (1 << 40) + 3
    assert found.st_blocks * 512 < MIB
    with (tmp_path / "fetched").open("rb") as file:
        assert file.read(6) == b"begin\0"
        file.seek(1 << 40)
        assert file.read() == b"end"


def test_what_is_no_hole_is_paid_for(store: ArtifactStore, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        for _ in range(65):
            file.write(b"x" * MIB)
    with pytest.raises(DiskExceeded):
        store.keep(ARTIFACT, entries(("", large)), "key")
    assert list((tmp_path / "artifacts").iterdir()) == []


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b", "a//b", "."])
def test_a_name_that_leads_out_is_refused(store: ArtifactStore, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputUnreadable, match="not the name of an output"):
        store.keep(ARTIFACT, entries((name, tmp_path / "file")), "key")


def test_what_is_no_regular_file_is_not_read(store: ArtifactStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputUnreadable, match="not a regular file"):
        store.keep(ARTIFACT, entries(("pipe", tmp_path / "pipe")), "key")


def kept_as_it_is(store: ArtifactStore, key: str, *files: tuple[str, Path]) -> None:
    store.keep({**ARTIFACT, "archive": {"none": {}}, "s3": {"key": key}}, entries(*files), "")


def fetched(store: ArtifactStore, key: str, target: Path) -> bool:
    return store.fetch({"name": "a", "optional": True, "s3": {"key": key}}, str(target))


def link(store: ArtifactStore, key: str, name: str, target: str) -> None:
    made = [OutputEntry("directory", "", 0o755, "", -1), OutputEntry("link", name, 0o777, target, -1)]
    store.keep({**ARTIFACT, "archive": {"none": {}}, "s3": {"key": key}}, iter(made), "")


def test_what_is_stored_as_it_is_is_read_file_by_file(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1")
    with (tmp_path / "x").open("rb") as file:
        made = [
            OutputEntry("directory", "", 0o755, "", -1),
            OutputEntry("directory", "deep", 0o755, "", -1),
            OutputEntry("file", "deep/x", 0o644, "", file.fileno()),
        ]
        store.keep({**ARTIFACT, "archive": {"none": {}}, "s3": {"key": "m/parts/"}}, iter(made), "")

    assert fetched(store, "m/parts/deep/x", tmp_path / "one")
    assert (tmp_path / "one").read_text() == "1"
    assert not fetched(store, "m/parts/other", tmp_path / "other")
    assert not fetched(store, "m/parts/deep/../deep/x", tmp_path / "dots")


def test_files_stored_one_by_one_are_read_as_a_folder(store: ArtifactStore, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        kept_as_it_is(store, f"m/results/deep/{name}", ("", tmp_path / name))
    kept_as_it_is(store, "m/resultsbeside", ("", tmp_path / "a"))

    assert fetched(store, "m/results", tmp_path / "all")
    assert sorted(str(path.relative_to(tmp_path / "all")) for path in (tmp_path / "all").rglob("*")) == [
        "deep",
        "deep/a",
        "deep/b",
    ]


def test_an_archive_is_read_only_as_a_whole(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1")
    store.keep({**ARTIFACT, "s3": {"key": "m/one"}}, entries(("", tmp_path / "x")), "")

    assert not fetched(store, "m", tmp_path / "all")


@pytest.mark.parametrize("order", [("m/a", "m/a/out/x"), ("m/a/out/x", "m/a")])
def test_a_link_of_one_artifact_leads_no_other_out(
    store: ArtifactStore, tmp_path: Path, order: tuple[str, str]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "x").write_text("1")
    for key in order:
        if key == "m/a":
            link(store, key, "out", str(outside))
        else:
            kept_as_it_is(store, key, ("", tmp_path / "x"))

    with contextlib.suppress(ArtifactMissing):
        fetched(store, "m", tmp_path / "all")

    assert list(outside.iterdir()) == []
    assert not fetched(store, "m/a/out/y", tmp_path / "through")

"""Artifacts in the Workflow's own folder: what is stored of a container's output, and how."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.local.artifacts import ArtifactStore
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
    with pytest.raises(OutputUnreadable, match="no name of an output"):
        store.keep(ARTIFACT, entries((name, tmp_path / "file")), "key")


def test_what_is_no_regular_file_is_not_read(store: ArtifactStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputUnreadable, match="no regular file"):
        store.keep(ARTIFACT, entries(("pipe", tmp_path / "pipe")), "key")

from __future__ import annotations

import os
from pathlib import Path

from engines.local.processes.outlets import Gathered, Output

LIMIT = 200_000
SAID = b"\n[The log was cut here: 200000 bytes are kept of each stream of a container. It goes on.]\n"


def write(path: Path, size: int, gathered: Gathered | None = None) -> Output:
    """Return the output of a container that has written so much and ended."""
    output = Output(str(path), str(path.with_suffix(".err")), gathered, LIMIT)
    left = size
    while left:
        piece = min(left, 32768)
        os.write(output.stdout.writer, b"x" * piece)
        assert output.stdout.pass_on()
        left -= piece
    for outlet in output.outlets:
        outlet.leave_writing()
        outlet.finish(gathered)
    return output


def test_what_is_within_the_limit_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "out", LIMIT)

    assert (tmp_path / "out").read_bytes() == b"x" * LIMIT


def test_what_is_above_the_limit_is_dropped_and_told_once(tmp_path: Path) -> None:
    output = write(tmp_path / "out", 3 * LIMIT)

    assert (tmp_path / "out").read_bytes() == b"x" * LIMIT + SAID
    assert output.stdout.problem == ""


def test_a_container_that_runs_again_has_no_more_room(tmp_path: Path) -> None:
    write(tmp_path / "out", LIMIT - 10)
    write(tmp_path / "out", 50)
    write(tmp_path / "out", 50)

    assert (tmp_path / "out").read_bytes() == b"x" * LIMIT + SAID

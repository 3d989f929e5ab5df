from __future__ import annotations

from pathlib import Path

from engines.local import layout
from engines.local.log_index import LogIndex, LogOwners


def test_each_container_has_a_number(tmp_path: Path) -> None:
    index, owners = LogIndex(str(tmp_path)), LogOwners(tmp_path)

    numbers = [index.add("wf-1", "main"), index.add("wf-2", "main")]
    owners.refresh()

    assert numbers == [1, 2]
    assert owners.of("2.stderr") == ("wf-2", "main", "stderr")
    assert owners.of("3.stderr") is None


def test_another_supervisor_goes_on_counting(tmp_path: Path) -> None:
    LogIndex(str(tmp_path)).add("wf-1", "main")
    with (tmp_path / layout.LOG_INDEX).open("ab") as file:
        file.write(b'[2,"wf-2","ma')

    assert LogIndex(str(tmp_path)).add("wf-3", "main") == 2

    owners = LogOwners(tmp_path)
    owners.refresh()
    assert owners.of("2.stdout") == ("wf-3", "main", "stdout")


def test_a_line_that_is_not_whole_yet_is_read_later(tmp_path: Path) -> None:
    path, owners = tmp_path / layout.LOG_INDEX, LogOwners(tmp_path)
    path.write_bytes(b'[1,"wf-1","main"]\n[2,"wf')
    owners.refresh()
    path.write_bytes(b'[1,"wf-1","main"]\n[2,"wf-2","main"]\n')
    assert owners.of("2.stdout") is None

    owners.refresh()

    assert owners.of("2.stdout") == ("wf-2", "main", "stdout")


def test_logs_of_before_there_were_numbers_are_read(tmp_path: Path) -> None:
    assert LogOwners(tmp_path).of("wf.1-2.main.stdout") == ("wf.1-2", "main", "stdout")

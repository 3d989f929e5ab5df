from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.local import layout, liveness
from engines.local.disk import Bound, DiskBudget, DiskExceeded, DiskKeeper, DiskLimits, free_of, readable
from engines.local.trees import Identity
from engines.local.unlinked import unlinked

MEBI = 1 << 20
# More than any disk has: it is always short.
NEVER = 1 << 62


def test_a_budget_is_spent() -> None:
    budget = DiskBudget(10)
    budget.spend(10)

    with pytest.raises(DiskExceeded, match="the run used 11 bytes of the disk; its limit is 10 bytes"):
        budget.spend(1)

    assert budget.exceeded


def test_whoever_copies_looks_at_the_disk_now_and_then() -> None:
    looks: list[int] = []
    budget = DiskBudget(1 << 40, lambda: looks.append(1))
    for _ in range(200):
        budget.spend(MEBI)

    assert len(looks) == 3


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (20 << 30, "20.0 GiB"), (1 << 50, "1024.0 TiB")],
)
def test_bytes_are_readable(count: int, text: str) -> None:
    assert readable(count) == text


def test_the_reserve_goes_by_the_size_of_the_disk(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    part = found.f_blocks * found.f_frsize // 20

    assert free_of(str(tmp_path), None).reserve == min(max(part, 1 << 30), 10 << 30)
    assert free_of(str(tmp_path), 0).is_short is False
    assert free_of(str(tmp_path), NEVER).is_short is True


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / layout.WORKFLOWS).mkdir()
    return tmp_path


def keeper_of(root: Path, name: str, run: int = 1 << 40, reserve: int = 0) -> DiskKeeper:
    folder = root / layout.WORKFLOWS / name
    folder.mkdir(exist_ok=True)
    return DiskKeeper(str(root), str(folder), DiskLimits(run, reserve))


@pytest.fixture
def locks() -> Iterator[list[int]]:
    held: list[int] = []
    yield held
    for lock in held:
        os.close(lock)


def keep_alive(root: Path, name: str, locks: list[int]) -> None:
    """Hold a Workflow's lock as its supervisor does."""
    with liveness.taken(root / layout.WORKFLOWS / name) as lock:
        assert lock is not None
        locks.append(os.dup(lock))


def look(*keepers: DiskKeeper, seconds: float = 1.5) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for keeper in keepers:
            keeper.look(busy=True)
        time.sleep(0.01)


def test_a_pod_that_takes_too_much_is_told(root: Path) -> None:
    keeper = keeper_of(root, "a")
    for name, size in (("small", MEBI), ("large", 3 * MEBI)):
        folder = root / layout.WORKFLOWS / "a" / name
        folder.mkdir()
        (folder / "file").write_bytes(b"x" * size)
        keeper.bind(name, Bound((str(folder),), 2 * MEBI, f"{name} is too large"))

    keeper.measure_now()

    assert keeper.take_evicted() == [("large", "large is too large")]
    assert keeper.take_evicted() == []


def test_a_pod_that_has_ended_is_not_told(root: Path) -> None:
    keeper = keeper_of(root, "a")
    (root / layout.WORKFLOWS / "a/file").write_bytes(b"x" * MEBI)
    keeper.bind("pod", Bound((str(root / layout.WORKFLOWS / "a"),), 1, "too large"))
    keeper.release("pod")

    keeper.measure_now()

    assert keeper.take_evicted() == []


def test_only_the_largest_run_ends(root: Path, locks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    # A reserve that is always missing is also one beside which every run is small.
    monkeypatch.setattr("engines.local.disk._NEGLIGIBLE", NEVER)
    keepers = []
    for name, size in (("a", 2), ("b", 5), ("c", 3)):
        keepers.append(keeper_of(root, name, reserve=NEVER))
        keep_alive(root, name, locks)
        (root / layout.WORKFLOWS / name / "file").write_bytes(b"x" * size * MEBI)

    look(*keepers)

    assert [bool(keeper.budget.exceeded) for keeper in keepers] == [False, True, False]
    assert keepers[1].budget.exceeded.startswith("the run used 5.")


def test_runs_that_take_next_to_nothing_do_not_end(root: Path, locks: list[int]) -> None:
    keeper = keeper_of(root, "a", reserve=NEVER)
    keep_alive(root, "a", locks)
    (root / layout.WORKFLOWS / "a/file").write_bytes(b"x" * MEBI)

    look(keeper)

    assert keeper.free.is_short
    assert keeper.budget.exceeded == ""


def test_no_second_run_ends_while_one_does(root: Path, locks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.local.disk._NEGLIGIBLE", NEVER)
    ending = os.open(root / layout.ENDING, os.O_RDWR | os.O_CREAT)
    fcntl.flock(ending, fcntl.LOCK_EX)
    keeper = keeper_of(root, "a", reserve=NEVER)
    keep_alive(root, "a", locks)
    (root / layout.WORKFLOWS / "a/file").write_bytes(b"x" * MEBI)

    look(keeper)
    assert keeper.budget.exceeded == ""
    os.close(ending)
    look(keeper)

    assert keeper.budget.exceeded


def test_runs_that_have_ended_do_not_count(root: Path, locks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.local.disk._NEGLIGIBLE", NEVER)
    ended = keeper_of(root, "ended")
    (root / layout.WORKFLOWS / "ended/file").write_bytes(b"x" * 9 * MEBI)
    ended.measure_now()
    keeper = keeper_of(root, "a", reserve=NEVER)
    keep_alive(root, "a", locks)
    (root / layout.WORKFLOWS / "a/file").write_bytes(b"x" * MEBI)

    look(keeper)

    assert keeper.budget.exceeded


def test_a_run_with_nothing_to_do_does_not_measure(root: Path) -> None:
    keeper = keeper_of(root, "a")
    (root / layout.WORKFLOWS / "a/file").write_bytes(b"x" * MEBI)

    keeper.look(busy=False)

    assert keeper.budget.used == 0
    assert keeper.next_deadline() - time.monotonic() > 1


HOLD = """
import os, sys, time
for path in sys.argv[1:]:
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    os.unlink(path)
    os.write(file, b"x" * (2 << 20))
    os.dup(file)
memory = os.memfd_create("m")
os.write(memory, b"x" * (2 << 20))
print("ready", flush=True)
time.sleep(60)
"""


def test_files_without_a_name_are_found_once(tmp_path: Path) -> None:
    paths = [str(tmp_path / "a"), "/dev/shm/orchestrator-test-unlinked"]
    with subprocess.Popen([sys.executable, "-c", HOLD, *paths], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        seen: set[Identity] = set()
        device = tmp_path.stat().st_dev
        first, again = sum(unlinked(seen, device)), sum(unlinked(seen, device))
        holder.kill()

    assert 2 * MEBI <= first < 3 * MEBI
    assert again == 0

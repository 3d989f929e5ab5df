"""Control groups: of both versions in a made-up hierarchy, and the machine's own where they may be written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engines.local.processes.cgroups import VERSION_ONE, VERSION_TWO, Group, Groups
from tests.engines.local.processes.world import python

MIB = 1 << 20
KILLS = {"memory.events": "low 0\nmax 9\noom 2\noom_kill {}\n", "memory.oom_control": "under_oom 0\noom_kill {}\n"}


class Hierarchy:
    """Directories and files as the kernel would show them; new groups get their files by `furnish`."""

    def __init__(self, folder: Path, version: int) -> None:
        self.point = folder / "cgroup"
        self.version = version
        self.mounts, self.own = folder / "mountinfo", folder / "cgroup-of-self"
        self.parent = self.point / "system.slice"
        self.parent.mkdir(parents=True)
        for path in (self.point, self.parent):
            (path / "cgroup.procs").touch()
            (path / "cgroup.subtree_control").write_text("cpu memory pids\n")
        kind, options = ("cgroup2", "rw") if version == 2 else ("cgroup", "rw,memory")
        other = "30 20 0:3 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids"
        self.mounts.write_text(f"{other}\n31 20 0:4 / {self.point} rw,nosuid - {kind} cgroup {options}\n")
        self.own.write_text(f"{'0::' if version == 2 else '4:memory:'}/system.slice\n1:name=systemd:/\n")

    def groups(self, owner: str = "") -> Groups | None:
        return Groups.here(owner or f"{os.getpid()}-1", str(self.mounts), str(self.own))

    def furnish(self, path: Path, kills: int = 0) -> None:
        limit, events = ("memory.max", "memory.events") if self.version == 2 else _ONE
        for name in (limit, "cgroup.procs", "memory.swap.max", "memory.oom.group", "memory.memsw.limit_in_bytes"):
            (path / name).touch()
        (path / events).write_text(KILLS[events].format(kills))


_ONE = ("memory.limit_in_bytes", "memory.oom_control")


@pytest.fixture(params=[1, 2])
def hierarchy(request, tmp_path):
    return Hierarchy(tmp_path, request.param)


@pytest.fixture
def made(hierarchy):
    """A group of the hierarchy, with the files that the kernel would add."""
    path = hierarchy.parent / "orchestrator-4711-1-1"
    path.mkdir()
    hierarchy.furnish(path)
    return Group(str(path), VERSION_TWO if hierarchy.version == 2 else VERSION_ONE)


def folder_of(hierarchy: Hierarchy) -> Path:
    (found,) = hierarchy.parent.glob("orchestrator-*")
    return found


def test_groups_lie_below_the_services_own(hierarchy):
    assert hierarchy.groups().parent == str(hierarchy.parent)


def test_the_limit_is_written(hierarchy, made: Group):
    made.limit(64 * MIB)
    found = folder_of(hierarchy)
    assert (found / ("memory.max" if hierarchy.version == 2 else _ONE[0])).read_text() == str(64 * MIB)
    if hierarchy.version == 2:
        assert (found / "memory.swap.max").read_text() == "0"
        assert (found / "memory.oom.group").read_text() == "1"
    else:
        # Without swap the limits are the same.
        assert (found / "memory.memsw.limit_in_bytes").read_text().endswith(str(64 * MIB))


def test_a_member_is_added(hierarchy, made: Group):
    made.add(4711)
    assert (folder_of(hierarchy) / "cgroup.procs").read_text() == "4711"


def test_only_kills_since_the_limit_count(hierarchy, made: Group):
    hierarchy.furnish(folder_of(hierarchy), kills=3)
    made.limit(MIB)
    assert not made.was_exceeded()
    hierarchy.furnish(folder_of(hierarchy), kills=4)
    assert made.was_exceeded()


def test_a_group_without_a_memory_controller_is_none(hierarchy):
    with pytest.raises(FileNotFoundError):
        hierarchy.groups().make()
    assert list(hierarchy.parent.glob("orchestrator-*")) == []


def test_groups_of_the_dead_are_taken_away(hierarchy):
    own = f"orchestrator-{os.getpid()}"
    for name in ("orchestrator-4194305-1-1", f"{own}-1-7", f"{own}-2-1", "else"):
        (hierarchy.parent / name).mkdir()
    hierarchy.groups().clear()
    left = {path.name for path in hierarchy.parent.iterdir() if path.is_dir()}
    assert left == {f"{own}-2-1", "else"}


def test_limits_are_sought_further_up_with_version_two(tmp_path):
    hierarchy = Hierarchy(tmp_path, 2)
    (hierarchy.parent / "cgroup.subtree_control").write_text("\n")
    assert hierarchy.groups().parent == str(hierarchy.point)


def test_no_hierarchy_means_no_groups(tmp_path):
    (tmp_path / "mounts").write_text("31 20 0:4 / /proc rw - proc proc rw\n")
    (tmp_path / "own").write_text("0::/\n")
    assert Groups.here("1-1", str(tmp_path / "mounts"), str(tmp_path / "own")) is None


def test_no_group_is_left_when_pods_are_gone(world):
    groups = Groups.here(f"{os.getpid()}-1")
    if groups is None:
        assert os.geteuid() != 0 or not os.access("/sys/fs/cgroup", os.W_OK)
        return
    world.open()
    world.start(*python("import time; time.sleep(1000)"), memory_limit_bytes=64 * MIB)
    own = f"orchestrator-{os.getpid()}-*"
    world.until(lambda: any(Path(groups.parent).glob(own)))
    world.runner.close_all()
    assert list(Path(groups.parent).glob(own)) == []

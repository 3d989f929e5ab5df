"""Limits of memory by control groups of version 2, on a machine that has them: `pytest -m cgroup2 tests/engines`."""

from pathlib import Path

import pytest

from engines.local.processes.cgroups import Groups
from tests.engines.local.processes.world import World, python

pytestmark = pytest.mark.cgroup2

UNNAMED = """
import os, time
held = os.memfd_create("held")
for _ in range(200):
    os.write(held, b"x" * 1_000_000)
time.sleep(1000)
"""


def test_the_memory_controller_is_that_of_version_two() -> None:
    groups = Groups.here("1-1")
    assert groups is not None
    assert Path(groups.parent, "cgroup.subtree_control").exists()


def test_memory_without_a_name_is_held_to_the_limit(world: World) -> None:
    world.open()
    world.start(*python(UNNAMED), memory_limit_bytes=64 << 20)
    assert world.wait().reason == "OOMKilled"

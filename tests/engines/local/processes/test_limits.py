"""Memory limits."""

import pytest

from tests.engines.local.processes.world import python

MEBIBYTE = 1 << 20
FOUR_CHILDREN = """
import os, time
for _ in range(4):
    if not os.fork():
        x = b"a" * 30_000_000
        time.sleep(1000)
time.sleep(1000)
"""
SHARED = """
import os, time
x = b"a" * 40_000_000
for _ in range(4):
    if not os.fork():
        time.sleep(0.3)
        os._exit(0)
for _ in range(4):
    os.wait()
"""


@pytest.fixture(autouse=True)
def pod(world):
    world.open()


def test_a_program_that_outgrows_its_limit_is_killed(world):
    # The command of the recorded Workflow oom-killed.
    world.start("sh", "-c", "x=a; while true; do x=$x$x; done", memory_limit_bytes=32 * MEBIBYTE)
    ended = world.wait()
    assert (ended.exit_code, ended.reason) == (137, "OOMKilled")


def test_children_count_too(world):
    world.start(*python(FOUR_CHILDREN), memory_limit_bytes=64 * MEBIBYTE)
    assert world.wait().reason == "OOMKilled"


def test_shared_pages_count_once(world):
    world.start(*python(SHARED), memory_limit_bytes=100 * MEBIBYTE)
    assert world.wait().reason == "Completed"


def test_a_program_within_its_limit_is_left_alone(world):
    world.start(*python("x = b'a' * 10_000_000; import time; time.sleep(0.3)"), memory_limit_bytes=256 * MEBIBYTE)
    assert world.wait().reason == "Completed"


def test_the_limit_of_one_container_spares_the_others(world):
    world.start(*python("x = b'a' * 60_000_000; print('grown', flush=True); import time; time.sleep(1000)"), name="big")
    world.until(lambda: world.output("pod", "big") == "grown\n")
    world.start("sh", "-c", "sleep 0.3", memory_limit_bytes=32 * MEBIBYTE)
    assert world.wait().reason == "Completed"
    assert ("pod", "big") not in world.ended

import os
import subprocess
import sys

import pytest

from runs.identity import Identity, forget, is_dead

DIE = """
import os, sys, fcntl
lock = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
fcntl.flock(lock, fcntl.LOCK_EX)
os.kill(os.getpid(), 9)
"""


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path


def test_no_two_have_the_same_name():
    one, other = Identity(), Identity()

    assert one.name != other.name
    one.close()
    other.close()


def test_who_lives_is_not_dead_and_who_closed_is_not_known():
    identity = Identity()
    assert not is_dead(identity.name)

    identity.close()

    assert not is_dead(identity.name)


def test_who_was_killed_is_dead(tmp_path):
    (tmp_path / "controllers").mkdir()
    subprocess.run([sys.executable, "-c", DIE, str(tmp_path / "controllers" / "victim")], check=False, timeout=30)

    assert is_dead("victim")
    forget("victim")
    assert not is_dead("victim")


def test_who_beats_shows_when(tmp_path):
    identity = Identity()
    file = tmp_path / "controllers" / identity.name
    os.utime(file, (0, 0))

    identity.beat()

    assert file.stat().st_mtime > 0
    identity.close()

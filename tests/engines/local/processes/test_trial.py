"""What an operator is told about a machine that doesn't let pods be made."""

import subprocess
import sys

from engines.local.processes import slot, surroundings

CHECK = "from engines.local.processes import surroundings; print(*surroundings(), sep=chr(10))"


def test_a_machine_that_can_run_pods_needs_nothing(tmp_path):
    assert surroundings(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_forbidden_user_namespaces_are_named(tmp_path):
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set -sys_admin "$@"'
    told = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", sys.executable, "-c", CHECK],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert "sysctl user.max_user_namespaces=" in told


def test_a_directory_that_is_missing_is_told(tmp_path):
    (problem,) = surroundings(tmp_path / "absent")
    assert "absent" in problem


def test_what_fails_inside_the_sandbox_is_told(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("mount proc: Operation not permitted")

    monkeypatch.setattr(slot, "_furnish", refuse)
    (problem,) = surroundings(tmp_path)
    assert "mount proc: Operation not permitted" in problem

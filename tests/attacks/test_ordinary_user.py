"""Attacks once more, against an instance that an ordinary user runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.engines.local.processes.test_ordinary_user import NOBODY, command

# Those whose outcome depends on who the service is: its pods, its files, what may be read of them.
ATTACKS = (
    "test_pod_confinement.py",
    "test_pod_findings.py",
    "test_pod_names.py",
    "test_pod_disk.py",
    "test_data_dir_permissions.py",
)


def test_attacks_on_an_ordinary_users_instance():
    if os.getuid():
        # These very tests run as an ordinary user.
        return
    home = Path(tempfile.mkdtemp(prefix="orchestrator-attacks-", dir="/var/lib"))
    try:
        os.chown(home, NOBODY, NOBODY)
        tests = [str(Path(__file__).parent / name) for name in ATTACKS]
        done = subprocess.run(
            [
                *command(home),
                "-m",
                "pytest",
                "-q",
                "-n",
                "0",
                "-p",
                "no:cacheprovider",
                f"--basetemp={home}/tests",
                *tests,
            ],
            env={**os.environ, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", "DATA_DIR": f"{home}/var"},
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
            umask=0o022,
        )
    finally:
        shutil.rmtree(home)
    assert done.returncode == 0, done.stdout[-8000:]
    assert re.search(r"\d+ passed", done.stdout)
    assert "skipped" not in done.stdout

"""Where the project may lie and who may run it: below /tmp, in a path of words, an ordinary user without a HOME."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.local.processes.test_ordinary_user import NOBODY, own_python
from usage_scripts.local_service import PROJECT

pytestmark = pytest.mark.live

# Pods by themselves, and pods of a service that is stopped and started again on another port.
TESTS = (
    "tests/engines/local/processes/test_files.py",
    "tests/engines/local/processes/test_network.py",
    "tests/live/test_killed.py::test_one_signal_ends_every_process_and_a_second_start_carries_on",
)
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "var", "build", "__pycache__", ".*_cache")


@pytest.fixture
def checkout() -> Iterator[Path]:
    base = Path(tempfile.mkdtemp(prefix="Prüfstand für ", dir="/tmp"))
    base.chmod(0o755)
    try:
        yield Path(shutil.copytree(PROJECT, base / "alle", ignore=_LEFT_OUT))
    finally:
        shutil.rmtree(base)


@pytest.fixture
def data() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="orchestrator-data-", dir="/tmp"))
    if os.getuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    yield path
    shutil.rmtree(path)


def test_a_checkout_below_tmp_in_a_path_of_words_serves_an_ordinary_user(checkout: Path, data: Path) -> None:
    python = own_python(checkout / ".venv")
    subprocess.run(["chmod", "-R", "a+rX", checkout], check=True)
    home = checkout.parent / "home"
    home.mkdir(mode=0o555)
    nobody = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    user = nobody if os.getuid() == 0 else []
    done = subprocess.run(
        [*user, python, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", f"--basetemp={data}/tests", *TESTS],
        cwd=checkout,
        env={**os.environ, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", "DATA_DIR": f"{data}/var"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        umask=0o022,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    assert "skipped" not in done.stdout

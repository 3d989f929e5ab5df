"""What kfp's local runner needs for the same work, on this machine and in this run.

kfp's pinned dependencies are not ours, so it has a virtual environment of its own, made once in var/kfp-reference.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
KFP = "kfp==2.17.0"
FOLDER = PROJECT / "var" / "kfp-reference"
INSTALL_SECONDS = 900
RUN_SECONDS = 900
STEPS = 50


class NoReferenceError(Exception):
    """kfp could not be installed or run; the text says why in one line."""


@dataclass(frozen=True)
class KfpFigures:
    """Seconds of one step (the median of several runs), and of the steps in sequence."""

    single: float
    in_sequence: float


def kfp_figures() -> KfpFigures:
    """Install kfp unless it is there, and time it. Raises NoReferenceError."""
    python = FOLDER / "bin" / "python"
    installed = FOLDER / f".{KFP}"
    if not installed.exists():
        _call([sys.executable, "-m", "venv", "--clear", str(FOLDER)], INSTALL_SECONDS)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", KFP]
        _call(pip, INSTALL_SECONDS)
        installed.touch()
    # kfp leaves its outputs in the working directory, and what it prints comes before our line.
    printed = _call([str(python), str(Path(__file__).with_name("kfp_reference.py")), str(STEPS)], RUN_SECONDS)
    figures = json.loads(printed.strip().splitlines()[-1])
    return KfpFigures(statistics.median(figures["single"]), figures["in_sequence"])


def _call(command: list[str], seconds: float) -> str:
    with tempfile.TemporaryDirectory(prefix="orchestrator-bench-kfp-") as folder:
        try:
            result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=True)
        except subprocess.CalledProcessError as error:
            lines = str(error.stderr).strip().splitlines()
            raise NoReferenceError(lines[-1] if lines else f"exit code {error.returncode}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoReferenceError(str(error)) from error
    return result.stdout

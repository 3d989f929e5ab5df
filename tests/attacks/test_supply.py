"""Somebody puts a file of a known name and version before the installer that is not the one that was tested."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.deploy.conftest import PROJECT

NAME = "six"


def flags() -> list[str]:
    """Return what the Makefile tells pip wherever it installs."""
    (line,) = re.findall(r"^PIP_INSTALL = .* pip install (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    return str(line).split()


def locked_entry() -> str:
    entries = re.split(r"\n(?=\S)", (PROJECT / "requirements.lock").read_text())
    (entry,) = (entry for entry in entries if entry.startswith(f"{NAME}=="))
    return entry


def forged_wheel(folder: Path, version: str) -> None:
    """Write a wheel that would run code of its own as soon as it is imported."""
    information = f"{NAME}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{NAME}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{NAME}.py", "print('forged')\n")
        wheel.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {version}\n")
        wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{information}/RECORD", "")


def install(folder: Path, requirements: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "install", *flags(), "--no-index", "--find-links", str(folder)]
    return subprocess.run(
        [*command, "--target", str(folder / "installed"), "-r", str(requirements)],
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_forged_package_is_not_installed(tmp_path: Path) -> None:
    entry = locked_entry()
    forged_wheel(tmp_path, entry.partition("==")[2].split()[0])
    requirements = tmp_path / "requirements.lock"
    requirements.write_text(entry)

    result = install(tmp_path, requirements)

    assert result.returncode != 0
    assert "DO NOT MATCH THE HASHES" in result.stderr
    assert not (tmp_path / "installed").exists()


def test_package_without_hash_is_not_installed(tmp_path: Path) -> None:
    version = locked_entry().partition("==")[2].split()[0]
    forged_wheel(tmp_path, version)
    requirements = tmp_path / "requirements.lock"
    requirements.write_text(f"{NAME}=={version}\n")

    result = install(tmp_path, requirements)

    assert result.returncode != 0
    assert "hash" in result.stderr.lower()

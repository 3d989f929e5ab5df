"""Installs the locked packages of one image into /opt/venv, without files that no program uses: `install.py LOCK`.

Runs while the image is built. Only files with the hashes in the lock file are installed, and no source archives. A lock
file is complete, so pip does not look for dependencies, also not for those that `make lock` leaves out on purpose.
"""

from __future__ import annotations

import compileall
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PLACE = Path("/opt/venv")
# Packages contain their tests, and files for compilers, type checkers and translators.
TESTS = ("tests", "_pyinstaller")
SOURCES = ("*.pyi", "*.pxd", "*.pyx", "*.h", "*.c", "*.a", "*.po")
# The asyncio version of Kubernetes' client, as large as the client itself.
UNUSED = ("kubernetes/aio",)
# Descriptions of all services of AWS; the storage uses only these services.
AWS = "botocore/data"
AWS_SERVICES = ("s3", "sso", "sso-oidc", "sts")


def main(lock: str) -> None:
    """Make the virtual environment."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", PLACE], check=True)
    pip = [sys.executable, "-m", "pip", "--python", f"{PLACE}/bin/python", "--disable-pip-version-check"]
    only = ["--no-cache-dir", "--no-compile", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    subprocess.run([*pip, "install", *only, "-r", lock], check=True)
    (packages,) = PLACE.glob("lib/python*/site-packages")
    for path in list(unused(packages)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    # Compiled here, once: nothing is written where the programs run.
    if not compileall.compile_dir(packages, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH):
        sys.exit("some files of the packages cannot be compiled")


def unused(packages: Path) -> Iterator[Path]:
    """Yield the folders and files of the packages that are left out."""
    for name in TESTS:
        yield from packages.glob(f"*/**/{name}")
    for pattern in SOURCES:
        yield from packages.rglob(pattern)
    for name in UNUSED:
        if (packages / name).exists():
            yield packages / name
    if (packages / AWS).exists():
        yield from (each for each in (packages / AWS).iterdir() if each.is_dir() and each.name not in AWS_SERVICES)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Podman, with a store of the suite's own, so that nothing of a machine's own images is read or left changed."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CACHE = Path(os.environ.get("IMAGES_CACHE") or Path.home() / ".cache" / "orchestrator-images")
MISSING = (
    "podman and a runtime are missing: `apt-get install podman runc` (or crun), and buildah where podman build fails."
)
# Podman's own limits may be above this machine's, which nobody may raise. Of its descriptors the API keeps 1024 back.
LIMITS = {"nofile": (resource.RLIMIT_NOFILE, 8192), "nproc": (resource.RLIMIT_NPROC, 4096)}
RUN_SECONDS, BUILD_SECONDS = 300, 3600


class PodmanMissing(Exception):
    """What runs containers is not installed."""


class Podman:
    """Calls of podman; `environment` is what another process needs to make the same ones by `command`."""

    def __init__(self, folder: Path) -> None:
        runtime = next((name for name in ("runc", "crun") if shutil.which(name)), None)
        if shutil.which("podman") is None or runtime is None:
            raise PodmanMissing(MISSING)
        store = CACHE / "storage"
        store.mkdir(parents=True, exist_ok=True)
        limits = ", ".join(json.dumps(f"{name}={_at_most(*limit)}") for name, limit in LIMITS.items())
        settings = folder / "containers.conf"
        settings.write_text(
            f"[containers]\ndefault_ulimits = [{limits}]\n"
            f'[engine]\nruntime = "{runtime}"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        )
        driver = os.environ.get("STORAGE_DRIVER", "overlay")
        own = ["--root", str(store), "--runroot", str(CACHE / "run"), "--storage-driver", driver]
        self.command = ["podman", *own]
        self.builder = ["buildah", *own] if shutil.which("buildah") else self.command
        # Podman's network helper looks for the firewall's programs, which are an administrator's.
        path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        self.environment = {"CONTAINERS_CONF": str(settings), "PATH": path}

    def call(self, *arguments: str, check: bool = True, seconds: int = RUN_SECONDS) -> subprocess.CompletedProcess[str]:
        """Call podman, and return what it said; a failure is an error that quotes it."""
        done = subprocess.run(
            [*self.command, *arguments], capture_output=True, text=True, check=False, timeout=seconds,
            env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"podman {' '.join(arguments)}: {done.stderr[-3000:]}{done.stdout[-3000:]}")
        return done

    def inspect(self, image: str) -> dict[str, Any]:
        """Return what is known of an image."""
        (found,) = json.loads(self.call("image", "inspect", image).stdout)
        return dict(found)

    def remove(self, containers: Sequence[str]) -> None:
        """Remove containers, whatever they do."""
        if containers:
            self.call("rm", "--force", "--ignore", "--time", "0", *containers)


def _at_most(which: int, wanted: int) -> int:
    hard = resource.getrlimit(which)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)

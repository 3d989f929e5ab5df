"""The options of the local engine, with their defaults, as its supervisors get them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.local import http_inputs, layout
from engines.local.quantities import bytes_of

PROJECT = Path(__file__).resolve().parent.parent.parent
_PROGRAM_DIRECTORY = "/usr/application"
# The Python that runs this code, also for programs of pods.
OWN_PROGRAMS = tuple(dict.fromkeys((sys.base_prefix, sys.prefix, str(PROJECT / "runtime"))))
_MOST_PROCESSES = 1024
# A program of the shipped images has about twenty threads.
_LEAST_PROCESSES = 32
_RUNNER = "engines.local.processes:ProcessPodRunner"
_GRACE_SECONDS = 10.0
_DISK, _LOG = 20 << 30, 100 << 20
# The content of a pipe is read at once.
_LEAST_LOG = 64 << 10
_KNOWN = {
    "root",
    "images",
    "nodes",
    "max_pods",
    "gateways",
    "hostpath_allow",
    "hostpath_writable",
    "hidden_paths",
    "readable_paths",
    "max_processes",
    "disk_bytes",
    "disk_reserve_bytes",
    "log_bytes",
    "grace_seconds",
    "environment",
    "runner",
}


def _program(module: str) -> dict[str, Any]:
    return {
        "command": [sys.executable, "-m", module],
        "env": {"PYTHONPATH": str(PROJECT)},
        "working_dir": _PROGRAM_DIRECTORY,
    }


def default_images() -> dict[str, dict[str, Any]]:
    """Return the commands for the images that the project ships, and for a few plain ones."""
    images = {
        "*/processor-resource-manager:*": _program("runtime.step_runner"),
        "*/federated-learning-manager:*": _program("runtime.federated_manager"),
        "*/sample-ai-engine:*": _program("runtime.sample_ai_engine"),
    }
    for name in ("busybox", "alpine", "python"):
        for pattern in (name, f"{name}:*", f"*/{name}:*"):
            images[pattern] = {"command": None}
    return images


class Options:
    """The options of one engine.

    - `root`: the engine's folder.
    - `images`: pattern of image names → {command, args, env, working_dir, mounts}; in front of the defaults. A
      `command` of None runs the container's own from the host's PATH; `mounts` are paths of the host that it needs
      beside what all pods see.
    - `nodes`: the declared nodes, a list of their labels; the first takes pods without a nodeSelector.
    - `max_pods`: how many pods of all Workflows run at a time. Pods mostly wait for each other, so the default is far
      above the number of cores: a server that waits for clients must not keep them from starting.
    - `gateways`: host:port addresses that pods reach. With `host:port=host:port` the first leads to the second.
    - `hostpath_allow`: directories below which hostPath volumes may lie; pods read them.
    - `hostpath_writable`: those of them that pods may also write to.
    - `disk_bytes`: the disk space of one run, with its logs and artifacts; bytes or a Kubernetes quantity.
    - `disk_reserve_bytes`: the space that all runs together leave free on the engine's file system; None is a
    twentieth of it,
      but 1 GiB at least and 10 GiB at most.
    - `log_bytes`: how much of each stream of a container is kept.
    - `readable_paths`: paths of the host whose world-readable files all pods may read, beside its programs
      (processes/host_files.py).
    - `hidden_paths`: directories that pods do not see, beside the engine's own.
    - `max_processes`: how many processes, threads included, one container may have.
    - `grace_seconds`: between SIGTERM and SIGKILL.
    - `environment`: variables that every container gets.
    - `runner`: `module:Class` of the `PodRunner`.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.unknown = sorted(set(given) - _KNOWN)
        self.root = Path(given["root"]).absolute()
        self.images = {**(given.get("images") or {}), **_without(default_images(), given.get("images") or {})}
        self.nodes = [_node(labels) for labels in given.get("nodes") or [{"nodeType": "central"}]]
        self.max_pods = int(given.get("max_pods") or max(32, 8 * (os.cpu_count() or 1)))
        self.gateways = list(given.get("gateways") or ())
        self.hostpath_allow = [str(path) for path in given.get("hostpath_allow") or ()]
        self.hostpath_writable = [str(path) for path in given.get("hostpath_writable") or ()]
        self.disk_bytes = _bytes(given, "disk_bytes", _DISK, least=1 << 20)
        reserve = given.get("disk_reserve_bytes")
        self.disk_reserve_bytes = None if reserve in (None, "") else _bytes(given, "disk_reserve_bytes", 0, least=0)
        self.log_bytes = _bytes(given, "log_bytes", _LOG, least=_LEAST_LOG)
        self.hidden_paths = [str(self.root), *(str(path) for path in given.get("hidden_paths") or ())]
        self.readable_paths = [str(path) for path in given.get("readable_paths") or ()]
        self.max_processes = int(given.get("max_processes") or _MOST_PROCESSES)
        if self.max_processes < _LEAST_PROCESSES:
            raise ValueError(f"the engine's option max_processes: {self.max_processes} is less than {_LEAST_PROCESSES}")
        self.grace_seconds = float(given.get("grace_seconds", _GRACE_SECONDS))
        own = f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        base = {"PATH": own, "HOME": "/tmp", "LANG": "C.UTF-8"}  # noqa: S108 - a path inside the pod
        self.environment = {**base, **(given.get("environment") or {})}
        self.runner = given.get("runner") or _RUNNER

    def for_supervisor(self) -> dict[str, Any]:
        """Return the options as plain data."""
        return {
            # Manifests may not name the last; it fetches artifacts.
            "images": {**self.images, http_inputs.IMAGE: _program("runtime.http_artifacts")},
            "nodes": self.nodes,
            "max_pods": self.max_pods,
            "gateways": self.gateways,
            "hostpath_allow": self.hostpath_allow,
            "hostpath_writable": self.hostpath_writable,
            "disk_bytes": self.disk_bytes,
            "disk_reserve_bytes": self.disk_reserve_bytes,
            "log_bytes": self.log_bytes,
            "hidden_paths": self.hidden_paths,
            "own_programs": OWN_PROGRAMS,
            "readable_paths": self.readable_paths,
            "max_processes": self.max_processes,
            "grace_seconds": self.grace_seconds,
            "environment": self.environment,
            "runner": self.runner,
        }

    def make_root(self) -> None:
        """Make the engine's folder, closed to other users, with its parts."""
        self.root.parent.mkdir(parents=True, exist_ok=True)
        self.root.mkdir(mode=0o700, exist_ok=True)
        for name in (layout.WORKFLOWS, layout.INCOMING, layout.WATCHERS, layout.GONE, layout.SLOTS, layout.MUTEXES):
            (self.root / name).mkdir(exist_ok=True)


def _bytes(given: Mapping[str, Any], option: str, default: int, *, least: int) -> int:
    """Return an option in bytes. Raises `ValueError` with its name."""
    value = given.get(option)
    try:
        count = default if value in (None, "") else bytes_of(value)
    except ValueError as error:
        raise ValueError(f"the engine's option {option}: {error}") from error
    if count < least:
        raise ValueError(f"the engine's option {option}: {value} is less than {least} bytes")
    return count


def _without(images: dict[str, Any], taken: Mapping[str, Any]) -> dict[str, Any]:
    return {pattern: entry for pattern, entry in images.items() if pattern not in taken}


def _node(labels: Mapping[str, Any]) -> dict[str, Any]:
    texts = {str(key): str(value) for key, value in labels.items()}
    name = texts.get("kubernetes.io/hostname") or texts.get("dataPartner") or next(iter(texts.values()), "node")
    return {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **texts}}

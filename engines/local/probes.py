"""readinessProbe of a daemon: a small program that runs beside the container, in its network and file view."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from engines.local.interpreter.tags import text_of
from engines.local.pods import ContainerSpec

_CONNECT = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()"
_GET = (
    "import sys,http.client as h; c=h.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=5);"
    "c.request('GET', sys.argv[3]); sys.exit(not 200 <= c.getresponse().status < 400)"
)
_DEFAULT_PERIOD = 1.0


class Probe:
    """The probe of a container; without `argv` it is ready when it runs."""

    def __init__(self, container: str, argv: list[str], initial_delay: float, period: float) -> None:
        self.container = container
        self.name = f"{container}.probe"
        self.argv = argv
        self.initial_delay = initial_delay
        self.period = period

    def applied_to(self, spec: ContainerSpec, directory: Path) -> ContainerSpec:
        """Return the probe as a container beside the probed one."""
        return ContainerSpec(
            name=spec.name,
            argv=self.argv,
            env=spec.env,
            working_dir=spec.working_dir,
            stdout=directory / "probe",
            stderr=directory / "probe",
            mounts=spec.mounts,
        )


def probe_of(container: dict[str, Any], name: str) -> Probe:
    """Return a container's readiness probe."""
    wish = container.get("readinessProbe") or {}
    argv: list[str] = []
    if wish.get("exec"):
        argv = [text_of(part) for part in wish["exec"].get("command") or ()]
    elif wish.get("tcpSocket"):
        argv = _program(_CONNECT, wish["tcpSocket"])
    elif wish.get("httpGet"):
        argv = [*_program(_GET, wish["httpGet"]), wish["httpGet"].get("path") or "/"]
    period = float(wish.get("periodSeconds") or _DEFAULT_PERIOD)
    return Probe(name, argv, float(wish.get("initialDelaySeconds") or 0), period)


def _program(code: str, address: dict[str, Any]) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code, address.get("host") or "127.0.0.1", text_of(address["port"])]

"""Start the whole service as its own processes, for the demo, the benchmarks and the tests that need a live server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from orchestrator_api.standalone import default_host

PROJECT = Path(__file__).resolve().parent.parent
START_SECONDS = 120
STOP_SECONDS = 60
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - compared, not bound


class ServiceFailedError(Exception):
    """The service did not start; the text ends with the end of its log."""


@dataclass(frozen=True)
class LocalService:
    """A running service: its address, its admin's token, its first process, its data and its log."""

    url: str
    token: str
    process: subprocess.Popen[bytes]
    data_dir: Path
    log: Path

    def session(self) -> requests.Session:
        """Return an HTTP session that sends the token."""
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self.token}"
        return session

    def processes(self) -> list[int]:
        """Return the ids of the service's processes: the first one and all that descend from it."""
        children: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue  # it has just ended
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
        found, waiting = [], [self.process.pid]
        while waiting:
            found.append(waiting.pop())
            waiting.extend(children.get(found[-1], ()))
        return found


def free_port(host: str = "127.0.0.1") -> int:
    """Return a free port of an address of this machine."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextmanager
def local_service(
    data_dir: Path, port: int = 0, host: str = "", announce: str = "", **environment: str
) -> Iterator[LocalService]:
    """Start the service on a port (0: a free one), wait until it is ready, and end it as Ctrl-C would.

    `host` is the address to listen on and `announce` the address at which Workflows reach it; empty: as in `make run`.
    Raises ServiceFailedError when it does not become ready, OSError when this machine has no external address and
    `ENGINE` asks for one.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    given = {**os.environ, **environment}
    host = host or default_host(given)
    port, log = port or free_port(host), data_dir / "service.log"
    options = ["--host", host, "--port", str(port), "--data-dir", str(data_dir), "--announce", announce]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator_api.standalone", *options],
            cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env=given, start_new_session=True,
        )  # fmt: skip
    try:
        url = f"http://{'127.0.0.1' if host == ANY_ADDRESS else host}:{port}"
        _wait_until_ready(url, process, log)
        yield LocalService(url, (data_dir / "token").read_text().strip(), process, data_dir, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up_at and process.poll() is None:
        try:
            if requests.get(f"{url}/health/ready", timeout=5).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise ServiceFailedError(f"the service did not start:\n{log.read_text(errors='replace')[-2000:]}")

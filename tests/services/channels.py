"""The service, as far as its channel API goes: gunicorn in a process of its own, on a database of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from usage_scripts.local_service import PROJECT, free_port

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class MadeChannel:
    """An open channel, and the callback token of its execution."""

    id: str
    token: str
    execution_id: int


class ChannelServer:
    """Serves from `with` to the end of the block; `url` stays the same over a restart, and so does what is stored."""

    def __init__(self, **environment: str) -> None:
        self._data = Path(tempfile.mkdtemp(prefix="orchestrator-channels-"))
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "orchestrator_api.settings",
            "SECRET_KEY": "a secret of the tests, long enough to be taken for one in production",
            "ALLOWED_HOSTS": "127.0.0.1",
            "DATA_DIR": str(self._data),
            "BIND": f"127.0.0.1:{self._port}",
            "ORCHESTRATOR_API_HOSTNAME": f"127.0.0.1:{self._port}",
            "LOG_FORMAT": "text",
            **environment,
        }
        self._environment.pop("DATABASE_URL", None)
        self._numbers = itertools.count(1)
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            migrate = [sys.executable, "-m", "manage", "migrate", "--verbosity=0"]
            subprocess.run(migrate, cwd=PROJECT, env=self._environment, check=True, timeout=PATIENCE_SECONDS)
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._data, ignore_errors=True)

    def start(self) -> None:
        """Start gunicorn and wait until it answers."""
        command = [sys.executable, "-m", "gunicorn", "--config", "python:orchestrator_api.gunicorn_conf"]
        with (self._data / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "tests.services.channel_asgi"],
                cwd=PROJECT, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                requests.get(f"{self.url}/health/live", timeout=5)
            except requests.RequestException:
                assert time.monotonic() < end and self.process.poll() is None, self.log
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        """End it at once, as a lost pod does; what is stored stays."""
        if self.process is not None:
            # Gunicorn and its worker are a group of their own.
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        """Kill it and start it again."""
        self.stop()
        self.start()

    def make_channel(self, max_model_bytes: int = 100_000_000) -> MadeChannel:
        """Open the channel of a new execution."""
        number = next(self._numbers)
        made = self._post("channels", execution_id=number, max_model_bytes=max_model_bytes)
        return MadeChannel(made["id"], made["token"], number)

    def set_faults(self, **faults: Any) -> None:
        """Say what goes wrong next: see tests.services.channel_asgi.py."""
        self._post("faults", **faults)

    def stored_files(self) -> list[Path]:
        """Return the files in the storage, and those that are on their way there."""
        return [path for name in ("media", "uploads") for path in (self._data / name).rglob("*") if path.is_file()]

    def spooled_bytes(self) -> int:
        """Return how much of bodies on their way has been written to files, which have no names."""
        held = [link for path in self._processes() for link in (path / "fd").iterdir()]
        return sum(link.stat().st_size for link in held if f"{self._data}/uploads/" in str(link.readlink()))

    def stored_models(self) -> list[Path]:
        """Return the files of models that lie beside the topics."""
        return [path for path in self.stored_files() if path.name.endswith("-model")]

    def peak_memory(self) -> int:
        """Return the most bytes that one of its processes ever had in memory."""
        lines = [line for path in self._processes() for line in (path / "status").read_text().splitlines()]
        return max(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

    def _processes(self) -> list[Path]:
        assert self.process is not None
        return [path for path in Path("/proc").glob("[0-9]*") if _group_of(path) == self.process.pid]

    @property
    def log(self) -> str:
        """Return what the service wrote."""
        return (self._data / "log").read_text(errors="replace")

    def _post(self, name: str, **given: Any) -> Any:
        response = requests.post(f"{self.url}/tests/{name}", json=given, timeout=PATIENCE_SECONDS)
        response.raise_for_status()
        return response.json()


def _group_of(process: Path) -> int:
    try:
        return os.getpgid(int(process.name))
    except ProcessLookupError:
        return 0

"""A PostgreSQL server that a test stops and starts again; tests/postgres.sh has the one that suites run on."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

START_SECONDS = 60


class PostgresMissing(Exception):
    """PostgreSQL's server programs are not on this machine."""


class Postgres:
    """A cluster in a temporary folder, reached by nothing but its Unix socket; what it has acknowledged it keeps."""

    def __init__(self) -> None:
        self._bin = _programs()
        # Short: the path of a Unix socket holds 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._as_server: list[str] = []
        if os.geteuid() == 0:
            # The server refuses to run as root.
            self._as_server = ["runuser", "-u", "postgres", "--"]
            shutil.chown(self._folder, "postgres")
        self.environment = {
            "PGHOST": str(self._folder),
            "PGUSER": "orchestrator",
            "DATABASE_URL": "postgres:///postgres",
        }

    def __enter__(self) -> Self:
        self._run("initdb", "-U", "orchestrator", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        options = f"-k '{self._folder}' -c listen_addresses='' -c max_connections=200"
        self._run("pg_ctl", "-l", str(self._folder / "log"), "-w", "-t", str(START_SECONDS), "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server, by default as a crash does; one that is stopped already is left alone."""
        if (self._folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "-m", mode, "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_server, str(self._bin / program), "-D", str(self._folder / "data"), *arguments]
        # Its output goes to a file: a server that was started would keep a pipe open.
        with (self._folder / "output").open("ab") as output:
            done = subprocess.run(
                command, cwd=self._folder, stdout=output, stderr=output, timeout=START_SECONDS * 2, check=False
            )
        if done.returncode:
            raise RuntimeError(f"{program}: {(self._folder / 'output').read_text()[-2000:]}")


def _programs() -> Path:
    found = [Path(path) for path in [shutil.which("initdb") or ""] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    for path in reversed(found):
        if (path.resolve().parent / "pg_ctl").exists():
            return path.resolve().parent
    raise PostgresMissing("PostgreSQL's server programs are needed (Debian: apt-get install postgresql).")

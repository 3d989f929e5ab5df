"""Controllers as processes, each behind a door of the proxy, killed one after the other at every step there is."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from tests.chaos.mortal import FOLDER_VARIABLE, STEPS, order_in
from tests.chaos.proxy import FaultProxy
from tests.services.kubernetes import ApiServer

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 30.0
# By this name their connections to the database are told from the test's own.
APPLICATION = "chaos-controller"
_REQUESTS = (
    "POST workflows", "POST secrets", "POST configmaps", "PATCH workflows", "DELETE workflows", "DELETE secrets",
    "DELETE configmaps", "LIST workflows", "WATCH workflows", "GET workflows", "LIST pods",
)  # fmt: skip
REQUEST_STEPS = tuple(f"{request}.{when}" for request in _REQUESTS for when in ("before", "after"))
# A step that nobody comes to for so long has its turn later.
_LONGEST_AMBUSH_SECONDS = 10.0


@dataclass
class _Slot:
    """A place for one controller: its door, and the process that lives there now."""

    kubeconfig: Path
    log: Path
    process: subprocess.Popen[bytes] | None = None


class Controllers:
    """Keeps so many controllers alive, and has them killed at steps in a random order.

    `killed` counts the steps at which one was; the kill at a step of the engine's or the owner's is the process's own,
    at a request the proxy sees it coming.
    """

    def __init__(
        self, server: ApiServer, proxy: FaultProxy, folder: Path, seed: int, count: int, options: dict[str, Any]
    ) -> None:
        self.killed: Counter[str] = Counter()
        self._folder = folder
        self._options = options
        self._order = order_in(folder)
        self._ambush = ""
        self._ambush_since = 0.0
        self._lock = threading.Lock()
        self._steps = [*STEPS, *REQUEST_STEPS]
        random.Random(seed).shuffle(self._steps)
        self._slots = []
        for number in range(count):
            address = proxy.open_door(partial(self._witness, number))
            kubeconfig = server.write_kubeconfig(f"controller-{number}", token=server.token, server=address)
            self._slots.append(_Slot(kubeconfig, folder / f"controller-{number}.log"))

    @property
    def steps_left(self) -> list[str]:
        return [*self._steps, *filter(None, [self._ambush])]

    def tend(self, *, kill: bool) -> None:
        """Start those that are not alive, and lay the next ambush where one is wanted."""
        for slot in self._slots:
            if slot.process is None or slot.process.poll() is not None:
                self._start(slot)
        with self._lock:
            if self._ambush in STEPS and not self._order.exists():
                self._succeeded()
            if self._ambush and time.monotonic() - self._ambush_since > _LONGEST_AMBUSH_SECONDS:
                self._give_up()
            if kill and not self._ambush and self._steps:
                self._ambush, self._ambush_since = self._steps.pop(0), time.monotonic()
                if self._ambush in STEPS:
                    self._order.write_text(self._ambush)

    def close(self) -> None:
        """Tell all to end; kill those that do not."""
        self._order.unlink(missing_ok=True)
        processes = [slot.process for slot in self._slots if slot.process is not None]
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(PATIENCE_SECONDS)

    def logs(self) -> str:
        """Return everything that the controllers logged."""
        return "".join(slot.log.read_text() for slot in self._slots if slot.log.exists())

    def _witness(self, number: int, step: str) -> None:
        with self._lock:
            process = self._slots[number].process
            if step != self._ambush or step not in REQUEST_STEPS or process is None or process.poll() is not None:
                return
            os.kill(process.pid, signal.SIGKILL)
            self._succeeded()

    def _succeeded(self) -> None:
        self.killed[self._ambush] += 1
        self._ambush = ""

    def _give_up(self) -> None:
        if self._ambush in STEPS:
            try:
                self._order.unlink()
            except FileNotFoundError:
                self._succeeded()
                return
        self._steps.append(self._ambush)
        self._ambush = ""

    def _start(self, slot: _Slot) -> None:
        environment = {
            **os.environ,
            "CHAOS_ENGINE": json.dumps({**self._options, "kubeconfig": str(slot.kubeconfig)}),
            "DATABASE_URL": _database_url(),
            "DATA_DIR": str(settings.DATA_DIR),
            "DJANGO_SETTINGS_MODULE": "tests.chaos.process_settings",
            "PGAPPNAME": APPLICATION,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]),
            "SECRET_KEY": settings.SECRET_KEY,
            FOLDER_VARIABLE: str(self._folder),
        }
        with slot.log.open("ab") as log:
            slot.process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.controller_process"],
                cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip


def _database_url() -> str:
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    return "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)

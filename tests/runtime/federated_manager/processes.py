"""Roles as they run in pods: a process of the manager, and one of an AI engine beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.runtime.recording import RecordingServer, free_port, json_answer

FAILED_PATH = "/api/executions/7/update_to_failed/"
PROGRESS_PATH = "/api/executions/7/progress/"
# Only what hangs gets this far: the machine may be busy with other things.
PATIENCE_SECONDS = 300.0
SEPARATOR = "///MESSAGE_SEP///"


@dataclass
class Role:
    """A server or a client; `folder` stands for its pod's volumes and outlives its processes."""

    name: str
    command: list[str]
    environment: dict[str, str]
    folder: Path
    engine_options: dict[str, Any] = field(default_factory=dict)
    manager: subprocess.Popen[bytes] | None = None
    engine: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the AI engine, unless it runs, and the manager."""
        self.folder.mkdir(exist_ok=True)
        hosts = {name: f"127.0.0.1:{free_port()}" for name in ("CLIENT_HOST", "SERVER_HOST")}
        for name, host in hosts.items():
            self.environment.setdefault(f"AI_ENGINE_LINKAGE_ADAPTER_{name}", host)
        if self.engine is None or self.engine.poll() is not None:
            options = {
                "host": self.environment["AI_ENGINE_LINKAGE_ADAPTER_CLIENT_HOST"],
                "folder": str(self.folder),
                "name": self.name,
            } | self.engine_options
            self.engine = self._popen("tests.runtime.federated_manager.engine_double", json.dumps(options))
        self.manager = self._popen("runtime.federated_manager", *self.command)
        return self

    def kill(self, *, with_engine: bool = True) -> None:
        """End the processes as a lost pod does."""
        for process in (self.manager, self.engine if with_engine else None):
            if process is not None:
                process.kill()
                process.wait(PATIENCE_SECONDS)

    def terminate(self) -> int:
        """Ask the manager to end; return its exit code."""
        assert self.manager is not None
        self.manager.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait for the manager's end; return its exit code."""
        assert self.manager is not None
        try:
            return self.manager.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{self.name} has not ended:\n{self.log[-6000:]}") from error

    def wait_for_line(self, text: str, count: int = 1) -> None:
        """Wait until the log has so many lines with a text."""
        wait_until(lambda: self.log.count(text) >= count, lambda: f"no {text!r} in the log of {self.name}:\n{self.log}")

    @property
    def log(self) -> str:
        return (self.folder / "role.log").read_text(errors="replace")

    @property
    def calls(self) -> list[dict[str, Any]]:
        """What the AI engine was asked for."""
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _popen(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "role.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                # error_message.txt is written where the program runs.
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])} | self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )


class Training:
    """One federated training's roles over one channel; ends all their processes at the end of the `with`.

    `environment` is that of every role; `orchestrator` hears of failures and progress.
    """

    def __init__(self, channel_id: str, folder: Path, environment: dict[str, str], rounds: int, clients: int) -> None:
        self.channel_id, self.rounds, self.number = channel_id, rounds, clients
        self.orchestrator = RecordingServer()
        self._folder, self._environment = folder, environment
        self._roles: list[Role] = []

    def __enter__(self) -> Self:
        self.orchestrator.__enter__()
        self.orchestrator.answer("PATCH", FAILED_PATH, json_answer({}))
        self.orchestrator.answer("POST", PROGRESS_PATH, json_answer({}))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for role in self._roles:
            role.kill()
        self.orchestrator.__exit__()

    def server(self, environment: dict[str, str] | None = None, **engine: Any) -> Role:
        folder = self._folder / "server"
        own = {
            "COMMUNICATION_ADAPTER_MAX_INITIALIZATION_TIME": "60",
            "COMMUNICATION_ADAPTER_MAX_ITERATION_TIME": "60",
            "AI_ENGINE_MODEL_MANAGEMENT_ADAPTER_INPUT_UNMERGED_MODELS_DIRECTORY_PATH": str(folder / "models"),
            "AI_ENGINE_MODEL_MANAGEMENT_ADAPTER_OUTPUT_MERGED_MODEL_PATH": str(folder / "output"),
            "AI_ENGINE_MODEL_MANAGEMENT_ADAPTER_INPUT_EVALUATION_METRICS_DIRECTORY_PATH": str(folder / "metrics"),
        }
        command = ["server", self.channel_id, str(self.rounds), str(self.number), "merging_models"]
        return self._role("server", command, folder, own | (environment or {}), engine)

    def client(self, name: str, environment: dict[str, str] | None = None, *, twin: str = "", **engine: Any) -> Role:
        """Return a client; a twin has the same id in another pod."""
        folder = self._folder / f"{name}{twin}"
        prefix = "AI_ENGINE_MODEL_MANAGEMENT_ADAPTER_"
        own = {
            "COMMUNICATION_ADAPTER_INITIALIZATION_MESSAGE_TIME_OUT": "60",
            "COMMUNICATION_ADAPTER_START_ITERATION_MESSAGE_TIME_OUT": "60",
            f"{prefix}INPUT_MERGED_MODEL_PATH": str(folder / "input"),
            f"{prefix}OUTPUT_UNMERGED_MODEL_PATH": str(folder / "output"),
            f"{prefix}OUTPUT_EVALUATION_METRICS_PATH": str(folder / "evaluation_metrics.json"),
        }
        command = ["client", self.channel_id, name, str(self.rounds), "training_from_scratch"]
        return self._role(name, command, folder, own | (environment or {}), engine)

    def clients(self, *names: str, **options: Any) -> list[Role]:
        return [self.client(name, **options).start() for name in names]

    @property
    def failures(self) -> list[str]:
        """What the orchestrator was told of failures."""
        return [
            self.orchestrator.data_of(index)["message"]
            for index, call in enumerate(self.orchestrator.calls)
            if call["path"] == FAILED_PATH
        ]

    @property
    def progress(self) -> list[dict[str, Any]]:
        return [call["body"] for call in self.orchestrator.calls if call["path"] == PROGRESS_PATH]

    def _role(
        self, name: str, command: list[str], folder: Path, environment: dict[str, str], engine: dict[str, Any]
    ) -> Role:
        command = [*command, "--failure-endpoint", f"{self.orchestrator.url}{FAILED_PATH}"]
        common = {
            "COMMUNICATION_ADAPTER_POLL_TIME_OUT": "1",
            "COMMUNICATION_ADAPTER_MAX_MODEL_SIZE": "1024",
            "AI_ENGINE_LINKAGE_ADAPTER_MAX_ITERATION_TIME": "60",
            "AI_ENGINE_LINKAGE_ADAPTER_MAX_INITIALIZATION_TIME": "60",
            "AI_ENGINE_LINKAGE_ADAPTER_MAX_FINALIZATION_TIME": "30",
            "AI_ENGINE_LINKAGE_ADAPTER_MAX_FINALIZATION_RETRIES": "1",
            "FEDERATED_PROGRESS_ENDPOINT": f"{self.orchestrator.url}{PROGRESS_PATH}",
        }
        role = Role(name, command, common | self._environment | environment, folder, engine)
        self._roles.append(role)
        return role


def wait_until(what: Callable[[], bool], message: Callable[[], str]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not what():
        if time.monotonic() > end:
            raise AssertionError(message())
        time.sleep(0.05)

"""The sample AI engine as a process, driven over HTTP."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import LinkageError, ModelsUnmergeable
from runtime.linkage import AIEngineLinkage
from runtime.sample_ai_engine.sample_data import Split, partner_entry
from tests.runtime.recording import free_port
from tests.runtime.sample_ai_engine.conftest import Pod

ROOT = Path(__file__).parents[3]


class Running:
    def __init__(self, pod: Pod, **changes: Any) -> None:
        path, document = pod.write_document(**changes)
        self.host = f"127.0.0.1:{document['api_port']}"
        self.environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "runtime.sample_ai_engine"],
            env=self.environment | {"SAMPLE_AI_ENGINE_PLATFORM_VARS": str(path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.linkage = AIEngineLinkage(self.host, "/api/ping")

    def run(self, use_case: str) -> None:
        self.linkage.run(
            run_url="/api/run",
            use_case=use_case,
            server_host=f"127.0.0.1:{free_port()}",
            callback_url="/api/callback",
            max_iteration_time=120,
        )

    def ask(self, method: str, path: str, body: bytes = b"{}") -> int:
        request = urllib.request.Request(f"http://{self.host}{path}", body if method == "POST" else None, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def stop(self) -> str:
        self.linkage.__exit__(None, None, None)
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.communicate(timeout=60)[0]


@pytest.fixture
def running(pod: Pod) -> Iterator[Running]:
    started = Running(pod)
    try:
        started.linkage.wait_until_ready(60)
        yield started
    finally:
        started.stop()


def test_it_trains_evaluates_and_ends(running: Running, pod: Pod, split: Split) -> None:
    pod.give(partner_entry(split.partners[0]))
    running.run("training_from_scratch")
    pod.adopt_model()
    running.run("evaluating_from_pretrained_model")
    running.linkage.end(end_url="/api/end", max_finalization_time=60, max_finalization_retries=0)

    assert running.process.wait(60) == 0
    assert pod.metrics["accuracy"] >= 0.9


def test_a_failure_is_called_back_with_its_reason(running: Running, pod: Pod) -> None:
    with pytest.raises(LinkageError, match="training_from_scratch: there is no workbook"):
        running.run("training_from_scratch")

    (pod.root / "ai" / "user_vars.json").write_text("[]")
    with pytest.raises(LinkageError, match="must hold a JSON object"):
        running.run("training_from_scratch")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/ping", 200),
        ("HEAD", "/api/ping", 200),
        ("POST", "/api/ping", 405),
        ("GET", "/api/run", 405),
        ("GET", "/api/end", 405),
        ("GET", "/api", 404),
        ("POST", "/api", 404),
        ("POST", "/api/run", 400),
        ("POST", "/api/run?use_case=flying&callback_url=http://h:1/c", 400),
        ("POST", "/api/run?use_case=merging_models", 400),
        ("POST", "/api/run?use_case=merging_models&callback_url=file:///etc/passwd", 400),
    ],
)
def test_other_calls_are_refused(engine_for_refusals: Running, method: str, path: str, status: int) -> None:
    assert engine_for_refusals.ask(method, path) == status


@pytest.fixture(scope="module")
def engine_for_refusals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    started = Running(Pod(tmp_path_factory.mktemp("pod")))
    try:
        started.linkage.wait_until_ready(60)
        yield started
    finally:
        started.stop()


def test_a_signal_ends_it(running: Running) -> None:
    running.process.terminate()

    assert running.process.wait(60) == 0


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"api_port": None}, "malformed"), ({"api_port": "x"}, "malformed"), ({"api_host": "256.0.0.1"}, "cannot start")],
)
def test_a_start_that_fails_says_why(pod: Pod, changes: dict[str, Any], named: str) -> None:
    path, _document = pod.write_document(**changes)

    failed = subprocess.run(
        [sys.executable, "-W", "error", "-m", "runtime.sample_ai_engine"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "SAMPLE_AI_ENGINE_PLATFORM_VARS": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert failed.returncode == 1
    assert named in failed.stdout
    assert failed.stderr == ""


def test_a_step_drives_it_from_start_to_end(running: Running, pod: Pod, split: Split, tmp_path: Path) -> None:
    pod.give(partner_entry(split.partners[0]))
    ping = {"client_host": running.host, "ping_url": "/api/ping", "max_initialization_time": 60}
    actions: list[dict[str, Any]] = [
        {"name": "ping_ai_engine", **ping},
        {
            "name": "run_ai_engine",
            **ping,
            "use_case": "training_from_scratch",
            "server_host": f"127.0.0.1:{free_port()}",
            "run_url": "/api/run",
            "callback_url": "/api/callback",
            "max_iteration_time": 120,
        },
        {
            "name": "end_ai_engine",
            "client_host": running.host,
            "ping_url": "/api/ping",
            "end_url": "/api/end",
            "max_finalization_time": 60,
            "max_finalization_retries": 2,
        },
    ]

    step = subprocess.run(
        [sys.executable, "-W", "error", "-m", "runtime.step_runner", json.dumps({"actions": actions})],
        cwd=tmp_path,
        env=running.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert step.returncode == 0, step.stdout
    assert running.process.wait(60) == 0
    assert sorted(file.name for file in (pod.root / "output" / "ai_model").iterdir()) == ["model.json", "model.npz"]


def test_clients_whose_models_cannot_be_merged_are_named(pod: Pod, split: Split) -> None:
    pod.give(partner_entry(split.partners[0]))
    running = Running(pod)
    running.linkage.wait_until_ready(60)
    for client, samples in (("a", 214), ("b", 0)):
        running.run("training_from_scratch")
        pod.adopt_model(f"model_{client}")
        description = pod.root / "ai" / "ai_models" / f"model_{client}" / "model.json"
        description.write_text(json.dumps(json.loads(description.read_text()) | {"samples": samples}))

    with pytest.raises(ModelsUnmergeable) as caught:
        running.run("merging_models")

    running.stop()
    assert caught.value.clients == {"b": "was trained on no row"}

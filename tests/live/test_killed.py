"""Work ends right although the service's processes are killed in the middle of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from rich.console import Console

from runtime.sample_ai_engine import sample_data
from usage_scripts.demo import the_day
from usage_scripts.demo_day import DATA_PARTNERS, Api, Day, register_sample_ai_engine
from usage_scripts.local_service import LocalService, free_port, local_service

pytestmark = pytest.mark.live


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[LocalService]:
    with local_service(tmp_path / "data") as running:
        yield running


def process_ids(service: LocalService, word: str) -> list[int]:
    """Return the service's processes with `word` in their command line, parents first."""
    found = []
    for pid in service.processes():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if word in command:
            found.append(pid)
    return found


def wait_for(what: str, condition: object, seconds: float = 60) -> None:
    give_up_at = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < give_up_at, f"{what} did not come within {seconds} s"
        time.sleep(0.05)


def test_the_day_survives_the_death_of_controller_and_api_in_turn(own_service: LocalService) -> None:
    api = Api(own_service.url, own_service.token)
    version = register_sample_ai_engine(api)
    killed: list[str] = []

    class DeadlyDay(Day):
        """A day on which, whenever a step of an execution is under way, the next process dies."""

        def _show_steps(self, view, execution) -> bool:  # type: ignore[no-untyped-def]
            over = super()._show_steps(view, execution)
            word = ("run_controller", "gunicorn")[len(killed) % 2]
            victims = process_ids(own_service, word)
            if execution["state"]["status"] == "running" and len(killed) < 4 and victims:
                os.kill(victims[0], signal.SIGKILL)
                killed.append(word)
            return over

    the_day(DeadlyDay(api, version, Console(quiet=True), 300), DATA_PARTNERS)

    assert killed == ["run_controller", "gunicorn", "run_controller", "gunicorn"]
    executions = api.call("GET", "executions/")["results"]
    assert {execution["state"]["status"] for execution in executions} == {"succeeded"}
    assert len(executions) == 5


def test_one_signal_ends_every_process_and_a_second_start_carries_on(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with local_service(data_dir) as service:
        first_url = service.url
        api = Api(service.url, service.token)
        version = register_sample_ai_engine(api)
        partner = "data-partner-1"
        execution = api.post(
            "executions/",
            {
                "schema": "training-from-scratch",
                "input_elements": {
                    "platform_data": {"data_partners_patients": {partner: sample_data.load().partners[partner]}}
                },
                "ai_elements": {"ai_engines": [{"descriptor": "main-ai-engine", "version": version}]},
                "output_elements": {"ai_model": {"name": "interrupted", "description": ""}},
            },
            {"main-ai-engine_version_user_vars": b'{"epochs": 3}'},
        )
        path = f"executions/{execution['id']}/"
        wait_for("running", lambda: api.call("GET", path)["state"]["status"] != "pending")
    leftovers = [
        entry.name
        for entry in Path("/proc").glob("[0-9]*")
        if str(data_dir).encode() in _bytes_of(entry / "cmdline") + _bytes_of(entry / "environ")
    ]
    assert leftovers == []

    # On another port: a Workflow that goes on calls the same address and still finds the service.
    with local_service(data_dir, free_port()) as service:
        assert service.url != first_url
        api = Api(service.url, service.token)
        wait_for("an end", lambda: api.call("GET", path)["state"]["status"] in ("succeeded", "failed"))
        assert api.call("GET", path)["state"]["status"] == "succeeded"


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_the_service_needs_a_token(service: LocalService) -> None:
    answer = requests.get(f"{service.url}/api/executions/", timeout=10)
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"

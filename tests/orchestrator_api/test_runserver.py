"""The development server says what it does not do, and what does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_api.management.commands.runserver import Command
from runs.identity import Identity
from tests.orchestrator_api.conftest import PROJECT
from usage_scripts.local_service import free_port


@pytest.fixture
def told(settings, tmp_path, capsys):
    """Return what the server says once it listens."""
    settings.DATA_DIR = tmp_path

    def tell(port: int) -> str:
        command = Command(no_color=True)
        command.addr, command.port, command._raw_ipv6 = "127.0.0.1", str(port), False
        command.on_bind(port)
        return capsys.readouterr().out

    return tell


def test_that_no_controller_runs_is_said_with_the_command_for_one(told) -> None:
    assert "No controller is running" in told(8900)
    assert "run_controller" in told(8900)


def test_nothing_is_said_beside_a_controller(told) -> None:
    controller = Identity()
    try:
        assert "controller" not in told(8900)
    finally:
        controller.close()


def test_another_port_than_workflows_are_told_is_said(told, settings) -> None:
    settings.ORCHESTRATOR_API_HOSTNAME = "127.0.0.1:8900"

    assert "ORCHESTRATOR_API_HOSTNAME=127.0.0.1:8765" in told(8765)
    assert "ORCHESTRATOR_API_HOSTNAME" not in told(8900)


def test_that_the_registry_wants_a_token_is_said(told, settings) -> None:
    settings.VALIDATE_WITH_MAAS, settings.MAAS_API_TOKEN = True, ""
    assert "MAAS_API_TOKEN" in told(8900)

    settings.MAAS_API_TOKEN = "one"
    assert "MAAS_API_TOKEN" not in told(8900)


def test_a_developer_is_told_in_a_pipe_too(tmp_path: Path) -> None:
    own = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "DEBUG": "true", "PYTHONUNBUFFERED": ""}
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=PROJECT, env=own, check=True)
    process = subprocess.Popen(
        ["timeout", "120", sys.executable, "manage.py", "runserver", f"127.0.0.1:{free_port()}"],
        cwd=PROJECT, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        said = next((line for line in process.stdout if "No controller is running" in line), "")
    finally:
        os.killpg(process.pid, 15)
        process.wait(60)
        process.stdout.close()
    assert "manage.py run_controller" in said

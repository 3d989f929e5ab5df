"""The table of settings: the page is made from it, all that is read stands in it, and its defaults are true."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_api.environment.page import PAGE, page
from orchestrator_api.environment.table import BY_FIELD_NAME, BY_NAME, variables

PROJECT = Path(__file__).resolve().parent.parent.parent
# What makes the settings ask for everything that they ever ask for.
ALL_OF_IT = {
    "PATH": os.environ["PATH"],
    "SECRET_KEY": "x" * 60,
    "ALLOWED_HOSTS": "orchestrator.example",
    "ENGINE": "argo",
    "LOCAL_ENGINE": "true",
    "FEDERATED_KAFKA_BOOTSTRAP_SERVERS": "broker:9092",
}
ASK = """
import json
from orchestrator_api import gunicorn_conf, settings
print(json.dumps({**settings.env.asked, **gunicorn_conf._env.asked}, default=str))
"""
# Read by gunicorn, told of, or parts of one setting.
NOT_ASKED_FOR = {"GUNICORN_CMD_ARGS", "ARGO_WORKFLOWS_API_HOST", "DATABASE_URL"} | {
    f"DATABASE_{part}" for part in ("ENGINE", "NAME", "USERNAME", "PASSWORD", "HOST", "PORT")
}


def variables_read() -> set[str]:
    return {*BY_NAME, *BY_FIELD_NAME}


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> dict:
    given = {**ALL_OF_IT, "DATA_DIR": str(tmp_path_factory.mktemp("data"))}
    done = subprocess.run([sys.executable, "-c", ASK], cwd=PROJECT, env=given, capture_output=True, check=True)
    return json.loads(done.stdout)


def test_the_page_is_the_tables() -> None:
    assert page(PAGE.read_text()) == PAGE.read_text(), "make configuration"


def test_the_page_has_every_table() -> None:
    text = PAGE.read_text()
    assert [name for name in variables_read() if f"`{name}`" not in text] == []


def test_every_variable_has_one_row() -> None:
    names = [variable.name for variable in variables()]
    assert sorted(names) == sorted(set(names))
    assert set(names).isdisjoint(BY_FIELD_NAME)


def test_every_variable_that_is_read_is_in_the_table_and_none_besides(asked) -> None:
    assert set(asked) == set(BY_NAME) - NOT_ASKED_FOR


def test_defaults_in_the_table_are_those_of_the_code(asked) -> None:
    given = {*ALL_OF_IT, "DATA_DIR"}
    told = {name: row.default for name, row in BY_NAME.items() if row.default is not None and name in asked}
    assert {name: asked[name] for name in told if name not in given} == {
        name: value for name, value in told.items() if name not in given
    }

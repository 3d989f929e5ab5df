import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client

from orchestrator_api.tokens import token_create
from tests.orchestrator_api.urls import Counting

PROJECT = Path(__file__).resolve().parent.parent.parent
READ = """
import json, sys
from django.conf import settings
print(json.dumps({name: getattr(settings, name) for name in sys.argv[1:]}, default=str))
"""
# What every installation has to say.
GIVEN = {"SECRET_KEY": "x" * 60, "ALLOWED_HOSTS": "orchestrator.example"}


@pytest.fixture
def failing_urls(settings):
    """Serve the views of `tests.orchestrator_api.urls` beside the project's."""
    settings.ROOT_URLCONF = "tests.orchestrator_api.urls"


@pytest.fixture
def token(person) -> str:
    return token_create(user=person, name="test", lifetime=timedelta(days=1))[1]


@pytest.fixture
def client(token) -> Client:
    """A client that sends a real token, and sees a fault of ours as callers do."""
    return Client(raise_request_exception=False, headers={"authorization": f"Bearer {token}"})


@pytest.fixture
def anonymous() -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture
def counting():
    Counting.calls, Counting.fails_with = 0, None
    yield Counting
    Counting.calls, Counting.fails_with = 0, None


@pytest.fixture
def read(tmp_path):
    """Read settings as another process would, from nothing but its environment."""

    def read_settings(*names: str, **environment: str) -> dict:
        clean = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "orchestrator_api.settings"}
        done = subprocess.run(
            [sys.executable, "-c", READ, *names],
            cwd=PROJECT,
            env={**clean, "DATA_DIR": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr}

    return read_settings

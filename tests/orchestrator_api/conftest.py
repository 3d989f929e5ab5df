from datetime import timedelta

import pytest
from django.test import Client

from orchestrator_api.tokens import token_create
from tests.orchestrator_api.urls import Counting


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

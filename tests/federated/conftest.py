from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from rest_framework.test import APIClient

from federated.adapters.configured import forget_adapters
from federated.channels import channel_id
from federated.services import ChannelSpec, channel_open
from federated.waiting import MESSAGES
from tests.federated.requests import Topic
from web import long_polls
from web.grants import WorkflowGrant

CREATED_AT = datetime(2026, 11, 21, 5, 31, 7, 12, UTC)
LIMIT = 100_000


def make_spec(
    execution_id: int = 7, attempt: int = 1, limit: int = LIMIT, ends_at: datetime | None = None
) -> ChannelSpec:
    name = channel_id(execution_id, CREATED_AT + timedelta(seconds=attempt))
    return ChannelSpec(
        name, "execution", execution_id, attempt, limit, ends_at or datetime.now(UTC) + timedelta(hours=1)
    )


@pytest.fixture(autouse=True)
def own_adapters() -> Iterator[None]:
    """Let each test have the adapters of its own settings."""
    forget_adapters()
    yield
    forget_adapters()


@pytest.fixture(autouse=True)
def no_listener_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let who listens for messages end with the test."""
    monkeypatch.setattr(long_polls, "_LINGER_SECONDS", 0.0)
    yield
    for thread in threading.enumerate():
        if thread.name == MESSAGES.listener_name:
            thread.join()


@pytest.fixture
def spec() -> ChannelSpec:
    """The specification of an open channel."""
    made = make_spec()
    channel_open(made)
    return made


def client_of(owner_id: int = 7, attempt: int = 1, kind: str = "execution") -> APIClient:
    client = APIClient()
    grant = WorkflowGrant(kind, owner_id, attempt, f"{kind}-{owner_id}-{attempt}-abcdef")
    client.force_authenticate(token=grant)
    return client


@pytest.fixture
def workflow() -> APIClient:
    """A client authenticated by the callback token of execution 7's Workflow."""
    return client_of()


@pytest.fixture
def topic(workflow: APIClient, spec: ChannelSpec) -> Topic:
    return Topic(workflow, spec.id, "models_to_manager")

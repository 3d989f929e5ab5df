"""Fixtures of the services that tests start for themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.channels import ChannelServer
from tests.services.kafka import Kafka, KafkaMissing
from tests.services.kubernetes import ApiServer, ServerMissing


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    """Give a Kubernetes API server for all tests of this process; its users are marked `kubernetes`."""
    try:
        server = ApiServer().__enter__()
    except ServerMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    yield server
    server.__exit__(None, None, None)


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    """Give a namespace that no other test uses."""
    return api_server.make_namespace()


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """Give a Kafka broker for all tests of this process; its users are marked `kafka`."""
    try:
        broker = Kafka().__enter__()
    except KafkaMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    yield broker
    broker.__exit__(None, None, None)


@pytest.fixture(scope="session")
def channel_server() -> Iterator[ChannelServer]:
    """Give the service's channel API in a process of its own, for all tests of this process."""
    with ChannelServer() as running:
        yield running

from collections.abc import Iterator

import pytest

from runtime.calls import Calls, CallSettings
from tests.runtime.recording import RecordingServer

QUICK = CallSettings(connect_timeout=5, read_timeout=5, attempts=3, first_delay=0.001, longest_delay=0.01)


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    with RecordingServer() as running:
        yield running


@pytest.fixture
def calls() -> Iterator[Calls]:
    with Calls(QUICK, "callback-token") as made:
        yield made

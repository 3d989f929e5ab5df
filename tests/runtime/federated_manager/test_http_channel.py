import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.federated_manager.channel.base import Channel
from runtime.federated_manager.channel.http import EARLY_DELAY, HttpChannel
from runtime.federated_manager.errors import ChannelError
from runtime.federated_manager.messages import Topic
from tests.runtime.federated_manager.channel_contract import ChannelContract
from tests.services.channels import ChannelServer, MadeChannel


@pytest.fixture
def made(channel_server: ChannelServer) -> MadeChannel:
    return channel_server.make_channel()


@pytest.fixture
def make(channel_server: ChannelServer, made: MadeChannel, tmp_path: Path) -> Iterator[Callable[[], HttpChannel]]:
    opened: list[HttpChannel] = []
    numbers = itertools.count()

    def channel() -> HttpChannel:
        spool = tmp_path / f"spool-{next(numbers)}"
        spool.mkdir()
        opened.append(HttpChannel(channel_server.url, made.id, spool, made.token, 30))
        return opened[-1]

    yield channel
    for each in opened:
        each.close()


class TestHttpChannel(ChannelContract):
    @pytest.fixture(autouse=True)
    def _keep(self, channel_server: ChannelServer) -> None:
        self._server = channel_server

    @pytest.fixture
    def make(self, make: Callable[[], HttpChannel]) -> Callable[[], Channel]:
        return make

    def away(self) -> None:
        self._server.restart()


def test_a_post_whose_answer_was_lost_is_stored_once(
    make: Callable[[], HttpChannel], channel_server: ChannelServer
) -> None:
    channel_server.set_faults(lost_answers=2)
    channel = make()

    channel.publish(Topic.STATUS, "a", {}, b"true")

    read = [channel.read(Topic.STATUS, 0) for _ in range(2)]
    assert [message and message.key for message in read] == ["a", None]


def test_a_broken_download_is_resumed(
    make: Callable[[], HttpChannel], channel_server: ChannelServer, tmp_path: Path
) -> None:
    file = tmp_path / "model"
    file.write_bytes(os.urandom(900_000))
    make().publish(Topic.TO_CLIENTS, "a", {}, file)
    channel_server.set_faults(breaks=[300_000, 150_000])

    message = make().read(Topic.TO_CLIENTS, 5)
    assert message is not None
    assert message.content is not None
    message.content.save(tmp_path / "received")

    assert (tmp_path / "received").read_bytes() == file.read_bytes()


@pytest.fixture(scope="module")
def full_server() -> Iterator[ChannelServer]:
    """A service in which nobody may wait."""
    with ChannelServer(FEDERATED_WAITING_REQUESTS="0") as running:
        yield running


def test_a_service_that_cannot_hold_a_poll_is_not_asked_again_at_once(
    full_server: ChannelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, slept = full_server.make_channel(), []
    own, sleep = threading.get_ident(), time.sleep

    def noted(seconds: float) -> None:
        # Other threads of this process sleep as they like.
        slept.append(seconds) if threading.get_ident() == own else sleep(seconds)

    monkeypatch.setattr(time, "sleep", noted)

    with HttpChannel(full_server.url, made.id, tmp_path, made.token, 10) as channel:
        found = channel.read(Topic.STATUS, 20)

    assert found is None
    assert slept == [EARLY_DELAY]


def test_a_refusal_ends_it(channel_server: ChannelServer, made: MadeChannel, tmp_path: Path) -> None:
    channel = HttpChannel(channel_server.url, made.id, tmp_path, "another token", 10)

    with pytest.raises(ChannelError, match="401"):
        channel.read(Topic.STATUS, 1)
    with pytest.raises(ChannelError, match="401"):
        channel.publish(Topic.STATUS, "a", {}, b"")
    with pytest.raises(ChannelError, match="401"):
        channel.skip_to_last(Topic.STATUS)
    channel.close()


def test_a_service_that_stays_away_ends_it(tmp_path: Path) -> None:
    channel = HttpChannel("http://127.0.0.1:1", "15", tmp_path, "a token", 0)

    found = channel.read(Topic.STATUS, 0)
    with pytest.raises(ChannelError, match="failed for 0 s"):
        channel.read(Topic.STATUS, 0)
    channel.close()

    assert found is None

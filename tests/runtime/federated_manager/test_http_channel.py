import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.federated_manager.channel.base import Channel
from runtime.federated_manager.channel.http import HttpChannel
from runtime.federated_manager.errors import ChannelError
from runtime.federated_manager.messages import Topic
from tests.runtime.federated_manager.channel_contract import ChannelContract
from tests.runtime.federated_manager.channel_service import TOKEN, ChannelService

ID = "15_-SEP-_2026-11-21 05/31"


@pytest.fixture
def make(service: ChannelService, tmp_path: Path) -> Iterator[Callable[[], HttpChannel]]:
    made: list[HttpChannel] = []
    numbers = itertools.count()

    def channel() -> HttpChannel:
        spool = tmp_path / f"spool-{next(numbers)}"
        spool.mkdir()
        made.append(HttpChannel(service.url, ID, spool, TOKEN, 10))
        return made[-1]

    yield channel
    for each in made:
        each.close()


class TestHttpChannel(ChannelContract):
    @pytest.fixture(autouse=True)
    def _keep(self, service: ChannelService) -> None:
        self._service = service

    @pytest.fixture
    def make(self, make: Callable[[], HttpChannel]) -> Callable[[], Channel]:
        return make

    def away(self) -> None:
        self._service.restart()


def test_a_post_whose_answer_was_lost_is_stored_once(make: Callable[[], HttpChannel], service: ChannelService) -> None:
    service.lose_answers = 2

    make().publish(Topic.STATUS, "a", {}, b"true")

    assert [stored.value for stored in service.topics[ID, "status"]] == [b"true"]


def test_a_broken_download_is_resumed(make: Callable[[], HttpChannel], service: ChannelService, tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(os.urandom(300_000))
    make().publish(Topic.TO_CLIENTS, "a", {}, file)
    service.breaks = [100_000, 50_000]

    message = make().read(Topic.TO_CLIENTS, 5)
    assert message is not None
    assert message.content is not None
    message.content.save(tmp_path / "received")

    assert (tmp_path / "received").read_bytes() == file.read_bytes()
    assert service.breaks == []


def test_a_refusal_ends_it(service: ChannelService, tmp_path: Path) -> None:
    channel = HttpChannel(service.url, ID, tmp_path, "another token", 10)

    with pytest.raises(ChannelError, match="401"):
        channel.read(Topic.STATUS, 1)
    with pytest.raises(ChannelError, match="401"):
        channel.publish(Topic.STATUS, "a", {}, b"")
    with pytest.raises(ChannelError, match="401"):
        channel.skip_to_last(Topic.STATUS)
    channel.close()


def test_a_service_that_stays_away_ends_it(tmp_path: Path) -> None:
    channel = HttpChannel("http://127.0.0.1:1", ID, tmp_path, TOKEN, 0)

    found = channel.read(Topic.STATUS, 0)
    with pytest.raises(ChannelError, match="failed for 0 s"):
        channel.read(Topic.STATUS, 0)
    channel.close()

    assert found is None

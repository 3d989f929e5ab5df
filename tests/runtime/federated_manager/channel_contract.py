"""What every adapter of the channel does."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.federated_manager.channel.base import SMALL, Channel
from runtime.federated_manager.messages import Topic

MakeChannel = Callable[[], Channel]
KEY = "ex///MESSAGE_SEP///partner ä"
HEADERS = {"message_name": "ended_iteration", "iteration_index": "0", "failure_reason": "kein Gerät"}
SIZES = [0, 1, SMALL, SMALL + 1, 65535 * 16, 65535 * 16 + 1, 3_000_000]


class ChannelContract(ABC):
    """Subclasses give a factory of channels to the same topics, with files of their own."""

    @pytest.fixture
    @abstractmethod
    def make(self) -> MakeChannel: ...

    @abstractmethod
    def away(self) -> None:
        """Make what keeps the messages go away and come back."""

    def test_an_empty_topic_has_nothing(self, make: MakeChannel) -> None:
        channel = make()

        assert channel.read(Topic.TO_MANAGER, 0) is None
        assert channel.skip_to_last(Topic.TO_CLIENTS) is False

    @pytest.mark.parametrize("value", [None, b"", b"true", b"x" * SMALL, b"y" * (SMALL + 1)])
    def test_a_message_comes_as_it_was_sent(self, make: MakeChannel, value: bytes | None) -> None:
        make().publish(Topic.TO_MANAGER, KEY, HEADERS, value)

        message = make().read(Topic.TO_MANAGER, 5)

        assert message is not None
        assert (message.topic, message.offset, message.key) == (Topic.TO_MANAGER, 0, KEY)
        assert message.headers == HEADERS
        assert (None if message.content is None else message.content.read()) == value

    @pytest.mark.parametrize("size", SIZES)
    def test_a_file_comes_as_it_was_sent(self, make: MakeChannel, tmp_path: Path, size: int) -> None:
        file = tmp_path / "sent"
        file.write_bytes(os.urandom(size))
        make().publish(Topic.TO_CLIENTS, "ex", {"iteration_index": "1"}, file)

        message = make().read(Topic.TO_CLIENTS, 5)

        assert message is not None
        assert message.content is not None
        assert message.content.size == size
        message.content.save(tmp_path / "received")
        assert (tmp_path / "received").read_bytes() == file.read_bytes()
        assert message.headers == {"iteration_index": "1"}

    def test_messages_come_in_their_order_and_topics_are_apart(self, make: MakeChannel) -> None:
        sender, reader = make(), make()
        for number in range(5):
            sender.publish(Topic.TO_MANAGER, f"key {number}", {}, str(number).encode())
        sender.publish(Topic.TO_CLIENTS, "other", {}, None)

        found = [reader.read(Topic.TO_MANAGER, 5) for _ in range(5)]

        assert [message and message.key for message in found] == [f"key {number}" for number in range(5)]
        assert reader.read(Topic.TO_MANAGER, 0) is None
        other = reader.read(Topic.TO_CLIENTS, 5)
        assert other is not None
        assert other.key == "other"

    def test_each_reader_has_a_place_of_its_own(self, make: MakeChannel) -> None:
        sender, first, second = make(), make(), make()
        sender.publish(Topic.TO_MANAGER, "a", {}, b"1")

        read = [reader.read(Topic.TO_MANAGER, 5) for reader in (first, second)]

        assert [message and message.key for message in read] == ["a", "a"]

    def test_the_last_message_can_be_gone_to(self, make: MakeChannel, tmp_path: Path) -> None:
        sender, reader = make(), make()
        model = tmp_path / "model"
        model.write_bytes(os.urandom(200_000))
        for number in range(3):
            sender.publish(Topic.TO_CLIENTS, str(number), {}, model)

        assert reader.skip_to_last(Topic.TO_CLIENTS) is True
        last = reader.read(Topic.TO_CLIENTS, 5)
        sender.publish(Topic.TO_CLIENTS, "next", {}, None)
        following = reader.read(Topic.TO_CLIENTS, 5)

        assert last is not None
        assert last.key == "2"
        assert following is not None
        assert following.key == "next"

    def test_nothing_is_lost_while_the_keeper_is_away(self, make: MakeChannel) -> None:
        sender, reader = make(), make()
        sender.publish(Topic.TO_MANAGER, "a", {}, b"1")
        first = reader.read(Topic.TO_MANAGER, 5)
        self.away()
        sender.publish(Topic.TO_MANAGER, "b", {}, b"2")

        # The first attempt may find the connection gone.
        second = next(filter(None, (reader.read(Topic.TO_MANAGER, 5) for _ in range(10))))

        assert first is not None
        assert (first.key, second.key) == ("a", "b")

    def test_what_was_discarded_leaves_no_file(self, make: MakeChannel, tmp_path: Path) -> None:
        make().publish(Topic.TO_MANAGER, "a", {}, b"1" * (SMALL + 1))

        message = make().read(Topic.TO_MANAGER, 5)
        assert message is not None
        message.discard()

        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

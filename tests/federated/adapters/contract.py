"""What every channel adapter does, seen from the service and from the federated managers."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from federated.adapters.base import ChannelAdapter, ChannelSpec
from federated.channels import channel_id
from federated.models import Channel
from runtime.federated_manager.channel.base import Channel as ManagersChannel
from runtime.federated_manager.messages import Topic
from runtime.federated_manager.runner import open_channel
from runtime.federated_manager.settings import read_settings
from tests.runtime.federated_manager.test_settings import CLIENT, CLIENTS

Connect = Callable[[ChannelSpec, Mapping[str, str]], ManagersChannel]
LIMIT = 300_000


def new_spec(limit: int = LIMIT) -> ChannelSpec:
    """Return a specification that no other test has, and write the row that stands before everything else."""
    now = datetime.now(UTC)
    number = 1 + Channel.objects.count()
    spec = ChannelSpec(channel_id(number, now), "execution", number, 1, limit, now + timedelta(hours=1))
    Channel.objects.create(
        pk=spec.id,
        adapter="x",
        owner_kind="execution",
        owner_id=number,
        attempt=1,
        max_model_bytes=limit,
        ends_at=spec.ends_at,
    )
    return spec


class AdapterContract(ABC):
    """Subclasses give the adapter, and the callback token of a channel's execution where managers need one."""

    @pytest.fixture
    @abstractmethod
    def adapter(self) -> ChannelAdapter: ...

    def token(self, spec: ChannelSpec) -> str:
        return ""

    @pytest.fixture
    def connect(self, adapter: ChannelAdapter, tmp_path: Path) -> Iterator[Connect]:
        """Give a function that joins a channel as a federated manager does, by what it's told in its environment."""
        with ExitStack() as stack:

            def join(spec: ChannelSpec, values: Mapping[str, str]) -> ManagersChannel:
                arguments = [CLIENT[0], spec.id, *CLIENT[2:]]
                settings = read_settings(arguments, {**CLIENTS, **adapter.environment(spec), **values})
                patient = replace(settings, channel=replace(settings.channel, patience=30))
                return stack.enter_context(open_channel(patient, tmp_path, self.token(spec)))

            yield join

    def test_managers_talk_over_an_opened_channel(
        self, adapter: ChannelAdapter, connect: Connect, tmp_path: Path
    ) -> None:
        spec = new_spec()
        values = adapter.open(spec)
        model = tmp_path / "model"
        model.write_bytes(os.urandom(LIMIT))
        sender, reader = connect(spec, values), connect(spec, values)

        sender.publish(Topic.STATUS, spec.id, {"message_name": "manager_initialization"}, b"true")
        sender.publish(Topic.TO_MANAGER, spec.id, {}, model)
        sender.publish(Topic.TO_CLIENTS, spec.id, {}, None)
        read = [reader.read(topic, 20) for topic in (Topic.TO_MANAGER, Topic.TO_CLIENTS)]

        assert [message and message.key for message in read] == [spec.id, spec.id]
        assert read[0] is not None
        assert read[0].content is not None
        read[0].content.save(tmp_path / "received")
        assert (tmp_path / "received").read_bytes() == model.read_bytes()

    def test_opening_again_gives_the_same(self, adapter: ChannelAdapter) -> None:
        spec = new_spec()

        first, second = adapter.open(spec), adapter.open(spec)

        assert first == second
        assert tuple(first) == adapter.secret_variables()

    def test_what_is_secret_is_not_in_the_environment(self, adapter: ChannelAdapter) -> None:
        spec = new_spec()

        values, told = adapter.open(spec), adapter.environment(spec)

        assert not set(values) & set(told)
        assert not set(values.values()) & set(told.values())

    def test_a_closed_channel_leaves_nothing(self, adapter: ChannelAdapter, connect: Connect) -> None:
        spec, other = new_spec(), new_spec()
        for each in (spec, other):
            connect(each, adapter.open(each)).publish(Topic.TO_MANAGER, "k", {}, b"1")
        before = set(adapter.remains())

        adapter.close(spec.id)

        assert {spec.id, other.id} <= before
        assert before - set(adapter.remains()) == {spec.id}

    def test_closing_may_be_repeated_and_come_before_opening(self, adapter: ChannelAdapter) -> None:
        spec, never_opened = new_spec(), new_spec()
        adapter.open(spec)

        for channel in (spec.id, spec.id, never_opened.id):
            adapter.close(channel)

        assert not {spec.id, never_opened.id} & set(adapter.remains())

"""The command that deletes what is left of channels, at a real broker."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from federated.adapters.kafka import topics_of
from federated.channels import channel_id
from federated.models import Channel
from federated.services import ChannelSpec, ChannelUnavailable, channel_close, channel_open
from runtime.federated_manager.channel.broker import Security
from runtime.federated_manager.channel.kafka import KafkaChannel
from runtime.federated_manager.messages import Topic
from tests.services.kafka import Kafka

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.kafka]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def broker() -> Iterator[Kafka]:
    """A broker of these tests alone: the command looks at all there is."""
    with Kafka() as running:
        yield running


@pytest.fixture
def own(broker: Kafka, settings) -> Iterator[Kafka]:
    """The broker as the adapter of the settings, empty of channels at the end."""
    options = {"bootstrap_servers": broker.bootstrap, "status_retention_seconds": 3600, "timeout_seconds": 10}
    settings.FEDERATED_ADAPTERS = {
        **settings.FEDERATED_ADAPTERS,
        "kafka": {"class": "federated.adapters.kafka.KafkaAdapter", "options": options},
    }
    settings.FEDERATED_ADAPTER = "kafka"
    yield broker
    with broker.admin() as admin:
        if left := [name for name in admin.list_topics() if "_-SEP-_" in name]:
            admin.delete_topics(left)


def new_spec(begun: timedelta = timedelta(0), ends_in: timedelta = timedelta(hours=1)) -> ChannelSpec:
    now, number = datetime.now(UTC), next(_numbers)
    return ChannelSpec(channel_id(number, now - begun), "execution", number, 1, 100_000, now + ends_in)


def opened(**times: timedelta) -> ChannelSpec:
    spec = new_spec(**times)
    channel_open(spec)
    return spec


def topics(broker: Kafka) -> set[str]:
    with broker.admin() as admin:
        return {name for name in admin.list_topics() if not name.startswith("__")}


def clean(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("clean_old_kafka_topics", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_ended_channels_go_and_running_ones_and_others_stay(own: Kafka) -> None:
    running, over = opened(), opened(ends_in=timedelta(seconds=-1))
    half_closed = opened()
    Channel.objects.filter(pk=half_closed.id).update(closed_at=datetime.now(UTC))
    own.make_topics({"patients": {}, "patients_models_to_manager": {}})
    others = topics(own) - set(topics_of(over.id)) - set(topics_of(half_closed.id))

    lines = clean()

    assert topics(own) == others >= {"status", "patients", "patients_models_to_manager", *topics_of(running.id)}
    assert lines[0].split() == ["TOPIC", "EXECUTION", "WHY", "STATE"]
    assert sorted(line.split() for line in lines[1:-1]) == sorted(
        [topic, str(spec.owner_id), *why.split(), "deleted"]
        for spec, why in ((over, "its time is over"), (half_closed, "closed"))
        for topic in topics_of(spec.id)
    )
    assert lines[-1] == "4 found, 4 deleted"
    assert Channel.objects.filter(cleared_at__isnull=True).values_list("pk", flat=True).get() == running.id


def test_topics_made_after_the_close_are_found(own: Kafka) -> None:
    spec = opened()
    channel_close(spec.id)
    own.make_topics({topics_of(spec.id)[0]: {}})

    assert clean()[-1] == "1 found, 1 deleted"
    assert not set(topics_of(spec.id)) & topics(own)


def test_a_dry_run_deletes_nothing(own: Kafka) -> None:
    spec = opened(ends_in=timedelta(seconds=-1))

    lines = clean("--dry-run")

    assert [line.endswith("would be deleted") for line in lines[1:-1]] == [True, True]
    assert lines[-1] == "2 found, 0 deleted"
    assert set(topics_of(spec.id)) <= topics(own)


def test_what_nobody_here_knows_goes_only_when_asked_for_and_old_enough(own: Kafka) -> None:
    old, young = opened(begun=timedelta(days=3)), opened(begun=timedelta(days=1))
    known = opened(begun=timedelta(days=3))
    Channel.objects.filter(pk__in=[old.id, young.id]).delete()

    assert clean()[-1] == "0 found, 0 deleted"
    assert clean("--orphans", "2")[-1] == "2 found, 2 deleted"

    left = topics(own)
    assert not set(topics_of(old.id)) & left
    assert {*topics_of(young.id), *topics_of(known.id)} <= left


@pytest.mark.parametrize("days", ["0", "-1", "x"])
def test_days_that_make_no_sense_are_refused(own: Kafka, days: str) -> None:
    with pytest.raises(CommandError, match="--orphans"):
        clean("--orphans", days)


def test_there_is_nothing_to_do_without_a_broker() -> None:
    assert clean() == ["No adapter uses topics: nothing to do."]


def test_a_training_goes_on_beside_it(own: Kafka, tmp_path: Path) -> None:
    spec = opened()
    with KafkaChannel(own.bootstrap, spec.id, tmp_path, Security(), 30) as channel:
        channel.publish(Topic.TO_MANAGER, "before", {}, b"1")
        clean("--orphans", "1")
        channel.publish(Topic.TO_MANAGER, "after", {}, b"2")
        read = [channel.read(Topic.TO_MANAGER, 10) for _ in range(2)]

    assert [message and message.key for message in read] == ["before", "after"]


def test_channels_that_are_opened_while_it_runs_stay(own: Kafka) -> None:
    specs: list[ChannelSpec] = []

    def open_some() -> None:
        specs.extend(opened(begun=timedelta(days=3)) for _ in range(5))
        connection.close()

    thread = threading.Thread(target=open_some)
    thread.start()
    while thread.is_alive():
        clean("--orphans", "1")
    thread.join()
    clean("--orphans", "1")

    assert {topic for spec in specs for topic in topics_of(spec.id)} <= topics(own)
    assert len(specs) == 5


def test_a_broker_that_is_down_fails_the_command_and_the_next_one_finishes(own: Kafka, settings) -> None:
    specs = [opened() for _ in range(3)]
    settings.FEDERATED_ADAPTERS["kafka"]["options"]["timeout_seconds"] = 1
    own.kill()
    for spec in specs:
        with pytest.raises(ChannelUnavailable):
            channel_close(spec.id)
    with pytest.raises(CommandError, match=own.bootstrap) as raised:
        clean()
    assert raised.value.returncode == 1
    own.start()

    assert clean()[-1] == "6 found, 6 deleted"


def test_a_broker_that_dies_half_way_leaves_the_rest_for_the_next_time(own: Kafka, monkeypatch) -> None:
    specs = [opened(ends_in=timedelta(seconds=-1)) for _ in range(3)]
    lines = StringIO()
    point = _after_first_deletion(monkeypatch, own.kill)

    with pytest.raises(CommandError):
        call_command("clean_old_kafka_topics", stdout=lines)

    shown = lines.getvalue()
    assert point == [specs[0].id, specs[1].id]
    assert [shown.count(state) for state in ("  deleted\n", "  failed\n", "  not tried\n")] == [2, 2, 2]
    own.start()
    assert clean()[-1] == "4 found, 4 deleted"
    assert not {topic for spec in specs for topic in topics_of(spec.id)} & topics(own)


def _after_first_deletion(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> list[str]:
    """Let something happen between the first channel's deletion and the second's; return where it did."""
    happened: list[str] = []

    def close(channel_id: str) -> None:
        if len(happened) == 1:
            act()
        happened.append(channel_id)
        channel_close(channel_id)

    monkeypatch.setattr("federated.cleaning.channel_close", close)
    return happened

"""The Kafka adapter at a real broker."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import ConfigResource

from federated.adapters.base import ChannelAdapter, ChannelRefused, ChannelUnavailable
from federated.adapters.kafka import KafkaAdapter, message_limit, topics_of
from runtime.federated_manager.channel.broker import Security
from runtime.federated_manager.channel.kafka import KafkaChannel
from runtime.federated_manager.messages import Topic
from tests.federated.adapters.contract import AdapterContract, new_spec
from tests.federated.conftest import make_spec
from tests.services.kafka import Kafka

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.kafka]
MEGABYTE = 1024 * 1024
DAY_SECONDS = 24 * 3600


def make_adapter(bootstrap: str, **options: Any) -> KafkaAdapter:
    return KafkaAdapter("kafka", {"bootstrap_servers": bootstrap, "status_retention_seconds": DAY_SECONDS, **options})


def configuration(kafka: Kafka, topic: str) -> dict[str, str]:
    with kafka.admin() as admin:
        found = admin.describe_configs([ConfigResource("TOPIC", topic)], config_filter="all")["topic"][topic]
    return {name: entry["value"] for name, entry in found.items()}


class TestKafkaAdapter(AdapterContract):
    @pytest.fixture
    def adapter(self, kafka: Kafka) -> ChannelAdapter:
        return make_adapter(kafka.bootstrap)


def test_topics_are_as_the_protocol_and_the_execution_have_them(kafka: Kafka) -> None:
    spec = make_spec(limit=30 * MEGABYTE, ends_at=datetime.now(UTC) + timedelta(hours=2))

    make_adapter(kafka.bootstrap).open(spec)

    for topic in topics_of(spec.id):
        found = configuration(kafka, topic)
        assert (found["cleanup.policy"], found["compression.type"]) == ("compact,delete", "gzip")
        assert int(found["max.message.bytes"]) == message_limit(30 * MEGABYTE)
        assert 3600_000 < int(found["retention.ms"]) <= 7200_000
    with kafka.admin() as admin:
        partitions = {each["name"]: len(each["partitions"]) for each in admin.describe_topics(list(topics_of(spec.id)))}
    assert partitions == dict.fromkeys(topics_of(spec.id), 1)


def test_the_shared_topic_is_made_where_it_is_missing_and_never_deleted() -> None:
    # A broker of its own: others have made the topic at the one that all share.
    with Kafka() as kafka:
        adapter, spec = make_adapter(kafka.bootstrap), make_spec()
        adapter.open(spec)
        adapter.close(spec.id)

        found = configuration(kafka, "status")

    assert (found["cleanup.policy"], found["retention.ms"]) == ("compact,delete", str(DAY_SECONDS * 1000))


def test_a_channel_that_is_open_already_keeps_its_topics(kafka: Kafka) -> None:
    adapter, spec = make_adapter(kafka.bootstrap), make_spec(execution_id=8)
    adapter.open(spec)
    before = [configuration(kafka, topic)["retention.ms"] for topic in topics_of(spec.id)]

    adapter.open(spec)

    assert [configuration(kafka, topic)["retention.ms"] for topic in topics_of(spec.id)] == before


def test_of_several_that_open_at_once_each_succeeds(kafka: Kafka) -> None:
    adapter, spec, failures = make_adapter(kafka.bootstrap), make_spec(execution_id=9), []

    def attempt() -> None:
        try:
            adapter.open(spec)
        except (ChannelRefused, ChannelUnavailable) as error:
            failures.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []


def test_only_what_has_our_form_of_name_counts_as_a_channels(kafka: Kafka) -> None:
    adapter, spec = make_adapter(kafka.bootstrap), make_spec(execution_id=10)
    kafka.make_topics({"patients_models_to_manager": {}, f"{spec.id}_models": {}, f"x{spec.id}_models_to_clients": {}})
    adapter.open(spec)

    remains = adapter.remains()

    assert remains[spec.id] == tuple(sorted(topics_of(spec.id), reverse=False))
    assert not {"patients", f"x{spec.id}"} & set(remains)


def test_replication_is_as_the_settings_have_it(kafka: Kafka) -> None:
    # This broker is alone; more may come.
    with pytest.raises(ChannelUnavailable, match="replication"):
        make_adapter(kafka.bootstrap, replication_factor=2).open(make_spec(execution_id=11))


def test_a_model_that_no_message_can_hold_is_refused_with_both_numbers(kafka: Kafka) -> None:
    spec = make_spec(execution_id=12, limit=2**31)

    with pytest.raises(ChannelRefused, match=r"declared model of 2147483648 bytes.*accept 1073740800 bytes"):
        make_adapter(kafka.bootstrap).open(spec)

    assert spec.id not in make_adapter(kafka.bootstrap).remains()


def test_what_is_too_large_for_a_message_goes_by_claim_check(kafka: Kafka) -> None:
    adapter = make_adapter(kafka.bootstrap, claim_check_api="http://api:8900")
    spec = make_spec(execution_id=13, limit=2**33)

    adapter.open(spec)

    url = adapter.environment(spec)["FEDERATED_CLAIM_CHECK_URL"]
    assert url == f"http://api:8900/api/channels/{spec.id}/models/"


@pytest.fixture(scope="module")
def small_broker() -> Iterator[Kafka]:
    """A broker whose segments are small, and whose own limit of a message is smaller than its largest request."""
    limits = {
        "message.max.bytes": str(MEGABYTE),
        "replica.fetch.max.bytes": str(MEGABYTE),
        "log.segment.bytes": str(4 * MEGABYTE),
        "socket.request.max.bytes": str(20 * MEGABYTE),
    }
    with Kafka(limits) as broker:
        yield broker


def test_a_model_beyond_the_brokers_message_and_segment_goes_through(small_broker: Kafka, tmp_path: Path) -> None:
    spec = make_spec(execution_id=18, limit=6 * MEGABYTE)
    make_adapter(small_broker.bootstrap).open(spec)
    model = tmp_path / "model"
    model.write_bytes(os.urandom(6 * MEGABYTE))

    with KafkaChannel(small_broker.bootstrap, spec.id, tmp_path, Security(), 30) as channel:
        channel.publish(Topic.TO_MANAGER, "k", {}, model)
        message = channel.read(Topic.TO_MANAGER, 20)

    assert message is not None
    assert message.content is not None
    assert message.content.size == 6 * MEGABYTE


def test_the_largest_request_is_the_limit(small_broker: Kafka) -> None:
    adapter = make_adapter(small_broker.bootstrap)

    adapter.open(make_spec(execution_id=14, limit=19 * MEGABYTE))
    with pytest.raises(ChannelRefused, match=r"declared model of 20971520 bytes.*accept 20970496 bytes"):
        adapter.open(make_spec(execution_id=15, limit=20 * MEGABYTE))


@pytest.fixture
def mortal() -> Iterator[Kafka]:
    with Kafka() as broker:
        yield broker


def test_a_broker_that_is_down_is_unavailable_and_leaves_no_thread(mortal: Kafka) -> None:
    adapter, spec = make_adapter(mortal.bootstrap, timeout_seconds=1), make_spec(execution_id=16)
    mortal.kill()
    before = threading.active_count()

    for attempt in (lambda: adapter.open(spec), lambda: adapter.close(spec.id), adapter.remains):
        with pytest.raises(ChannelUnavailable, match=mortal.bootstrap):
            attempt()

    assert threading.active_count() == before
    mortal.start()
    assert adapter.open(spec) == {}


def test_a_broker_that_does_not_answer_is_unavailable(mortal: Kafka) -> None:
    adapter = make_adapter(mortal.bootstrap, timeout_seconds=1)
    mortal.freeze()

    with pytest.raises(ChannelUnavailable):
        adapter.open(make_spec(execution_id=17))

    mortal.thaw()


def test_a_second_specification_of_one_channel_changes_nothing(kafka: Kafka) -> None:
    adapter, spec = make_adapter(kafka.bootstrap), new_spec()
    adapter.open(spec)
    larger = replace(spec, max_model_bytes=2 * MEGABYTE)

    adapter.open(larger)

    assert int(configuration(kafka, topics_of(spec.id)[0])["max.message.bytes"]) == message_limit(300_000)


def test_clients_are_told_of_a_failure_in_the_servers_place(kafka: Kafka, tmp_path: Path) -> None:
    adapter, spec = make_adapter(kafka.bootstrap), make_spec(execution_id=9)
    adapter.open(spec)
    adapter.fail(spec.id, "the server is gone: größe")

    with KafkaChannel(kafka.bootstrap, spec.id, tmp_path, Security(), 30) as channel:
        message = channel.read(Topic.TO_CLIENTS, 20)

    assert message is not None
    assert (message.key, message.content) == (spec.id, None)
    assert message.headers["message_name"] == "start_iteration"
    assert message.headers["failure_reason"] == "the server is gone: größe"


def test_nobody_is_told_where_there_are_no_topics(kafka: Kafka) -> None:
    make_adapter(kafka.bootstrap).fail(make_spec(execution_id=10).id, "the server is gone")

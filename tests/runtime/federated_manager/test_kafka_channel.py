import itertools
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from runtime.federated_manager.channel.base import BLOCK, Channel
from runtime.federated_manager.channel.broker import Security
from runtime.federated_manager.channel.kafka import KafkaChannel
from runtime.federated_manager.errors import ChannelError
from runtime.federated_manager.messages import Topic
from tests.runtime.federated_manager.channel_contract import ChannelContract
from tests.runtime.federated_manager.conftest import make_channel_topics
from tests.services.kafka import Kafka

pytestmark = pytest.mark.kafka

MakeChannel = Callable[[], KafkaChannel]


@pytest.fixture
def channel_id(kafka: Kafka) -> str:
    return make_channel_topics(kafka, 12_000_000)


@pytest.fixture
def make(kafka: Kafka, channel_id: str, tmp_path: Path) -> Iterator[MakeChannel]:
    made: list[KafkaChannel] = []
    numbers = itertools.count()

    def channel() -> KafkaChannel:
        spool = tmp_path / f"spool-{next(numbers)}"
        spool.mkdir()
        made.append(KafkaChannel(kafka.bootstrap, channel_id, spool, Security(), 60))
        return made[-1]

    yield channel
    for each in made:
        each.close()


class TestKafkaChannel(ChannelContract):
    @pytest.fixture(autouse=True)
    def _keep(self, kafka: Kafka) -> None:
        self._kafka = kafka

    @pytest.fixture
    def make(self, make: MakeChannel) -> Callable[[], Channel]:
        return make

    def away(self) -> None:
        self._kafka.restart()


def _consume(kafka: Kafka, topic: str, count: int) -> list[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap, consumer_timeout_ms=60_000)
    consumer.assign([TopicPartition(topic, 0)])
    consumer.seek_to_beginning()
    try:
        return [(found.key, found.value, found.headers) for found in itertools.islice(consumer, count)]
    finally:
        consumer.close()


def test_other_clients_read_what_is_published(kafka: Kafka, make: MakeChannel, channel_id: str, tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(os.urandom(2_500_000))

    channel = make()
    channel.publish(Topic.TO_MANAGER, "k", {"a": "1", "ü": "ö"}, file)
    channel.publish(Topic.TO_MANAGER, "k", {}, None)

    assert _consume(kafka, f"{channel_id}_models_to_manager", 2) == [
        (b"k", file.read_bytes(), [("a", b"1"), ("ü", "ö".encode())]),
        (b"k", None, []),
    ]


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_what_other_clients_publish_in_batches_is_read(
    kafka: Kafka, make: MakeChannel, channel_id: str, compression: str | None
) -> None:
    values = [b"v" * length for length in (0, 10, 70_000, 300_000)] * 3
    producer = KafkaProducer(
        bootstrap_servers=kafka.bootstrap, compression_type=compression, linger_ms=200, batch_size=4_000_000
    )
    for number, value in enumerate(values):
        producer.send(f"{channel_id}_models_to_clients", value, key=b"%d" % number, headers=[("h", b"1")])
    producer.close()

    reader = make()
    found = [reader.read(Topic.TO_CLIENTS, 5) for _ in values]

    assert [message and message.key for message in found] == [str(number) for number in range(len(values))]
    assert [message and message.content and message.content.read() for message in found] == values


def test_a_batch_can_be_entered_in_its_middle(kafka: Kafka, make: MakeChannel, channel_id: str) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=200)
    for number in range(4):
        producer.send(f"{channel_id}_models_to_clients", b"x", key=b"%d" % number)
    producer.close()
    reader = make()

    reader.skip_to_last(Topic.TO_CLIENTS)
    message = reader.read(Topic.TO_CLIENTS, 5)

    assert message is not None
    assert message.key == "3"
    assert reader.read(Topic.TO_CLIENTS, 0) is None


def test_a_message_beyond_the_topics_limit_is_refused(make: MakeChannel, tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(os.urandom(12_000_000))

    with pytest.raises(ChannelError, match=r"a message of 1200\d{4} bytes .*MessageSizeTooLarge"):
        make().publish(Topic.TO_MANAGER, "k", {}, file)


def test_no_model_is_held_in_memory(make: MakeChannel, tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(os.urandom(11_000_000))
    sender, reader = make(), make()
    tracemalloc.start()
    try:
        sender.publish(Topic.TO_MANAGER, "k", {}, file)
        message = reader.read(Topic.TO_MANAGER, 5)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert message is not None
    assert message.content is not None
    assert message.content.size == 11_000_000
    assert peak < 6 * BLOCK


def test_a_topic_that_stays_away_ends_it(kafka: Kafka, tmp_path: Path) -> None:
    channel = KafkaChannel(kafka.bootstrap, "no-such-channel", tmp_path, Security(), 0.2)

    with pytest.raises(ChannelError, match=r"no-such-channel_models_to_manager failed for 0.2 s.*UnknownTopic"):
        channel.publish(Topic.TO_MANAGER, "k", {}, b"")
    channel.close()


def test_a_broker_that_stays_away_ends_it(tmp_path: Path) -> None:
    channel = KafkaChannel("127.0.0.1:1,127.0.0.1:2", "x", tmp_path, Security(), 0.2)

    with pytest.raises(ChannelError, match=r"cannot connect to Kafka at 127\.0\.0\.1:2"):
        channel.publish(Topic.TO_MANAGER, "k", {}, b"")
    channel.close()

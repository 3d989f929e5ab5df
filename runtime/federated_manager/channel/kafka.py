"""The channel over Kafka: produce, fetch and metadata requests, in versions that brokers have since 1.0."""

from __future__ import annotations

import logging
import struct
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from kafka.protocol.consumer import ListOffsetsRequest
from kafka.protocol.metadata import MetadataRequest

from runtime.federated_manager.channel.base import BLOCK, Channel, Message
from runtime.federated_manager.channel.broker import BrokerConnection, BrokerGone, BrokerRefused, Frame, Security
from runtime.federated_manager.channel.record_batch import BatchError, Record, WrittenBatch, read_batches
from runtime.federated_manager.errors import ChannelError
from runtime.federated_manager.messages import Topic

log = logging.getLogger(__name__)

# Keys and versions.
PRODUCE, FETCH = (0, 3), (1, 4)
METADATA_VERSION, LIST_OFFSETS_VERSION = 4, 1
EARLIEST, LATEST = -2, -1
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
OFFSET_OUT_OF_RANGE = 1

Result = TypeVar("Result")


class KafkaChannel(Channel):
    """Three topics of one partition each at brokers `bootstrap` (host:port, separated by commas).

    `spool` is a folder for large received messages; `patience` is in seconds.
    """

    def __init__(self, bootstrap: str, channel_id: str, spool: Path, security: Security, patience: float) -> None:
        self._bootstrap = [_address(part) for part in bootstrap.split(",") if part.strip()]
        self._names = {topic: topic.of(channel_id) for topic in Topic}
        self._spool, self._security = spool, security
        self.patience = patience
        self._connections: dict[tuple[str, int], BrokerConnection] = {}
        self._leaders: dict[Topic, tuple[str, int]] = {}
        self._positions: dict[Topic, int] = {}
        self._waiting: dict[Topic, deque[Message]] = {topic: deque() for topic in Topic}
        self._delay = 0.0
        self._failing_since: float | None = None

    def publish(self, topic: Topic, key: str, headers: Mapping[str, str], value: bytes | Path | None) -> None:
        """Append a message, acknowledged by all replicas in sync; after an unknown outcome it is sent again."""
        batch = WrittenBatch(key.encode(), headers, value)
        self._persist(lambda: self._produce(topic, batch), f"publishing to {self._names[topic]}")

    def read(self, topic: Topic, wait: float) -> Message | None:
        """Return the next message; an unreachable broker counts as no message until `patience` is over."""
        waiting = self._waiting[topic]
        if not waiting:
            try:
                waiting.extend(self._fetch(topic, wait))
                self._failing_since, self._delay = None, 0.0
            except (BrokerGone, BrokerRefused, BatchError) as error:
                self._bear(error, f"reading {self._names[topic]}", wait)
        return waiting.popleft() if waiting else None

    def skip_to_last(self, topic: Topic) -> bool:
        """Find the end of the topic, and go to the last message."""

        def find() -> tuple[int, int]:
            return self._offset(topic, EARLIEST), self._offset(topic, LATEST)

        earliest, end = self._persist(find, f"reading {self._names[topic]}")
        self._waiting[topic].clear()
        self._positions[topic] = max(earliest, end - 1)
        return end > earliest

    def close(self) -> None:
        """Close the connections and remove received messages that were not used."""
        for waiting in self._waiting.values():
            while waiting:
                waiting.popleft().discard()
        self._disconnect()

    def _persist(self, attempt: Callable[[], Result], what: str) -> Result:
        self._failing_since, self._delay = None, 0.0
        while True:
            try:
                result = attempt()
            except (BrokerGone, BrokerRefused) as error:
                self._bear(error, what, LONGEST_DELAY)
            else:
                self._failing_since, self._delay = None, 0.0
                return result

    def _bear(self, error: Exception, what: str, longest: float) -> None:
        """Sleep after a transient fault; raise ChannelError for others, and after `patience`."""
        self._disconnect()
        if isinstance(error, BrokerRefused) and not error.retriable and error.code != OFFSET_OUT_OF_RANGE:
            raise ChannelError(f"{what} failed: {error}") from error
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > self.patience:
            raise ChannelError(f"{what} failed for {self.patience:g} s: {error}") from error
        log.warning("%s: %s", what, error)
        self._delay = min(max(self._delay * 2, FIRST_DELAY), LONGEST_DELAY)
        time.sleep(min(self._delay, longest))

    def _produce(self, topic: Topic, batch: WrittenBatch) -> None:
        name = self._names[topic].encode()
        head = (
            struct.pack(">hhi", -1, -1, 30_000)
            + struct.pack(f">ih{len(name)}s", 1, len(name), name)
            + struct.pack(">iii", 1, 0, batch.size)
        )
        frame = self._leader(topic).stream(PRODUCE, head, batch.rows(), size=batch.size)
        frame.unpack("i")
        frame.skip_string()
        _count, _partition, code = frame.unpack("iih")
        frame.read(frame.left)
        if code:
            raise BrokerRefused(code, f"a message of {batch.size} bytes for {self._names[topic]}")

    def _fetch(self, topic: Topic, wait: float) -> list[Message]:
        """Return the batches from the position on; a first batch is complete, however large it is."""
        position = self._positions.get(topic)
        if position is None:
            position = self._offset(topic, EARLIEST)
        name = self._names[topic].encode()
        head = (
            struct.pack(">iiiib", -1, int(wait * 1000), 1, BLOCK, 0)
            + struct.pack(f">ih{len(name)}s", 1, len(name), name)
            + struct.pack(">iiqi", 1, 0, position, BLOCK)
        )
        frame = self._leader(topic).stream(FETCH, head, wait=wait)
        found: list[Message] = []
        try:
            for records, following in read_batches(
                frame.read, self._fetched_length(frame, topic), position, self._spool
            ):
                found += [_message(topic, record) for record in records]
                position = following
        except BaseException:
            for message in found:
                message.discard()
            raise
        self._positions[topic] = position
        return found

    def _fetched_length(self, frame: Frame, topic: Topic) -> int:
        """Read the answer up to its records, the last thing in it; return their length in bytes."""
        frame.unpack("ii")
        frame.skip_string()
        _count, _partition, code, _high, _stable, aborted = frame.unpack("iihqqi")
        if aborted > 0:
            frame.read(16 * aborted)
        (length,) = frame.unpack("i")
        if code:
            frame.read(frame.left)
            if code == OFFSET_OUT_OF_RANGE:
                # The messages are deleted, or the topic was recreated: the next read starts with the oldest.
                self._positions.pop(topic, None)
            raise BrokerRefused(code, self._names[topic])
        return max(int(length), 0)

    def _offset(self, topic: Topic, which: int) -> int:
        wanted: Any = ListOffsetsRequest.ListOffsetsTopic
        request = ListOffsetsRequest(
            replica_id=-1,
            isolation_level=0,
            topics=[
                wanted(
                    name=self._names[topic],
                    partitions=[wanted.ListOffsetsPartition(partition_index=0, timestamp=which)],
                )
            ],
            version=LIST_OFFSETS_VERSION,
        )
        answer = self._leader(topic).call(request).topics[0].partitions[0]
        if answer.error_code:
            raise BrokerRefused(answer.error_code, self._names[topic])
        return int(answer.offset)

    def _leader(self, topic: Topic) -> BrokerConnection:
        if topic not in self._leaders:
            self._find_leaders(topic)
        return self._connect(self._leaders[topic])

    def _find_leaders(self, topic: Topic) -> None:
        request = MetadataRequest(
            topics=[MetadataRequest.MetadataRequestTopic(name=self._names[topic])],
            allow_auto_topic_creation=False,
            version=METADATA_VERSION,
        )
        answer = self._any_broker().call(request)
        found = answer.topics[0]
        partitions = [each for each in found.partitions if each.partition_index == 0]
        code = found.error_code or (partitions[0].error_code if partitions else 3)
        if code:
            raise BrokerRefused(code, self._names[topic])
        brokers = {broker.node_id: (broker.host, broker.port) for broker in answer.brokers}
        self._leaders[topic] = brokers[partitions[0].leader_id]

    def _any_broker(self) -> BrokerConnection:
        """Return a connection to any broker that answers."""
        last = BrokerGone("no broker is configured")
        for address in [*self._connections, *self._bootstrap]:
            try:
                return self._connect(address)
            except BrokerGone as error:
                last = error
        raise last

    def _connect(self, address: tuple[str, int]) -> BrokerConnection:
        if address not in self._connections:
            self._connections[address] = BrokerConnection(*address, self._security)
        return self._connections[address]

    def _disconnect(self) -> None:
        self._leaders.clear()
        while self._connections:
            self._connections.popitem()[1].close()


def _message(topic: Topic, record: Record) -> Message:
    return Message(topic, record.offset, (record.key or b"").decode(errors="replace"), record.headers, record.content)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.strip().rpartition(":")
    return host.strip("[]"), int(port)


def faults_of(bootstrap: str) -> Sequence[str]:
    """Return the faults of a list of brokers."""
    parts = [part.strip() for part in bootstrap.split(",") if part.strip()]
    wrong = [part for part in parts if not part.rpartition(":")[0] or not part.rpartition(":")[2].isdigit()]
    return [f"{part!r} is not of the form host:port" for part in wrong] or (
        [] if parts else ["expected a broker as host:port"]
    )

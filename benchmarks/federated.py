"""Measure what a federated round costs beside its AI engines, next to a bare producer and consumer of the same bytes.

`python -m benchmarks.federated [--clients 2 8] [--sizes 100k 10M 100M] [--rounds 5]`. A round is n models to the server
and one to n clients. The AI engines here take no time: they link a model that lies ready. The reference moves as many
bytes through the same broker with kafka-python, one producer and one consumer in one process, the topic uncompressed.
Needs Java and Kafka's jars (tests/services/kafka.sh).
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from rich.console import Console
from rich.table import Table

from tests.runtime.federated_manager.conftest import kafka_ground
from tests.runtime.federated_manager.processes import Training
from tests.services.kafka import Kafka, make_name

UNITS = {"k": 1000, "M": 1_000_000}
FRAME_LIMIT = 1_000_000_000
# A broker that reads 32 models of 100 MB at once has no memory left for anything else.
BROKER = {"socket.request.max.bytes": "250000000", "queued.max.request.bytes": "600000000"}


def round_seconds(kafka: Kafka, folder: Path, clients: int, size: int, rounds: int) -> tuple[float, float]:
    """Return the median seconds of a round, the first left out, and the largest manager's peak in bytes."""
    ballast = folder / "ballast"
    ballast.write_bytes(os.urandom(size))
    ground = kafka_ground(kafka, size + size // 1000 + 100_000)
    environment = ground.environment | {
        "COMMUNICATION_ADAPTER_MAX_MODEL_SIZE": str(size // 1024 + 100),
        "COMMUNICATION_ADAPTER_MAX_ITERATION_TIME": "600",
        "COMMUNICATION_ADAPTER_START_ITERATION_MESSAGE_TIME_OUT": "600",
    }
    pods = folder / "pods"
    pods.mkdir()
    peak = 0
    with Training(ground.channel_id, pods, environment, rounds, clients) as training:
        names = [f"client-{number}" for number in range(clients)]
        roles = [training.server(ballast=str(ballast)).start(), *training.clients(*names, ballast=str(ballast))]
        while any(role.manager is not None and role.manager.poll() is None for role in roles):
            peak = max([peak, *(_peak_of(role.manager.pid) for role in roles if role.manager is not None)])
            time.sleep(0.5)
        if any(role.wait() for role in roles):
            raise RuntimeError(f"the training failed: {training.failures}")
        times = [
            datetime.fromisoformat(report["at"])
            for report in training.progress
            if report["step"] == "gathering" and report["role"] == "server"
        ]
    seconds = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    return statistics.median(seconds[1:]), peak


def bare_seconds(kafka: Kafka, clients: int, size: int) -> float:
    """Return the seconds in which the usual clients move the bytes of one round."""
    topic = make_name("bare")
    kafka.make_topics({topic: {"max.message.bytes": str(size + 100_000)}})
    value = os.urandom(size)
    limits = {"receive_message_max_bytes": FRAME_LIMIT, "fetch_max_bytes": FRAME_LIMIT}
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=FRAME_LIMIT)
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap, max_partition_fetch_bytes=size + 100_000, **limits)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    started = time.perf_counter()
    for _ in range(clients + 1):
        producer.send(topic, value).get(600)
    received = 0
    while received < 2 * clients:
        received += sum(len(records) for records in consumer.poll(1000).values())
        if received >= clients and consumer.position(partition) > clients:
            # The merged model is consumed once by each client.
            consumer.seek(partition, clients)
    seconds = time.perf_counter() - started
    producer.close()
    consumer.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--clients", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--sizes", nargs="+", default=["100k", "10M", "100M"])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    table = Table("clients", "model", "round", "bare producer and consumer", "ratio", "peak of a manager")
    with Kafka(BROKER) as kafka:
        for text in options.sizes:
            size = int(text[:-1]) * UNITS[text[-1]]
            for clients in options.clients:
                with tempfile.TemporaryDirectory(prefix="orchestrator-bench-") as folder:
                    seconds, peak = round_seconds(kafka, Path(folder), clients, size, options.rounds)
                bare = bare_seconds(kafka, clients, size)
                figures = (f"{seconds:.2f} s", f"{bare:.2f} s", f"{seconds / bare:.2f}", f"{peak / 1e6:.0f} MB")
                table.add_row(str(clients), text, *figures)
                print(clients, text, *figures, flush=True)
    Console().print(table)


def _peak_of(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return max((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), default=0)


if __name__ == "__main__":
    main()

"""Runs of another implementation, recorded (contracts/captures/federated-*.json): ours takes each of its parts.

Our server meets the recorded clients, our clients meet the recorded server, over a real broker: message for message
the same topics, keys, headers and kinds of value, in the same order for each sender.
"""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tests.runtime.federated_manager.conftest import Ground
from tests.runtime.federated_manager.processes import PATIENCE_SECONDS, Role, Training
from tests.runtime.recording import zip_of
from tests.services.kafka import Kafka

pytestmark = pytest.mark.kafka

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"
# Headers of ours that other implementations don't know.
OWN_HEADERS = {"blake3", "failure_reason"}
Start = Callable[..., Training]


@dataclass(frozen=True)
class Said:
    """A message as recordings have it; `value` is "<zip>" for any zip of a model."""

    topic: str
    key: str
    headers: tuple[tuple[str, str], ...]
    value: str | None


def _recording(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CAPTURES / name).read_text())
    return found


def _recorded(recording: dict[str, Any], old_id: str, channel_id: str) -> list[Said]:
    return [
        Said(
            message["topic"].replace(old_id, channel_id),
            message["key"].replace(old_id, channel_id),
            tuple(message["headers"].items()),
            "<zip>" if (message["value"] or "").startswith("<zip") else message["value"],
        )
        for message in recording["messages"]
    ]


class Stage:
    """The topics of a run, with clients of another make."""

    def __init__(self, kafka: Kafka, channel_id: str) -> None:
        self._id = channel_id
        self._producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
        self._consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap)
        topics = ["status", f"{channel_id}_models_to_manager", f"{channel_id}_models_to_clients"]
        self._consumer.assign([TopicPartition(topic, 0) for topic in topics])
        self._consumer.seek_to_beginning()
        self._played: list[Said] = []
        self.heard: list[Said] = []

    def play(self, recorded: list[Said], is_played: Callable[[Said], bool]) -> None:
        """Go through a recording: send what the recorded parts sent, wait for ours to say the rest."""
        awaited: list[Said] = []
        for said in recorded:
            if is_played(said):
                self._send(said)
                continue
            awaited.append(said)
            self._wait_for(len([each for each in awaited if each.key == said.key]), said.key)

    def listen(self) -> None:
        """Hear what has been said and not been heard yet."""
        for records in self._consumer.poll(500).values():
            for record in records:
                key = record.key.decode()
                if not key.startswith(self._id):
                    continue
                headers = tuple((name, value.decode()) for name, value in record.headers if name not in OWN_HEADERS)
                said = Said(record.topic, key, headers, _shown(record.value))
                if said in self._played:
                    self._played.remove(said)
                else:
                    self.heard.append(said)

    def close(self) -> None:
        self._producer.close()
        self._consumer.close()

    def _send(self, said: Said) -> None:
        value = None if said.value is None else said.value.encode()
        if said.value == "<zip>":
            value = zip_of({"weights.txt": "recorded\n"})
        headers = [(name, content.encode()) for name, content in said.headers]
        self._played.append(said)
        self._producer.send(said.topic, value, key=said.key.encode(), headers=headers).get(60)

    def _wait_for(self, count: int, key: str) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while len([said for said in self.heard if said.key == key]) < count:
            assert time.monotonic() < end, f"{key} has said {self.heard} only"
            self.listen()


def _shown(value: bytes | None) -> str | None:
    if value is None:
        return None
    if not zipfile.is_zipfile(io.BytesIO(value)):
        return value.decode()
    with zipfile.ZipFile(io.BytesIO(value)) as archive:
        return "<zip>" if archive.namelist() == ["weights.txt"] else str(archive.namelist())


@pytest.fixture
def stage(kafka: Kafka, ground: Ground) -> Iterator[Stage]:
    made = Stage(kafka, ground.channel_id)
    yield made
    made.close()


def _by_key(said: list[Said]) -> dict[str, list[Said]]:
    return {key: [each for each in said if each.key == key] for key in {each.key for each in said}}


def _engine_calls(role: Role) -> list[dict[str, Any]]:
    """Return what an AI engine was asked for, in the recording's form."""
    return [
        {
            "path": re.sub(r"127\.0\.0\.1:\d+", "HOST", call["path"]),
            "content_type": call["type"],
            "body": call["body"],
        }
        for call in role.calls
    ]


def _recorded_calls(role: str) -> list[dict[str, Any]]:
    return [
        {
            "path": re.sub(r"127\.0\.0\.1:\d+", "HOST", call["path"]),
            "content_type": call["content_type"],
            "body": call["body"],
        }
        for call in _recording("ai-engine-calls.json")[role]
        if call["method"] == "POST"
    ]


def test_our_server_with_recorded_clients(start: Start, stage: Stage, ground: Ground) -> None:
    recorded = _recorded(_recording("federated-success.json"), "ex1", ground.channel_id)
    server = start(rounds=2).server().start()

    stage.play(recorded, lambda said: "SEP///" in said.key)
    code = server.wait()
    stage.listen()

    assert code == 0
    assert stage.heard == [said for said in recorded if said.key == ground.channel_id]
    assert _engine_calls(server) == _recorded_calls("server")
    assert [call["models"] for call in server.calls if "models" in call] == [["model_partner-a", "model_partner-b"]] * 2
    metrics = sorted(file.name for file in (server.folder / "metrics").iterdir())
    assert metrics == ["partner-a.json", "partner-b.json"]


def test_our_clients_with_a_recorded_server(start: Start, stage: Stage, ground: Ground) -> None:
    recorded = _recorded(_recording("federated-success.json"), "ex1", ground.channel_id)
    clients = start(rounds=2).clients("partner-a", "partner-b")

    stage.play(recorded, lambda said: "SEP///" not in said.key)
    codes = [client.wait() for client in clients]
    stage.listen()

    assert codes == [0, 0]
    assert _by_key(stage.heard) == _by_key([said for said in recorded if "SEP///" in said.key])
    for client in clients:
        assert _engine_calls(client) == _recorded_calls("client")
        assert [call["input"] for call in client.calls if "models" in call] == [None, "recorded\n", "recorded\n"]


def test_our_server_when_a_recorded_client_fails(start: Start, stage: Stage, ground: Ground) -> None:
    recorded = _recorded(_recording("federated-failure.json"), "ex2", ground.channel_id)
    training = start(rounds=2)
    server = training.server().start()

    stage.play(recorded, lambda said: "SEP///" in said.key)
    code = server.wait()
    stage.listen()

    assert code == 1
    # The recorded server told nobody; the protocol has a message for it, and ours sends it.
    failure = (("message_name", "start_iteration"), ("iteration_index", "0"))
    told = Said(f"{ground.channel_id}_models_to_clients", ground.channel_id, failure, None)
    assert stage.heard == [*(said for said in recorded if said.key == ground.channel_id), told]
    assert training.failures == ["client partner-b failed in round 0: it gave no reason"]


def test_our_clients_when_one_fails_and_the_recorded_server_is_silent(
    start: Start, stage: Stage, ground: Ground
) -> None:
    recording = _recording("federated-failure.json")
    recorded = _recorded(recording, "ex2", ground.channel_id)
    training = start(rounds=2)
    waits = {"COMMUNICATION_ADAPTER_START_ITERATION_MESSAGE_TIME_OUT": "5"}
    reason = "no data for this patient"
    clients = [
        training.client("partner-a", waits).start(),
        training.client("partner-b", fails={"training_from_scratch": reason}).start(),
    ]

    stage.play(recorded, lambda said: "SEP///" not in said.key)
    codes = [client.wait() for client in clients]
    stage.listen()

    assert codes == [1, 1]
    assert _by_key(stage.heard) == _by_key([said for said in recorded if "SEP///" in said.key])
    assert sorted(training.failures) == [
        f"the AI engine failed: {reason}",
        "the server sent no merged model of round 0 within 5 s",
    ]
    (report, *_others) = [call for call in training.orchestrator.calls if call["method"] == "PATCH"]
    expected = recording["failure_endpoint"][0]
    assert (report["method"], report["path"]) == (expected["method"], expected["path"])

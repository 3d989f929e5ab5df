"""Clients that send what nobody can use: they count as failed, and neither end nor poison a training."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.federated_manager.channel.base import Channel
from runtime.federated_manager.messages import Topic, client_key
from tests.runtime.federated_manager.conftest import Ground, ground, start, voice
from tests.runtime.federated_manager.processes import Training
from tests.runtime.federated_manager.test_training import Start

__all__ = ["ground", "start", "voice"]

over_http = pytest.mark.parametrize("ground", ["http"], indirect=True)
MEAN = {"FEDERATED_AGGREGATION": "weighted_mean"}
CONTINUE = {"FEDERATED_ROUND_POLICY": "continue", "FEDERATED_MINIMUM_CLIENTS": "2"}
_UNUSABLE: dict[str, dict[str, Any]] = {
    "no-samples": {"npz": [9.0], "samples": 0},
    "too-many-samples": {"npz": [9.0], "samples": 10**400},
    "other-shape": {"npz": [9.0, 9.0], "samples": 1},
    "no-arrays": {},
    "not-a-number": {"npz": [float("nan")], "samples": 1},
    "infinite": {"npz": [float("-inf")], "samples": 1},
}


def _failed(training: Training) -> dict[str, str]:
    """Return whom the server told as failed, over all rounds."""
    told = [report["clients"]["failed"] for report in training.progress if report.get("clients")]
    return {client: reason for failed in told for client, reason in failed.items()}


def _merged(folder: Path) -> list[float]:
    with np.load(folder / "output" / "model.npz") as archive:
        return list(archive["w"])


@over_http
def test_models_that_cannot_be_used_are_left_out(start: Start) -> None:
    training = start(rounds=1, clients=2 + len(_UNUSABLE), **CONTINUE, **MEAN)
    server = training.server().start()
    sound = [training.client(name, npz=[value], samples=1).start() for name, value in (("a", 1.0), ("b", 2.0))]
    for name, model in _UNUSABLE.items():
        training.client(name, **model).start()

    assert [role.wait() for role in (server, *sound)] == [0, 0, 0]

    assert _merged(server.folder) == [1.5]
    assert set(_failed(training)) == set(_UNUSABLE)
    assert training.failures == []


@over_http
def test_one_unusable_model_fails_strict_training(start: Start) -> None:
    training = start(rounds=1, clients=2, **MEAN)
    roles = [training.server().start(), training.client("a", npz=[1.0]).start()]
    roles.append(training.client("b", npz=[float("nan")]).start())

    assert [role.wait() for role in roles] == [1, 1, 1]

    why = "client b failed in round 0: array 'w' of its model holds values that are not finite"
    assert why in training.failures


@over_http
def test_clients_the_ai_engine_names_are_left_out(start: Start) -> None:
    training = start(rounds=1, clients=3, **CONTINUE)
    server = training.server(unmergeable={"c": "was trained on no row"}).start()
    clients = training.clients("a", "b", "c")

    assert [role.wait() for role in (server, *clients)] == [0, 0, 0, 0]

    assert (server.folder / "output" / "weights.txt").read_text() == "merged(a,b)\n"
    assert _failed(training) == {"c": "was trained on no row"}


@over_http
def test_reasons_of_any_length_and_script_arrive(start: Start) -> None:
    reasons = {
        "emoji": "\U0001f600" * 1000,
        "kanji": "\u5931" * 1000,
        "quotes": '"\\' * 1000,
        "surrogates": "\ud800\0\x1b" * 1000,
        "lines": "a\r\nb\n" * 10_000,
    }
    training = start(rounds=1, clients=2 + len(reasons), **CONTINUE)
    server = training.server({"COMMUNICATION_ADAPTER_MAX_ITERATION_TIME": "600"}).start()
    sound = training.clients("a", "b")
    broken = [training.client(name, fails={"training_from_scratch": text}).start() for name, text in reasons.items()]

    # A failure that is told to nobody would have the round wait for its 600 s, longer than the test has patience.
    assert [role.wait() for role in (server, *sound, *broken)] == [0, 0, 0] + [1] * len(reasons)

    failed = _failed(training)
    assert set(failed) == set(reasons)
    assert failed["emoji"].startswith("the AI engine failed: \U0001f600\U0001f600")
    assert failed["kanji"].startswith("the AI engine failed: \u5931\u5931")


def _archive(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return path


@over_http
def test_messages_made_up_by_hand_end_nothing(start: Start, ground: Ground, voice: Channel, tmp_path: Path) -> None:
    training = start(rounds=1, clients=4, **CONTINUE)
    server, sound = training.server().start(), training.clients("a", "b")
    ended = {"message_name": "ended_iteration", "iteration_index": "0"}
    ready = {"message_name": "client_initialization"}
    huge = tmp_path / "huge"
    huge.write_bytes(b"true" * (5 * 1024 * 1024))

    def say(topic: Topic, client: str, headers: dict[str, str], value: bytes | Path) -> None:
        voice.publish(topic, client_key(ground.channel_id, client), headers, value)

    say(Topic.STATUS, "c", ready, huge)
    say(Topic.STATUS, "\U0001f600" * 200, ready, b"true")
    say(Topic.TO_MANAGER, "\U0001f600" * 200, ended, _archive(tmp_path / "1.zip", "weights.txt"))
    say(Topic.TO_MANAGER, "c", ended, _archive(tmp_path / "2.zip", "n" * 300))
    say(Topic.TO_MANAGER, "d", ended, _archive(tmp_path / "3.zip", "folder", "folder/file"))

    assert [role.wait() for role in (server, *sound)] == [0, 0, 0]

    assert set(_failed(training)) == {"c", "d"}


@over_http
def test_metrics_that_are_not_finite_keep_the_model(start: Start) -> None:
    training = start(rounds=1, clients=2)
    roles = [training.server().start(), *training.clients("a", "b", metrics=float("nan"))]

    assert [role.wait() for role in roles] == [0, 0, 0]

    evaluated = [report for report in training.progress if report["step"] == "client evaluated"]
    assert [report["metrics"]["evaluation_metrics"] for report in evaluated] == [[{"name": "auc", "value": None}]] * 2

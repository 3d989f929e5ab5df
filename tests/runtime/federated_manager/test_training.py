"""Trainings with real processes: how they end when all goes well, and when something doesn't."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from runtime.federated_manager.channel.base import Channel
from runtime.federated_manager.messages import Topic, client_key
from tests.runtime.federated_manager.conftest import Ground, over_both
from tests.runtime.federated_manager.processes import Role, Training
from tests.runtime.recording import zip_of

Start = Callable[..., Training]
CONTINUE = {"FEDERATED_ROUND_POLICY": "continue", "FEDERATED_MINIMUM_CLIENTS": "1"}


def _end(roles: list[Role]) -> list[int]:
    return [role.wait() for role in roles]


def _merged(server: Role) -> str:
    return (server.folder / "output" / "weights.txt").read_text()


def _use_cases(role: Role) -> list[str]:
    return [call["path"].partition("use_case=")[2].partition("&")[0] or call["path"] for call in role.calls]


@over_both
def test_rounds_then_evaluation(start: Start) -> None:
    training = start(rounds=2, clients=2)
    roles = [training.server().start(), *training.clients("a", "b")]

    codes = _end(roles)

    assert codes == [0, 0, 0]
    server, client = roles[0], roles[1]
    assert _use_cases(server) == ["merging_models", "merging_models", "/api/end"]
    assert [call.get("models") for call in server.calls][:2] == [["model_a", "model_b"]] * 2
    assert _use_cases(client) == [
        "training_from_scratch",
        "training_from_pretrained_model",
        "evaluating_from_pretrained_model",
        "/api/end",
    ]
    assert client.calls[1]["input"] == client.calls[2]["input"] == "merged(a,b)\n"
    found = {file.name: json.loads(file.read_text()) for file in (server.folder / "metrics").iterdir()}
    metrics = {"evaluation_metrics": [{"name": "auc", "value": 0.9}]}
    assert found == {"a.json": metrics, "b.json": metrics}
    assert training.failures == []
    assert not list(server.folder.glob(".federated-*"))


@over_both
def test_progress_is_told(start: Start) -> None:
    training = start(rounds=1, clients=2)

    _end([training.server().start(), *training.clients("a", "b")])

    told = [(report["step"], report["round"]) for report in training.progress if report["role"] == "server"]
    assert (
        told[-8:]
        == [
            ("merging", 0),
            ("merged", 0),
            ("gathering", 1),
            *[("client evaluated", 1), ("client answered", 1)] * 2,
            ("evaluated", 1),
            ("ended", 1),
        ][-8:]
    )
    assert told.count(("client answered", 0)) == 2
    (last,) = [report for report in training.progress if (report["step"], report["role"]) == ("evaluated", "server")]
    assert last["clients"]["answered"] == ["a", "b"]
    assert last["bytes_received"] > last["bytes_sent"] > 0
    evaluated = [report for report in training.progress if report["step"] == "client evaluated"]
    assert {report["of"] for report in evaluated} == {"a", "b"}
    assert evaluated[0]["metrics"]["evaluation_metrics"][0]["name"] == "auc"


def test_progress_that_nobody_takes_is_no_failure(start: Start) -> None:
    training = start(rounds=1, clients=1, FEDERATED_PROGRESS_ENDPOINT="http://127.0.0.1:1/")

    assert _end([training.server().start(), *training.clients("a")]) == [0, 0]


@over_both
def test_a_failure_reaches_everybody_with_its_reason(start: Start) -> None:
    training = start()
    reason = "no data for this patient"
    # Long: the other one is still training when it's told.
    roles = [
        training.server().start(),
        training.client("a", seconds={"training_from_scratch": 50}).start(),
        training.client("b", fails={"training_from_scratch": reason}).start(),
    ]

    codes = _end(roles)

    assert codes == [1, 1, 1]
    # In any order: who fails tells the others first.
    assert set(training.failures) == {
        f"the AI engine failed: {reason}",
        f"client b failed in round 0: the AI engine failed: {reason}",
        f"the training has failed: client b failed in round 0: the AI engine failed: {reason}",
    }
    for role in roles:
        assert role.engine is not None
        assert role.engine.wait(60) == 0
    assert reason in (roles[2].folder / "error_message.txt").read_text()


def test_an_ai_engine_that_is_never_ready_fails_the_training(start: Start) -> None:
    training = start()
    nowhere = {"CLIENT_HOST": "127.0.0.1:1", "MAX_INITIALIZATION_TIME": "1"}
    server = training.server(
        {f"AI_ENGINE_LINKAGE_ADAPTER_{name}": value for name, value in nowhere.items()}, host="127.0.0.1:0"
    )
    client = training.client("a")

    assert _end([server.start(), client.start()]) == [1, 1]

    told = "the AI engine was not ready within 1 s (no answer): it must answer GET http://127.0.0.1:1/api/ping with 200"
    assert told in training.failures
    assert "the server failed before it was ready" in training.failures


def test_a_client_that_never_comes_fails_the_others_in_time(start: Start) -> None:
    training = start()
    roles = [
        training.server({"COMMUNICATION_ADAPTER_MAX_INITIALIZATION_TIME": "8"}).start(),
        *training.clients("a"),
    ]

    assert _end(roles) == [1, 1]

    reason = "1 of 2 clients were ready within 8 s: a"
    assert set(training.failures) == {reason, f"the training has failed: {reason}"}


def test_a_client_silent_for_ever_fails_the_round(start: Start) -> None:
    training = start()
    server = training.server({"COMMUNICATION_ADAPTER_MAX_ITERATION_TIME": "5"}).start()
    silent = training.client("b", seconds={"training_from_scratch": 1000}).start()
    roles = [server, *training.clients("a")]
    silent.wait_for_line("the AI engine runs")
    silent.kill()

    assert _end(roles) == [1, 1]

    reason = "1 of 2 clients answered in round 0 within 5 s; no answer of: b"
    assert set(training.failures) == {reason, f"the training has failed: {reason}"}


def test_a_quorum_goes_on_without_a_silent_client(start: Start) -> None:
    training = start(rounds=3)
    server = training.server(CONTINUE | {"COMMUNICATION_ADAPTER_MAX_ITERATION_TIME": "6"}).start()
    silent = training.client("b", seconds={"training_from_pretrained_model": 1000}).start()
    roles = [server, *training.clients("a")]
    silent.wait_for_line("the AI engine runs training_from_pretrained_model")
    silent.kill()

    assert _end(roles) == [0, 0]

    assert [call["models"] for call in server.calls if "models" in call] == [
        ["model_a", "model_b"],
        ["model_a"],
        ["model_a"],
    ]
    assert [file.name for file in (server.folder / "metrics").iterdir()] == ["a.json"]


def test_a_client_late_by_a_round_changes_nothing_and_comes_back(start: Start) -> None:
    training = start(rounds=4)
    server = training.server(CONTINUE | {"COMMUNICATION_ADAPTER_MAX_ITERATION_TIME": "8"}).start()
    late = training.client("b", seconds={"training_from_scratch": 11}).start()
    # Slow enough for the other one to catch up before the end.
    roles = [server, late, *training.clients("a", seconds={"training_from_pretrained_model": 4})]

    assert _end(roles) == [0, 0, 0]

    merged = [call["models"] for call in server.calls if "models" in call]
    assert merged[0] == ["model_a"]
    assert merged[-1] == ["model_a", "model_b"]
    assert "has gone on to round" in late.log


def test_an_answer_of_an_earlier_round_is_not_taken_for_this_one(
    start: Start, ground: Ground, voice: Channel, tmp_path: Path
) -> None:
    training = start(rounds=2)
    roles = [training.server().start(), *training.clients("a", seconds={"training_from_pretrained_model": 3})]
    for number, text in enumerate(["first", "too late"]):
        model = tmp_path / f"{number}.zip"
        model.write_bytes(zip_of({"weights.txt": f"{text}\n"}))
        _say(voice, ground, "b", 0, model)
        if number == 0:
            roles[0].wait_for_line('"step": "merged"')
    model.write_bytes(zip_of({"weights.txt": "second\n"}))
    _say(voice, ground, "b", 1, model)
    model.write_bytes(zip_of({"weights.txt": "repeated\n"}))
    _say(voice, ground, "b", 1, model)
    roles[0].wait_for_line('"step": "merged", "round": 1')
    _say(voice, ground, "b", 2, b"{}")

    assert _end(roles) == [0, 0]

    assert _merged(roles[0]) == "merged(a,second)\n"
    assert "ignored an answer of client b for round 0: late" in roles[0].log
    assert "ignored an answer of client b for round 1: repeated" in roles[0].log


def test_a_client_that_is_there_twice_counts_once(start: Start) -> None:
    training = start(rounds=2)
    roles = [
        training.server().start(),
        *training.clients("a"),
        training.client("b").start(),
        training.client("b", twin="-twin").start(),
    ]

    assert _end(roles) == [0, 0, 0, 0]

    assert [call["models"] for call in roles[0].calls if "models" in call] == [["model_a", "model_b"]] * 2
    assert roles[0].log.count('"step": "client answered", "round": 0') == 2


def test_a_stranger_changes_nothing(start: Start, ground: Ground, voice: Channel, tmp_path: Path) -> None:
    training = start(rounds=1)
    roles = [training.server().start(), *training.clients("a", "b", seconds={"training_from_scratch": 3})]
    roles[0].wait_for_line('"step": "client ready"', 2)
    model = tmp_path / "model.zip"
    model.write_bytes(zip_of({"weights.txt": "stranger\n"}))
    for name in ("c", "../../a"):
        _say(voice, ground, name, 0, model)

    assert _end(roles) == [0, 0, 0]

    assert _merged(roles[0]) == "merged(a,b)\n"
    assert roles[0].log.count(": stranger") == 2


@over_both
def test_a_client_killed_and_restarted_takes_up_its_round(start: Start) -> None:
    training = start(rounds=3)
    server, other = training.server().start(), training.clients("a")[0]
    client = training.client("b", seconds={"training_from_pretrained_model": 4}).start()
    client.wait_for_line("the AI engine runs training_from_pretrained_model")
    client.kill()
    # A new pod: nothing of the old one's folders is left.
    before = client.calls
    shutil.rmtree(client.folder)
    client.engine_options = {}
    client.start()

    assert _end([server, other, client]) == [0, 0, 0]

    assert [call["input"] for call in before] == [None, "merged(a,b)\n"]
    assert _use_cases(client) == [
        "training_from_pretrained_model",
        "training_from_pretrained_model",
        "evaluating_from_pretrained_model",
        "/api/end",
    ]


def test_a_client_restarted_after_it_sent_its_model_trains_no_second_time(start: Start) -> None:
    training = start(rounds=1)
    client = training.client("b").start()
    server, other = training.server().start(), training.clients("a", seconds={"training_from_scratch": 6})[0]
    client.wait_for_line('"step": "sent"')
    client.kill(with_engine=False)
    client.start()

    assert _end([server, other, client]) == [0, 0, 0]

    assert _use_cases(client) == ["training_from_scratch", "evaluating_from_pretrained_model", "/api/end"]
    assert "ignored an answer of client b for round 0" in server.log


@over_both
def test_a_server_killed_and_restarted_takes_up_its_round(start: Start) -> None:
    training = start(rounds=3)
    server = training.server().start()
    clients = training.clients("a", "b", seconds={"training_from_pretrained_model": 3})
    server.wait_for_line('"step": "merged", "round": 0')
    for client in clients:
        client.wait_for_line("the AI engine runs training_from_pretrained_model")
    server.kill()
    shutil.rmtree(server.folder)
    server.start()

    assert _end([server, *clients]) == [0, 0, 0]

    assert _use_cases(server) == ["merging_models", "merging_models", "/api/end"]
    assert sorted(file.name for file in (server.folder / "metrics").iterdir()) == ["a.json", "b.json"]


def test_a_server_restarted_after_its_failure_fails_at_once(start: Start) -> None:
    training = start(rounds=1)
    roles = [training.server().start(), *training.clients("a", "b", fails={"training_from_scratch": "broken"})]
    assert _end(roles) == [1, 1, 1]

    assert roles[0].start().wait() == 1

    assert "the training had already failed: client" in training.failures[-1]


def test_a_role_that_is_stopped_tells_nobody_that_it_failed(start: Start) -> None:
    training = start(rounds=1)
    server, other = training.server().start(), training.clients("a")[0]
    client = training.client("b", seconds={"training_from_scratch": 1000}).start()
    client.wait_for_line("the AI engine runs")

    code = client.terminate()
    client.kill()
    client.engine_options = {}
    client.start()

    assert code == 1
    assert _end([server, other, client]) == [0, 0, 0]
    assert training.failures == []


def test_a_truncated_model_fails_the_round(start: Start, ground: Ground, voice: Channel, tmp_path: Path) -> None:
    training = start(rounds=1)
    roles = [training.server().start(), *training.clients("a")]
    model = tmp_path / "model.zip"
    model.write_bytes(zip_of({"weights.txt": "x" * 5000})[:-200])
    _say(voice, ground, "b", 0, model)

    assert _end(roles) == [1, 1]

    # In any order: who fails tells the others first.
    why = "client b failed in round 0: the model is not valid"
    assert sorted(said.partition(why)[0] for said in training.failures) == ["", "the training has failed: "]


def test_a_model_that_changed_on_its_way_fails_the_round(
    start: Start, ground: Ground, voice: Channel, tmp_path: Path
) -> None:
    training = start(rounds=1)
    roles = [training.server().start(), *training.clients("a")]
    model = tmp_path / "model.zip"
    model.write_bytes(zip_of({"weights.txt": "x\n"}))
    _say(voice, ground, "b", 0, model, sha256="0" * 64)

    assert _end(roles) == [1, 1]

    assert "its SHA-256 differs" in training.failures[0]


def test_a_corrupt_merged_model_fails_the_client_with_the_reason(ground: Ground, start: Start, voice: Channel) -> None:
    training = start(rounds=1, clients=1)
    headers = {"message_name": "manager_initialization"}
    voice.publish(Topic.STATUS, ground.channel_id, headers, b"true")
    client = training.clients("a")[0]
    client.wait_for_line('"step": "sent"')
    headers = {"message_name": "start_iteration", "iteration_index": "0"}
    voice.publish(Topic.TO_CLIENTS, ground.channel_id, headers, b"no zip at all")

    assert client.wait() == 1

    sent = [voice.read(Topic.TO_MANAGER, 10) for _ in range(2)]
    assert sent[1] is not None
    assert sent[1].content is None
    assert sent[1].headers["failure_reason"].startswith("the merged model of round 0 cannot be used: the model is not")
    assert training.failures == [sent[1].headers["failure_reason"]]


def test_a_model_beyond_the_limit_is_refused_before_it_is_sent(start: Start) -> None:
    training = start(rounds=1, clients=1, COMMUNICATION_ADAPTER_MAX_MODEL_SIZE="100")
    roles = [training.server().start(), *training.clients("a", size=102_400)]

    assert _end(roles) == [1, 1]

    assert "bytes as a zip; at most 102400 are allowed" in training.failures[0]


def _say(voice: Channel, ground: Ground, client: str, number: int, value: bytes | Path, **more: str) -> None:
    headers = {"message_name": "ended_iteration", "iteration_index": str(number)} | more
    voice.publish(Topic.TO_MANAGER, client_key(ground.channel_id, client), headers, value)

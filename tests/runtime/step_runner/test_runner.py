"""The step runner as a process."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import plain_message
from tests.runtime.recording import Answer, RecordingServer, json_answer

ROOT = Path(__file__).parents[3]


def _start(tmp_path: Path, *argv: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "runtime.step_runner", *argv],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "STEP_RUNNER_FIRST_DELAY": "0.01",
            "STEP_RUNNER_CALL_ATTEMPTS": "3",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(tmp_path: Path, *argv: str, **environment: str) -> tuple[int, str]:
    process = _start(tmp_path, *argv, **environment)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def _json(*actions: dict[str, Any]) -> str:
    return json.dumps({"actions": actions})


def _running(server: RecordingServer, path: str = "/running/") -> dict[str, Any]:
    return {"name": "update_to_running", "update_status_url": server.url + path}


def test_a_step_that_succeeds(server: RecordingServer, tmp_path: Path) -> None:
    server.answer("PATCH", "/running/", json_answer({}))

    code, output = _run(
        tmp_path,
        _json(_running(server)).replace("}]", ",},]"),
        "--failure-endpoint",
        f"{server.url}/failed/",
        ORCHESTRATOR_CALLBACK_TOKEN="tok",
    )

    assert code == 0, output
    assert server.of("PATCH") == ["/running/"]
    assert server.headers[0]["Authorization"] == "Bearer tok"
    assert "action 1 of 1: update_to_running done" in output
    assert "tok\n" not in output
    assert not (tmp_path / "error_message.txt").exists()


def test_arguments_that_refer_to_long_parameters_fetch_them(server: RecordingServer, tmp_path: Path) -> None:
    ids = {"data-partner-1": [f"004-{number:06}" for number in range(100_000)]}
    (tmp_path / "model.bin").write_bytes(b"weights")
    server.answer("GET", "/parameters/?name=execution_dataPartnerPatients", json_answer({"value": ids}))
    server.answer("POST", "/models/", json_answer({"id": 5}, 201))
    server.answer("PATCH", "/done/", json_answer({}))
    action = {
        "name": "update_to_succeeded",
        "update_status_url": f"{server.url}/done/",
        "upload_ai_model": True,
        "ai_model_upload_url": f"{server.url}/models/",
        "ai_model_delete_url": f"{server.url}/models/",
        "ai_model_upload_path": str(tmp_path / "model.bin"),
        "ai_model_upload_metadata": {"data_partners_patients": {"$parameter": "execution_dataPartnerPatients"}},
    }

    code, output = _run(
        tmp_path,
        _json(action),
        ORCHESTRATOR_CALLBACK_TOKEN="tok",
        ORCHESTRATOR_PARAMETERS_URL=f"{server.url}/parameters/",
    )

    assert code == 0, output
    assert server.data_of(1)["data_partners_patients"] == ids


def test_after_a_failure_every_failure_action_runs_then_it_is_reported(server: RecordingServer, tmp_path: Path) -> None:
    server.answer(
        "PATCH", "/running/", json_answer({"title": 'The "state" is wrong', "errors": []}, 400), json_answer({})
    )
    server.answer("PATCH", "/refused/", Answer(500))
    server.answer("PATCH", "/failed/", json_answer({}))

    code, output = _run(
        tmp_path,
        _json(_running(server), _running(server, "/never/")),
        "--failure-endpoint",
        f"{server.url}/failed/",
        "--failure-actions",
        _json(_running(server, "/refused/"), _running(server)),
    )

    assert code == 1
    assert server.of("PATCH") == ["/running/", "/refused/", "/running/", "/failed/"]
    message = server.data_of(-1)["message"]
    assert message.endswith('answered 400, The "state" is wrong')
    assert (tmp_path / "error_message.txt").read_text() == message.replace('"', "")
    assert "failure action update_to_running failed" in output


def test_an_endpoint_that_is_down_does_not_keep_the_message_from_its_file(tmp_path: Path) -> None:
    code, _output = _run(tmp_path, _json({"name": "fly"}), "--failure-endpoint", "http://127.0.0.1:1/failed/")

    assert code == 1
    assert (tmp_path / "error_message.txt").read_text() == "actions[0]: the action fly is not known"


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["not json"],
        ["[" * 100_000],
        ['{"actions": [{"name": "create_directory"}]}'],
        ['{"actions": []}', "--failure-actions", "not json"],
        ['{"actions": []}', "--unknown"],
    ],
    ids=["none", "not json", "nested", "missing field", "failure actions", "unknown option"],
)
def test_malformed_arguments_end_with_1(tmp_path: Path, argv: list[str]) -> None:
    code, output = _run(tmp_path, *argv)

    assert code == 1
    assert "Traceback" not in output
    assert (tmp_path / "error_message.txt").read_text()


def test_malformed_arguments_are_reported_and_nothing_runs(server: RecordingServer, tmp_path: Path) -> None:
    server.answer("PATCH", "/failed/", json_answer({}))

    code, _output = _run(
        tmp_path, _json(_running(server), {"name": "fly"}), "--failure-endpoint", f"{server.url}/failed/"
    )

    assert code == 1
    assert server.of("PATCH") == ["/failed/"]
    assert server.data_of(0) == {"message": "actions[1]: the action 'fly' is not known"}


def test_a_stopped_step_undoes_its_uploads_and_reports(server: RecordingServer, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "f").write_text("x")
    server.answer("POST", "/files/", json_answer({"id": 4}, 201))
    server.answer("DELETE", "/files/4/", Answer(204, b""))
    server.answer("PATCH", "/done/", Answer(503))
    server.answer("PATCH", "/failed/", json_answer({}))
    action = {
        "name": "update_to_succeeded",
        "update_status_url": f"{server.url}/done/",
        "upload_generic_file": True,
        "generic_file_upload_url": f"{server.url}/files/",
        "generic_file_delete_url": f"{server.url}/files/",
        "generic_file_upload_path": "out/*",
    }
    process = _start(
        tmp_path,
        _json(action),
        "--failure-endpoint",
        f"{server.url}/failed/",
        STEP_RUNNER_CALL_ATTEMPTS="1000",
        STEP_RUNNER_LONGEST_DELAY="0.02",
    )
    while "/done/" not in server.of("PATCH"):
        assert process.poll() is None
        time.sleep(0.005)

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert process.returncode == 1
    assert server.of("DELETE") == ["/files/4/"]
    assert server.calls[-1]["path"] == "/failed/"
    assert (tmp_path / "error_message.txt").read_text() == "the step was stopped"


def test_the_log_names_no_value_of_a_patient(server: RecordingServer, tmp_path: Path) -> None:
    entry = {
        "fields_definition": {"breast_cancer": {"visits": {"age": "Age"}}},
        "sheets_definition": {"visits": "Visits"},
        "patients": [{"id": "004-77", "clinical_data": {"breast_cancer": {"visits": {"age": ["secret-61"]}}}}],
    }
    server.answer("GET", "/entry/", json_answer(entry))

    code, output = _run(
        tmp_path,
        _json({"name": "prepare_internal_data", "information_url": f"{server.url}/entry/", "output_path": "data"}),
    )

    assert code == 1
    assert "secret-61" not in output
    assert "004-77" not in output


def test_a_plain_message_can_be_pasted_between_quotes() -> None:
    pasted = plain_message('it\'s "bad" \\ `x`\n  second\x00 line\t')

    assert pasted == "its bad x second line"
    assert json.loads(f'{{"message": "{pasted}"}}')

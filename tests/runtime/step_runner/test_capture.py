"""The step runner makes the calls that an existing one was recorded making."""

import json
from pathlib import Path
from typing import Any

from runtime.calls import Calls
from runtime.step_runner.action import Context
from runtime.step_runner.runner import run_step
from tests.runtime.recording import Answer, RecordingServer, json_answer, zip_of

CAPTURE = Path(__file__).parents[2] / "fixtures" / "captures" / "step-runner.json"
EXECUTION = "/api/executions/7"
PATIENTS = {"p1": ["1", "2"]}


def _actions(url: str, folder: Path) -> list[dict[str, Any]]:
    return [
        {"name": "update_to_running", "update_status_url": f"{url}{EXECUTION}/update_to_running/"},
        {
            "name": "download_user_vars",
            "user_vars_url": f"{url}{EXECUTION}/download_user_vars/?descriptor=main-ai-engine",
            "output_path": f"{folder}/in/user_vars.json",
        },
        {
            "name": "download_external_data",
            "external_data_url": f"{url}{EXECUTION}/download_external_data/",
            "output_path": f"{folder}/in/external_data/",
        },
        {
            "name": "download_ai_model",
            "ai_model_url": f"{url}/api/ai_models/3/download_ai_model/",
            "output_path": f"{folder}/in/ai_model/",
            "download_resume_retries": 4,
        },
        {
            "name": "update_to_succeeded",
            "update_status_url": f"{url}{EXECUTION}/update_to_succeeded/",
            "upload_ai_model": True,
            "ai_model_upload_url": f"{url}/api/ai_models/update_or_create/",
            "ai_model_delete_url": f"{url}/api/ai_models/",
            "ai_model_upload_path": f"{folder}/out/ai_model/*",
            "ai_model_upload_metadata": {
                "ai_engine_version": 1,
                "merge_type": "default",
                "data_partners_patients": PATIENTS,
                "name": "m",
                "description": "d",
            },
            "ai_model_user_vars_path": f"{folder}/in/user_vars.json",
            "upload_evaluation_metrics": True,
            "evaluation_metrics_upload_url": f"{url}/api/evaluation_metrics/update_or_create/",
            "evaluation_metrics_delete_url": f"{url}/api/evaluation_metrics/",
            "evaluation_metrics_upload_path": f"{folder}/out/evaluation_metrics.json",
            "evaluation_metrics_upload_metadata": {"data_partners_patients": PATIENTS},
            "upload_generic_file": True,
            "generic_file_upload_url": f"{url}/api/generic_files/",
            "generic_file_delete_url": f"{url}/api/generic_files/",
            "generic_file_upload_path": f"{folder}/out/generic_file/*",
            "generic_file_upload_metadata": {"name": "g"},
        },
    ]


def test_the_calls_are_those_recorded(server: RecordingServer, calls: Calls, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    server.answer("PATCH", f"{EXECUTION}/update_to_running/", json_answer({}))
    server.answer("PATCH", f"{EXECUTION}/update_to_succeeded/", json_answer({}))
    server.file(f"{EXECUTION}/download_user_vars/?descriptor=main-ai-engine", b'{"epochs": 3}')
    server.file(f"{EXECUTION}/download_external_data/", zip_of({"data.csv": "1,2"}))
    server.file("/api/ai_models/3/download_ai_model/", zip_of({"weights.txt": "w"}))
    server.answer("POST", "/api/ai_models/update_or_create/", json_answer({"id": 8}, 201))
    server.answer(
        "POST",
        "/api/evaluation_metrics/update_or_create/",
        json_answer({"id": 9}, 201),
        json_answer({"id": 10}, 201),
    )
    server.answer("POST", "/api/generic_files/", json_answer({"id": 11}, 201))
    for name in ("ai_model", "generic_file"):
        (tmp_path / "out" / name).mkdir(parents=True)
        (tmp_path / "out" / name / "file.txt").write_text("content")
    metrics = [{"name": "auc", "value": 0.9, "description": "x"}, {"name": "f1", "value": 0.8}]
    (tmp_path / "out" / "evaluation_metrics.json").write_text(json.dumps({"evaluation_metrics": metrics}))

    code = run_step([json.dumps({"actions": _actions(server.url, tmp_path)})], Context(calls))

    assert code == 0
    assert server.calls == json.loads(CAPTURE.read_text())
    assert (tmp_path / "in" / "external_data" / "data.csv").read_text() == "1,2"
    assert [path.name for path in (tmp_path / "in" / "ai_model").iterdir()] == ["weights.txt"]


def test_an_external_file_that_is_no_zip_fails_the_step(
    server: RecordingServer, calls: Calls, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    server.file("/data/", b"not a zip")
    server.answer("PATCH", "/failed/", Answer())
    action = {"name": "download_external_data", "external_data_url": f"{server.url}/data/", "output_path": "data"}

    code = run_step([json.dumps({"actions": [action]}), "--failure-endpoint", f"{server.url}/failed/"], Context(calls))

    assert code == 1
    assert "readable zip" in server.data_of(-1)["message"]
    assert not list((tmp_path / "data").iterdir())

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.calls import Calls
from runtime.errors import RuntimeFault
from runtime.step_runner.action import Action, Context
from runtime.step_runner.arguments import read_actions
from tests.runtime.recording import Answer, RecordingServer, json_answer

KINDS = {"ai_models": "ai_model", "evaluation_metrics": "evaluation_metrics", "generic_files": "generic_file"}
MODELS, METRICS, FILES = (f"/api/{kind}/" for kind in KINDS)
DONE = "/done/"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    for name in ("ai_model", "generic_file"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file.txt").write_text("content")
    (tmp_path / "user_vars.json").write_text("{}")
    _write_metrics(tmp_path / "evaluation_metrics.json", [{"name": "auc", "value": 0.9}, {"name": "f1", "value": 1}])
    return tmp_path


def _write_metrics(path: Path, metrics: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"evaluation_metrics": metrics}))


def _action(server: RecordingServer, output: Path, **changes: Any) -> Action:
    fields: dict[str, Any] = {"name": "update_to_succeeded", "update_status_url": f"{server.url}{DONE}"}
    ends = {"ai_model": "ai_model/*", "evaluation_metrics": "evaluation_metrics.json", "generic_file": "generic_file/*"}
    for resource, kind in KINDS.items():
        fields |= {
            f"upload_{kind}": True,
            f"{kind}_upload_url": f"{server.url}/api/{resource}/",
            f"{kind}_delete_url": f"{server.url}/api/{resource}/",
            f"{kind}_upload_path": f"{output}/{ends[kind]}",
            f"{kind}_upload_metadata": {},
        }
    fields |= {"ai_model_user_vars_path": f"{output}/user_vars.json"} | changes
    return read_actions(json.dumps({"actions": [fields]}))[0]


def _accept_all(server: RecordingServer, status: int = 201) -> None:
    server.answer("POST", MODELS, json_answer({"id": 8}, status))
    server.answer("POST", METRICS, json_answer({"id": 9}, status), json_answer({"id": 10}, status))
    server.answer("POST", FILES, json_answer({"id": 11}, status))
    server.answer("PATCH", DONE, json_answer({}))
    for path in (f"{MODELS}8/", f"{METRICS}9/", f"{METRICS}10/", f"{FILES}11/"):
        server.answer("DELETE", path, Answer(204, b""))


@pytest.mark.parametrize(
    ("refused", "undone"),
    [
        (("POST", MODELS, 0), []),
        (("POST", METRICS, 0), [f"{MODELS}8/"]),
        (("POST", METRICS, 1), [f"{METRICS}9/", f"{MODELS}8/"]),
        (("POST", FILES, 0), [f"{METRICS}10/", f"{METRICS}9/", f"{MODELS}8/"]),
        (("PATCH", DONE, 0), [f"{FILES}11/", f"{METRICS}10/", f"{METRICS}9/", f"{MODELS}8/"]),
    ],
    ids=["model", "first metric", "second metric", "generic file", "status"],
)
def test_a_failure_undoes_what_was_created(
    server: RecordingServer, calls: Calls, output: Path, refused: tuple[str, str, int], undone: list[str]
) -> None:
    _accept_all(server)
    method, path, position = refused
    server._answers[method, path][position] = Answer(403)

    with pytest.raises(RuntimeFault):
        _action(server, output).run(Context(calls))

    assert server.of("DELETE") == undone


def test_undoing_goes_on_when_a_deletion_fails(server: RecordingServer, calls: Calls, output: Path) -> None:
    _accept_all(server)
    server._answers["PATCH", DONE][0] = Answer(400)
    server._answers["DELETE", f"{METRICS}9/"][0] = Answer(403)

    with pytest.raises(RuntimeFault, match="/done/: answered 400"):
        _action(server, output).run(Context(calls))

    assert server.of("DELETE")[-1] == f"{MODELS}8/"


def test_what_was_only_updated_is_not_deleted(server: RecordingServer, calls: Calls, output: Path) -> None:
    _accept_all(server, 200)
    server._answers["PATCH", DONE][0] = Answer(400)

    with pytest.raises(RuntimeFault):
        _action(server, output).run(Context(calls))

    assert server.of("DELETE") == []


def test_a_success_deletes_nothing(server: RecordingServer, calls: Calls, output: Path) -> None:
    _accept_all(server)

    _action(server, output).run(Context(calls))

    assert server.of("DELETE") == []
    assert server.data_of(-1) == {
        "ai_model": {"ai_model": 8},
        "generic_file": {"generic_file": 11},
        "evaluation_metrics": [{"evaluation_metric": 9}, {"evaluation_metric": 10}],
    }


def test_only_what_is_asked_for_is_uploaded(server: RecordingServer, calls: Calls, output: Path) -> None:
    _accept_all(server)

    _action(server, output, upload_ai_model=False, upload_generic_file="false", evaluation_metrics_ai_model="5").run(
        Context(calls)
    )

    assert server.of("POST") == [METRICS, METRICS]
    assert {call["body"]["ai_model"] for call in server.calls[:2]} == {5}
    assert server.data_of(-1) == {"evaluation_metrics": [{"evaluation_metric": 9}, {"evaluation_metric": 10}]}


def test_nothing_to_upload_is_a_bare_status(server: RecordingServer, calls: Calls, output: Path) -> None:
    _accept_all(server)
    nothing = {f"upload_{kind}": False for kind in KINDS.values()}

    _action(server, output, **nothing).run(Context(calls))

    assert server.of("POST") == []
    assert server.data_of(-1) == {}


def test_several_partners_metrics_carry_their_own_patients(server: RecordingServer, calls: Calls, output: Path) -> None:
    _accept_all(server)
    _write_metrics(output / "metrics" / "b.json", [{"name": "auc", "value": 0.5}])
    _write_metrics(
        output / "metrics" / "a.json", [{"name": "auc", "value": 0.7, "data_partners_patients": {"b": ["stolen"]}}]
    )

    _action(
        server,
        output,
        upload_ai_model=False,
        upload_generic_file=False,
        evaluation_metrics_ai_model=5,
        evaluation_metrics_multiple=True,
        evaluation_metrics_upload_path=f"{output}/metrics/",
        evaluation_metrics_patients_info={"a": ["1"], "b": ["2"], "c": ["3"]},
    ).run(Context(calls))

    sent = [(call["body"]["value"], call["body"]["data_partners_patients"]) for call in server.calls[:2]]
    assert sent == [(0.7, {"a": ["1"]}), (0.5, {"b": ["2"]})]


def test_a_partner_without_patients_is_refused_before_anything_is_uploaded(
    server: RecordingServer, calls: Calls, output: Path
) -> None:
    _write_metrics(output / "metrics" / "x.json", [{"name": "auc", "value": 0.5}])
    action = _action(
        server,
        output,
        upload_ai_model=False,
        evaluation_metrics_ai_model=5,
        evaluation_metrics_multiple=True,
        evaluation_metrics_upload_path=f"{output}/metrics/*",
    )

    with pytest.raises(RuntimeFault, match="evaluation_metrics_patients_info"):
        action.run(Context(calls))

    assert server.calls == []


_NAN, _INFINITE = float("nan"), float("-inf")
_UNSOUND = [
    None,
    [{"name": "auc"}],
    [{"value": 1}],
    ["auc"],
    [{"name": "auc", "value": _NAN}],
    [{"name": "auc", "value": _INFINITE}],
    [{"name": "auc", "value": "NaN"}],
    [{"name": "auc", "value": True}],
]


@pytest.mark.parametrize("metrics", _UNSOUND)
def test_unsound_metrics_cost_no_trained_model(
    server: RecordingServer, calls: Calls, output: Path, caplog: pytest.LogCaptureFixture, metrics: Any
) -> None:
    _accept_all(server)
    _write_metrics(output / "evaluation_metrics.json", metrics)

    _action(server, output).run(Context(calls))

    assert server.of("DELETE") == []
    assert server.data_of(-1)["ai_model"] == {"ai_model": 8}
    assert server.data_of(-1)["evaluation_metrics"] == []
    assert "left out: " in caplog.text


@pytest.mark.parametrize("metrics", _UNSOUND)
def test_unsound_metrics_alone_are_a_fault(server: RecordingServer, calls: Calls, output: Path, metrics: Any) -> None:
    _accept_all(server)
    _write_metrics(output / "evaluation_metrics.json", metrics)

    with pytest.raises(RuntimeFault, match=r"no evaluation metric is valid: .*evaluation_metrics"):
        _action(server, output, upload_ai_model=False, evaluation_metrics_ai_model=5).run(Context(calls))


def test_a_metric_that_is_not_finite_is_left_out_and_told(
    server: RecordingServer, calls: Calls, output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _accept_all(server)
    metrics = [{"name": "auc", "value": _NAN}, {"name": "f1", "value": "0.5"}, {"name": "accuracy", "value": 1}]
    _write_metrics(output / "evaluation_metrics.json", metrics)

    _action(server, output).run(Context(calls))

    sent = [(call["body"]["name"], call["body"]["value"]) for call in server.calls if call["path"] == METRICS]
    assert sent == [("f1", 0.5), ("accuracy", 1)]
    assert "evaluation_metrics[0] (auc) must have a finite number" in caplog.text


def test_a_metric_that_the_registry_refuses_costs_no_trained_model(
    server: RecordingServer, calls: Calls, output: Path
) -> None:
    _accept_all(server)
    server._answers["POST", METRICS][0] = Answer(400)

    _action(server, output).run(Context(calls))

    assert server.of("DELETE") == []
    assert server.data_of(-1)["evaluation_metrics"] == [{"evaluation_metric": 10}]


def test_a_partners_file_that_is_no_json_costs_no_trained_model(
    server: RecordingServer, calls: Calls, output: Path
) -> None:
    _accept_all(server)
    _write_metrics(output / "metrics" / "a.json", [{"name": "auc", "value": 0.7}])
    (output / "metrics" / "b.json").write_text("no JSON")

    _action(
        server,
        output,
        evaluation_metrics_multiple=True,
        evaluation_metrics_upload_path=f"{output}/metrics/*",
        evaluation_metrics_patients_info={"a": ["1"], "b": ["2"]},
    ).run(Context(calls))

    assert server.of("DELETE") == []
    assert [call["body"]["value"] for call in server.calls if call["path"] == METRICS] == [0.7]


@pytest.mark.parametrize("body", [b"no json", b"[]", b"{}", b'{"id": "x"}'])
def test_an_answer_without_id_is_a_fault(server: RecordingServer, calls: Calls, output: Path, body: bytes) -> None:
    server.answer("POST", MODELS, Answer(201, body))

    with pytest.raises(RuntimeFault, match="id"):
        _action(server, output).run(Context(calls))


def test_an_output_that_is_not_there_is_a_fault(server: RecordingServer, calls: Calls, output: Path) -> None:
    with pytest.raises(RuntimeFault, match="nothing at"):
        _action(server, output, ai_model_upload_path=f"{output}/nowhere/*").run(Context(calls))


def test_the_fields_that_an_upload_lacks_are_named(server: RecordingServer, output: Path) -> None:
    with pytest.raises(RuntimeFault) as caught:
        _action(server, output, ai_model_delete_url=None, generic_file_upload_url="")

    assert "'ai_model_delete_url' is missing" in str(caught.value)
    assert "'generic_file_upload_url' is missing" in str(caught.value)


def test_metrics_need_a_model(server: RecordingServer, output: Path) -> None:
    with pytest.raises(RuntimeFault, match="'evaluation_metrics_ai_model' is missing"):
        _action(server, output, upload_ai_model=False)

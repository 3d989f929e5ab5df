import json
import logging
from typing import Any

import pytest

from runtime.errors import ArgumentsError
from runtime.step_runner.actions import ACTIONS
from runtime.step_runner.actions.ai_engine import PingAIEngine
from runtime.step_runner.arguments import read_actions, read_command_line, without_trailing_commas

PING = {"name": "ping_ai_engine", "client_host": "h:1", "ping_url": "/p", "max_initialization_time": "60"}


def _read(*entries: Any) -> list[Any]:
    return read_actions(json.dumps({"actions": entries}))


def test_every_action_of_the_contract_is_there() -> None:
    assert sorted(ACTIONS) == [
        "add_data_provider_info",
        "change_api_host_and_port",
        "create_directory",
        "download_ai_model",
        "download_external_data",
        "download_json",
        "download_user_vars",
        "end_ai_engine",
        "ping_ai_engine",
        "prepare_internal_data",
        "run_ai_engine",
        "update_to_failed",
        "update_to_running",
        "update_to_succeeded",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": [1, 2,], }', {"a": [1, 2]}),
        ('{"a": [{"b": 1,\n},\t],}', {"a": [{"b": 1}]}),
        ('{"a": "x,]", "b": ",}"}', {"a": "x,]", "b": ",}"}),
        ('{"a": "say \\",]\\" ,}",}', {"a": 'say ",]" ,}'}),
        ('{"a": "back\\\\",}', {"a": "back\\"}),
    ],
)
def test_trailing_commas_go_but_not_inside_text(text: str, expected: Any) -> None:
    assert json.loads(without_trailing_commas(text)) == expected


def test_numbers_may_be_text() -> None:
    assert _read(PING) == [PingAIEngine("h:1", "/p", 60.0)]


def test_a_raw_line_break_in_text_is_read() -> None:
    text = '{"actions": [{"name": "update_to_failed", "update_status_url": "u", "message": "a\nb"}]}'

    assert read_actions(text)[0].message == "a\nb"  # type: ignore[attr-defined]


def test_an_empty_message_is_a_message() -> None:
    assert _read({"name": "update_to_failed", "update_status_url": "u", "message": ""})


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(ArgumentsError) as caught:
        _read({"name": "fly"}, PING | {"max_initialization_time": "soon"}, {"name": "download_json"}, 3, {})

    assert caught.value.faults == (
        "actions[0]: the action 'fly' is not known",
        "actions[1] (ping_ai_engine): field 'max_initialization_time' must be a number",
        "actions[2] (download_json): field 'json_url' is missing",
        "actions[2] (download_json): field 'output_path' is missing",
        "actions[3]: must be an object with a name",
        "actions[4]: must be an object with a name",
    )


@pytest.mark.parametrize("value", [-1, True, [], "NaN", "inf", {}])
def test_times_that_are_none_are_refused(value: Any) -> None:
    with pytest.raises(ArgumentsError, match="max_initialization_time"):
        _read(PING | {"max_initialization_time": value})


def test_an_unknown_field_is_logged_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        _read(PING | {"ping_uri": "/x"})

    assert "ignored unknown field 'ping_uri' (did you mean 'ping_url'?)" in caplog.text


def test_a_malformed_host_is_refused_before_anything_runs() -> None:
    with pytest.raises(ArgumentsError, match="api_host_and_port"):
        _read(
            {
                "name": "change_api_host_and_port",
                "read_file_path": "a",
                "write_file_path": "b",
                "api_host_and_port": "here",
            }
        )


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"actions": {}}', "null", '{"actions": [1 2]}'])
def test_what_is_not_a_list_of_actions_is_refused(text: str) -> None:
    with pytest.raises(ArgumentsError):
        read_actions(text)


@pytest.mark.parametrize("argv", [[], ["{}", "{}"], ["{}", "--failure-endpoint"], ["{}", "--no-such"]])
def test_a_malformed_command_line_raises(argv: list[str]) -> None:
    with pytest.raises(ArgumentsError):
        read_command_line(argv)

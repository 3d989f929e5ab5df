import json
from pathlib import Path
from typing import Any

import pytest

from runtime.calls import Calls
from runtime.errors import RuntimeFault
from runtime.step_runner.action import Context
from runtime.step_runner.arguments import read_actions


def _run(calls: Calls, **action: Any) -> None:
    read_actions(json.dumps({"actions": [action]}))[0].run(Context(calls))


def test_a_folder_is_created_with_its_parents(calls: Calls, tmp_path: Path) -> None:
    for _twice in range(2):
        _run(calls, name="create_directory", directory_path=f"{tmp_path}/a/b")

    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize(("before", "after"), [(8001, 60755), ("8001", "60755")])
def test_host_and_port_are_replaced_and_the_port_keeps_its_type(
    calls: Calls, tmp_path: Path, before: object, after: object
) -> None:
    (tmp_path / "read.json").write_text(json.dumps({"api_host": "x", "api_port": before, "input_model": "/m"}))

    _run(
        calls,
        name="change_api_host_and_port",
        read_file_path=f"{tmp_path}/read.json",
        write_file_path=f"{tmp_path}/new/platform_vars.json",
        api_host_and_port="127.0.0.1:60755",
    )

    written = json.loads((tmp_path / "new" / "platform_vars.json").read_text())
    assert written == {"api_host": "127.0.0.1", "api_port": after, "input_model": "/m"}


def test_the_data_provider_is_added(calls: Calls, tmp_path: Path) -> None:
    file = tmp_path / "vars.json"
    file.write_text('{"api_port": 1}')

    _run(
        calls,
        name="add_data_provider_info",
        read_file_path=str(file),
        write_file_path=str(file),
        data_provider="partner-a",
    )

    assert json.loads(file.read_text()) == {"api_port": 1, "data_provider": "partner-a"}


@pytest.mark.parametrize("content", [None, "[]", "no json", "\ud800"])
def test_a_file_that_is_no_object_is_a_fault(calls: Calls, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "vars.json").write_bytes(content.encode("utf-8", "surrogatepass"))

    with pytest.raises(RuntimeFault, match=r"vars\.json"):
        _run(
            calls,
            name="add_data_provider_info",
            read_file_path=f"{tmp_path}/vars.json",
            write_file_path=f"{tmp_path}/new.json",
            data_provider="p",
        )

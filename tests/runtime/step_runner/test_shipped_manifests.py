"""The step runner reads the arguments of every shipped manifest, and knows all of their fields."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.step_runner.arguments import read_actions, read_command_line

MANIFESTS = sorted((Path(__file__).parents[3] / "templates" / "manifests").glob("*.yaml"))


def _with_values(text: str) -> str:
    """Fill in parameters as an execution would."""

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name.endswith("PatientsList"):
            return '[{"data_partner": "p", "data_path": ""}]'
        if name.endswith("Patients"):
            return '{"p": ["1"]}'
        return "127.0.0.1:5000" if name.lower().replace("-", "").endswith("apihost") else "1"

    return re.sub(r"{{([^}]*)}}", value, text)


def _containers(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "processor-resource-manager" in str(node.get("image")):
            yield node
        for value in node.values():
            yield from _containers(value)
    elif isinstance(node, list):
        for value in node:
            yield from _containers(value)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_every_action_of_a_shipped_manifest_is_known(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    containers = list(_containers(yaml.safe_load(path.read_text())))

    with caplog.at_level(logging.WARNING):
        for container in containers:
            arguments = read_command_line([_with_values(text) for text in container["args"]])
            assert read_actions(arguments.actions)
            assert not arguments.failure_actions or read_actions(arguments.failure_actions)

    assert containers
    assert caplog.text == ""

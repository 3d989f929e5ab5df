"""The shipped step runner understands what the shipped manifests tell it."""

import json
import re
from pathlib import Path

import pytest
import yaml

from runtime.step_runner.arguments import read_actions, read_command_line
from templates.shipped import shipped_schemas

CAPTURED = json.loads((Path(__file__).parent.parent / "fixtures/captures/workflow-parameters.json").read_text())
JOINT = {
    "container-version-max-iteration-time": "1200",
    "ai-model-download-resume-retries": "4",
    "prm-api-host": "127.0.0.1:50000",
    "plaform-vars-api-host": "127.0.0.1:50001",
}


def filled_in(text, name):
    values = CAPTURED["common"] | CAPTURED.get(name, CAPTURED["inferencing-from-pretrained-model"])

    def value(match):
        reference = match.group(1).removeprefix("workflow.parameters.")
        of_any_engine = next((value for end, value in JOINT.items() if reference.endswith(end)), "7")
        return values.get(reference, of_any_engine)

    return re.sub(r"\{\{([^}]*)\}\}", value, text)


@pytest.mark.parametrize("schema", shipped_schemas(), ids=lambda schema: schema.name)
def test_every_argument_is_read_without_a_fault(schema):
    spec = yaml.safe_load(schema.manifest_yaml)["spec"]
    read = 0
    for template in spec["templates"]:
        grouped = template.get("containerSet", {}).get("containers", [])
        for container in [*template.get("initContainers", []), *grouped, template.get("container", {})]:
            if "processor-resource-manager" not in container.get("image", ""):
                continue
            arguments = read_command_line([filled_in(text, schema.name) for text in container["args"]])
            read += len(read_actions(arguments.actions))
            if arguments.failure_actions:
                assert read_actions(arguments.failure_actions)
    assert read > 5

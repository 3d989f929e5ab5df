from __future__ import annotations

from typing import Any

import pytest

from executions.host_paths import without_empty_paths

PATH = "execution_dataPartnerDataPath"


def spec_with(path: str, **more: Any) -> dict[str, Any]:
    volume = {"name": "data", "hostPath": {"path": path, "type": "Directory"}}
    return {"templates": [{"name": "client", "volumes": [volume]}], **more}


def volume_of(spec: dict[str, Any]) -> dict[str, Any]:
    volume: dict[str, Any] = spec["templates"][0]["volumes"][0]
    return volume


@pytest.mark.parametrize("path", ["{{workflow.parameters.%s}}", "{{ inputs.parameters.%s }}"])
def test_a_partner_without_a_path_gets_an_empty_directory(path: str) -> None:
    spec = spec_with(path % PATH)
    without_empty_paths(spec, {PATH: ""}, partners_have_paths=False)
    assert volume_of(spec) == {"name": "data", "emptyDir": {}}


FROM_WORKFLOW = "{{workflow.parameters." + PATH + "}}"


@pytest.mark.parametrize("path", [FROM_WORKFLOW, f"/data/{FROM_WORKFLOW}", "/d"])
def test_a_path_that_leads_somewhere_stays(path: str) -> None:
    spec = spec_with(path)
    without_empty_paths(spec, {PATH: "/data"}, partners_have_paths=True)
    assert volume_of(spec)["hostPath"]["path"] == path


@pytest.mark.parametrize("have_paths", [True, False])
def test_the_items_of_a_fan_out_are_followed_to_the_template_they_reach(have_paths: bool) -> None:
    spec = spec_with("{{inputs.parameters.path}}")
    call = {
        "name": "client",
        "template": "client",
        "arguments": {"parameters": [{"name": "path", "value": "{{item.data_path}}"}]},
    }
    spec["templates"].append({"name": "main", "dag": {"tasks": [call]}})
    without_empty_paths(spec, {}, partners_have_paths=have_paths)
    assert ("emptyDir" in volume_of(spec)) is not have_paths


def test_arguments_that_lead_in_a_circle_are_left_alone() -> None:
    spec = spec_with("{{inputs.parameters.path}}")
    call = {
        "name": "again",
        "template": "client",
        "arguments": {"parameters": [{"name": "path", "value": "{{inputs.parameters.path}}"}]},
    }
    spec["templates"][0]["steps"] = [[call]]
    without_empty_paths(spec, {}, partners_have_paths=False)
    assert "hostPath" in volume_of(spec)

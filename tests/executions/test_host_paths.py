from __future__ import annotations

from typing import Any

import pytest

from executions.facts import Partner
from executions.host_paths import with_claims, without_empty_paths

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


# Partners' folders as claims

CLAIMS = {
    "hospital-a": {"/srv/images": "hospital-a-images"},
    "hospital-b": {"/data/b": "hospital-b-images"},
    "hospital-c": {"/data/c": "images-of-c"},
}
CLIENT_ARGUMENTS = [
    {"name": "path", "value": "{{item.data_path}}"},
    {"name": "partner", "value": "{{item.data_partner}}"},
]


def partner(name: str, path: str | None) -> Partner:
    return Partner(name, path, (), {})


def fan_out(selector: str = "{{inputs.parameters.partner}}") -> dict[str, Any]:
    """Return a spec whose one template serves every partner of a federated training."""
    spec = spec_with("{{inputs.parameters.path}}")
    spec["templates"][0]["nodeSelector"] = {"dataPartner": selector}
    call = {"name": "client", "template": "client", "arguments": {"parameters": CLIENT_ARGUMENTS}}
    spec["templates"].append({"name": "main", "dag": {"tasks": [call]}})
    return spec


@pytest.mark.parametrize("path", ["/srv/images", "/srv/images/"])
def test_a_partners_folder_becomes_the_claim_that_holds_it(path: str) -> None:
    spec = spec_with(FROM_WORKFLOW)
    with_claims(spec, {PATH: path}, [partner("hospital-a", path)], CLAIMS)
    claim = {"claimName": "hospital-a-images", "readOnly": True}
    assert volume_of(spec) == {"name": "data", "persistentVolumeClaim": claim}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("hospital-a", "/srv"),
        ("hospital-a", "/srv/images/more"),
        ("hospital-b", "/srv/images"),
        ("other", "/srv/images"),
    ],
)
def test_no_other_folder_becomes_one(name: str, path: str) -> None:
    spec = spec_with(FROM_WORKFLOW)
    with_claims(spec, {PATH: path}, [partner(name, path)], CLAIMS)
    assert volume_of(spec)["hostPath"]["path"] == FROM_WORKFLOW


def test_what_is_not_the_partners_path_becomes_no_claim() -> None:
    spec = spec_with("/etc")
    with_claims(spec, {PATH: "/srv/images"}, [partner("hospital-a", "/srv/images")], CLAIMS)
    assert volume_of(spec)["hostPath"]["path"] == "/etc"


def test_the_partners_of_a_fan_out_each_get_their_own_claim() -> None:
    spec = fan_out()
    with_claims(spec, {}, [partner("hospital-a", "/srv/images"), partner("hospital-b", "/data/b")], CLAIMS)
    claim = {"claimName": "{{inputs.parameters.partner}}-images", "readOnly": True}
    assert volume_of(spec) == {"name": "data", "persistentVolumeClaim": claim}


@pytest.mark.parametrize(
    ("selector", "partners"),
    [
        # Names that no one text can stand for.
        ("{{inputs.parameters.partner}}", [("hospital-a", "/srv/images"), ("hospital-c", "/data/c")]),
        # One without a claim.
        ("{{inputs.parameters.partner}}", [("hospital-a", "/srv/images"), ("hospital-b", "/elsewhere")]),
        # A template that is not placed by whose data it reads.
        ("hospital-a", [("hospital-a", "/srv/images"), ("hospital-b", "/data/b")]),
        ("{{inputs.parameters.path}}", [("hospital-a", "/srv/images"), ("hospital-b", "/data/b")]),
    ],
)
def test_a_fan_out_whose_claims_cannot_be_told_stays_as_it_is(selector: str, partners: list[tuple[str, str]]) -> None:
    spec = fan_out(selector)
    with_claims(spec, {}, [partner(*each) for each in partners], CLAIMS)
    assert "hostPath" in volume_of(spec)

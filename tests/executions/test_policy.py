"""What is rendered of the manifests that ship and of those in the field passes the policy of a cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from executions.granting import attached_names, workflow_grant
from executions.host_paths import Claims
from executions.rendering import render
from policy.check import Verdict, judge
from policy.rules import Policy
from tests.executions.flows import FLOWS, PLATFORM
from tests.executions.test_rendering import MANAGERS, SHIPPED
from tests.schemas.samples import OPERATORS

FIELD = yaml.safe_load((Path(__file__).parents[1] / "schemas" / "federated-manifest.yaml").read_text())
CENTRAL = (PLATFORM.central_node_label_key, PLATFORM.central_node_label_value)
CLUSTER = Policy(image_registries=("localhost:5000",), central_node=CENTRAL)


@pytest.fixture(autouse=True)
def folders(settings: Any) -> None:
    settings.DATA_PARTNER_PATHS = {f"data-partner-{number}": [f"/srv/{number}"] for number in (1, 2)}


def verdict(
    manifest: dict[str, Any],
    flow: str,
    policy: Policy,
    *,
    paths: bool,
    folder: str = "/srv",
    claims: Claims | None = None,
) -> Verdict:
    execution = FLOWS[flow]
    if paths:
        partners = [replace(each, system_path=f"{folder}/{each.name[-1]}/data") for each in execution.partners]
        execution = replace(execution, partners=tuple(partners))
    rendering = render(
        manifest=manifest,
        execution=execution,
        platform=PLATFORM,
        name="execution-13-1-abcdef",
        callback_images=["processor-resource-manager", "federated-learning-manager"],
        managers=MANAGERS if execution.federated else None,
        claims=claims,
    )
    grant = workflow_grant(
        execution_id=execution.id,
        partners=[partner.name for partner in execution.partners],
        engines=["dummy"],
        is_federated=execution.federated,
    )
    secrets, config_maps = attached_names(rendering)
    return judge(rendering.manifest, policy, replace(grant, secrets=secrets, config_maps=config_maps))


@pytest.mark.parametrize("paths", [True, False])
@pytest.mark.parametrize("flow", SHIPPED)
def test_every_shipped_workflow_passes(flow: str, paths: bool) -> None:
    found = verdict(SHIPPED[flow], flow, CLUSTER, paths=paths)

    assert found.faults == ()
    assert "localhost:5000/processor-resource-manager:2.0.0" in found.images


@pytest.mark.parametrize("paths", [True, False])
def test_a_federated_workflow_of_the_field_passes(paths: bool) -> None:
    operators = replace(OPERATORS, central_node=CENTRAL)

    assert verdict(FIELD, "training-from-scratch-federated-learning", operators, paths=paths).faults == ()


@pytest.mark.parametrize("granted", [True, False])
@pytest.mark.parametrize("flow", ["training-from-scratch", "training-from-scratch-federated-learning"])
def test_only_the_claims_of_its_own_partners_pass(settings: Any, flow: str, granted: bool) -> None:
    claims = {f"data-partner-{one}": {f"/srv/{one}/data": f"data-partner-{one}-images"} for one in (1, 2)}
    settings.ENGINES = {"argo": {"class": "engines.argo.ArgoEngine"}}
    settings.ENGINE = "argo"
    settings.DATA_PARTNER_CLAIMS = claims if granted else {"data-partner-3": {"/srv/3": "data-partner-3-images"}}

    found = verdict(SHIPPED[flow], flow, CLUSTER, paths=True, claims=claims)

    assert {fault.detail.partition(":")[0] for fault in found.faults} == (
        set() if granted else {"refused by the rule volume-claims"}
    )


@pytest.mark.parametrize("flow", ["training-from-scratch", "training-from-scratch-federated-learning"])
def test_a_path_that_no_operator_listed_does_not_pass(flow: str) -> None:
    found = verdict(SHIPPED[flow], flow, CLUSTER, paths=True, folder="/etc")

    assert {fault.detail.partition(":")[0] for fault in found.faults} == {"refused by the rule host-path"}

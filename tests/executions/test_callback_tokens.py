"""Which token each container gets, in shipped manifests and in those of others."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from executions.callback_tokens import Holder, TokenKeys, holders
from templates.shipped import shipped_schemas
from web.grants import Role

FIELD = yaml.safe_load((Path(__file__).parents[1] / "schemas/federated-manifest.yaml").read_text())
SHIPPED = {schema.name: yaml.safe_load(schema.manifest_yaml) for schema in shipped_schemas()}
FEDERATED = [name for name in SHIPPED if name.endswith("federated-learning")]
PARTNERS = ["data-partner-1", "data-partner-2"]
PARAMETERS = {
    "execution_dataPartnerPatientsList": json.dumps([{"data_partner": name, "data_path": ""} for name in PARTNERS]),
    "platform_centralNodeLabelKey": "role",
    "platform_centralNodeLabelValue": "central",
}
LISTED = "{{inputs.parameters.execution_dataPartnerPatientsList}}"
ITSELF = "client.{{inputs.parameters.data_partner}}"


def tokens(manifest: Any, partners: list[str] = PARTNERS, federated: bool = True) -> TokenKeys:
    parameters = [{"name": name, "value": value} for name, value in PARAMETERS.items()]
    manifest["spec"]["arguments"] = {"parameters": parameters}
    return TokenKeys(manifest["spec"], partners, federated)


def keys(manifest: Any, partners: list[str] = PARTNERS, federated: bool = True) -> dict[str, str]:
    found = tokens(manifest, partners, federated)
    return {template["name"]: found.of(template) for template in manifest["spec"]["templates"]}


def changed(name: str, **fields: Any) -> dict[str, str]:
    """Return the keys of the field's manifest with other fields in one template."""
    manifest = copy.deepcopy(FIELD)
    template = next(each for each in manifest["spec"]["templates"] if each["name"] == name)
    template.update(fields)
    return keys(manifest)


def container(image: str, *args: str) -> dict[str, Any]:
    return {"image": f"registry/{image}:1", "args": list(args)}


CLIENT = container("federated-learning-manager", "client", "id", "{{inputs.parameters.data_partner}}", "3", "training")
RUNNER = container("processor-resource-manager", "{}")


def fan_out(client: dict[str, Any], **task: Any) -> dict[str, Any]:
    """Return a manifest that calls one template for each data partner."""
    loop = {"name": "client", "template": "client", "withParam": LISTED, **task}
    return {
        "spec": {
            "entrypoint": "main",
            "templates": [
                {
                    "name": "main",
                    "inputs": {"parameters": [{"name": "execution_dataPartnerPatientsList"}]},
                    "dag": {"tasks": [loop]},
                },
                {"name": "client", **client},
            ],
        }
    }


def passing(**values: str) -> dict[str, Any]:
    return {"arguments": {"parameters": [{"name": name, "value": value} for name, value in values.items()]}}


def taking(*names: str) -> dict[str, Any]:
    return {"inputs": {"parameters": [{"name": name} for name in names]}}


@pytest.mark.parametrize("manifest", [FIELD, *(SHIPPED[name] for name in FEDERATED)])
def test_each_role_of_a_federated_training_has_a_token_of_its_own(manifest: Any) -> None:
    found = keys(manifest)

    assert (found["server"], found["client"], found["server-finalization"]) == ("server", ITSELF, "main")
    assert found.get("report-failure", found.get("report")) == "main"


@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in FEDERATED])
def test_who_works_for_one_partner_alone_has_one_token(name: str) -> None:
    assert set(keys(SHIPPED[name], ["data-partner-1"], federated=False).values()) == {"main"}


def test_the_partner_is_found_by_the_place_where_it_runs() -> None:
    assert changed("client", container=RUNNER)["client"] == ITSELF


@pytest.mark.parametrize("image", [CLIENT, RUNNER])
def test_the_partner_is_found_by_what_the_calling_step_passes_on(image: Any) -> None:
    client = {**taking("who", "path"), "container": image}
    task = passing(who="{{item.data_partner}}", path="{{item.data_path}}")

    assert keys(fan_out(client, **task))["client"] == "client.{{inputs.parameters.who}}"


def test_the_partner_is_found_through_steps_in_between() -> None:
    manifest = fan_out({**taking("who"), "steps": [[{"name": "train", "template": "train", **passing(its="")}]]},
                       **passing(who="{{item.data_partner}}"))  # fmt: skip
    manifest["spec"]["templates"][1]["steps"][0][0].update(passing(its="{{inputs.parameters.who}}"))
    manifest["spec"]["templates"].append({"name": "train", **taking("its"), "container": RUNNER})

    assert keys(manifest)["train"] == "client.{{inputs.parameters.its}}"


@pytest.mark.parametrize(
    "selector",
    [
        {"nodeSelector": {"dataPartner": "data-partner-2"}},
        {
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {
                                "matchExpressions": [
                                    {"key": "dataPartner", "operator": "In", "values": ["data-partner-2"]}
                                ]
                            }
                        ]
                    }
                }
            }
        },
    ],
)
def test_a_partner_may_be_written_out(selector: Any) -> None:
    client = {"container": RUNNER, **selector}

    assert keys(fan_out(client))["client"] == "client.data-partner-2"


def test_an_inline_template_knows_its_partner_by_its_steps_items() -> None:
    inline = {"container": RUNNER, "nodeSelector": {"dataPartner": "{{item.data_partner}}"}}
    manifest = fan_out({"container": RUNNER}, inline=inline)
    found = tokens(manifest)

    assert found.of(manifest["spec"]["templates"][0]["dag"]["tasks"][0]["inline"]) == "client.{{item.data_partner}}"


@pytest.mark.parametrize(
    "client",
    [
        {"container": RUNNER},
        {"container": CLIENT},
        {"container": container("federated-learning-manager")},
        {"container": container("federated-learning-manager", "{{inputs.parameters.role}}"), **taking("role")},
        {"container": RUNNER, "nodeSelector": {"site": "{{item.site}}"}},
    ],
)
def test_nobodys_client_gets_the_token_that_reaches_least(client: Any) -> None:
    assert keys(fan_out(client))["client"] == "client"


def test_a_client_id_that_only_the_run_tells_is_not_believed() -> None:
    chosen = container("federated-learning-manager", "client", "id", "{{inputs.parameters.who}}")
    manifest = fan_out({**taking("who"), "container": chosen}, **passing(who="{{tasks.a.outputs.parameters.b}}"))

    assert keys(manifest)["client"] == "client"


@pytest.mark.parametrize("loop", [{"withItems": PARTNERS}, {"withSequence": {"count": 2}}])
def test_a_loop_that_may_be_one_over_partners_counts_as_one(loop: Any) -> None:
    assert keys(fan_out({"container": RUNNER}, withParam=None, **loop))["client"] == "client"


def test_what_follows_each_turn_of_a_loop_is_of_the_loop_too() -> None:
    manifest = fan_out({"container": RUNNER}, hooks={"exit": {"template": "after"}})
    manifest["spec"]["templates"].append({"name": "after", "container": RUNNER})

    assert keys(manifest)["after"] == "client"


def test_a_loop_that_an_earlier_step_makes_may_be_one_over_partners() -> None:
    listed = "{{tasks.list.outputs.result}}"

    assert keys(fan_out({"container": RUNNER}, withParam=listed))["client"] == "client"


def test_an_input_by_its_name_alone_is_the_workflows_argument() -> None:
    selector = {"dataPartner": "{{inputs.parameters.centre}}"}
    manifest = fan_out({**taking("centre"), "container": RUNNER, "nodeSelector": selector}, withParam=None)
    tokens(manifest)
    manifest["spec"]["arguments"]["parameters"].append({"name": "centre", "value": "data-partner-2"})
    found = TokenKeys(manifest["spec"], PARTNERS, True)

    assert found.of(manifest["spec"]["templates"][1]) == "client.{{inputs.parameters.centre}}"


def test_templates_that_call_each_other_in_a_circle_come_to_an_end() -> None:
    manifest = fan_out({**taking("who"), "container": RUNNER}, withParam=None, **passing(who="central"))
    again = {"name": "again", "template": "client", **passing(who="{{inputs.parameters.who}}")}
    manifest["spec"]["templates"][1]["steps"] = [[again]]

    assert keys(manifest)["client"] == "main"


def test_a_loop_over_its_own_items_comes_to_an_end() -> None:
    client = {
        **taking("who", "list"),
        "container": RUNNER,
        "nodeSelector": {"dataPartner": "{{inputs.parameters.who}}"},
    }
    manifest = fan_out(client, **passing(who="{{item}}", list="{{item}}"))
    own = {"name": "own", "template": "client", "withParam": "{{inputs.parameters.list}}"}
    manifest["spec"]["templates"][1]["steps"] = [[{**own, **passing(who="{{item}}", list="{{item}}")}]]

    assert keys(manifest)["client"] in ("client", "client.{{inputs.parameters.who}}")


def test_a_loop_over_anything_else_is_none_over_partners() -> None:
    assert keys(fan_out({"container": RUNNER}, withParam=None, withItems=["density", "birads"]))["client"] == "main"


def test_what_is_called_for_partners_and_for_others_gets_the_token_that_reaches_least() -> None:
    client = {**taking("who"), "container": RUNNER, "nodeSelector": {"dataPartner": "{{inputs.parameters.who}}"}}
    manifest = fan_out(client, **passing(who="{{item.data_partner}}"))
    manifest["spec"]["templates"][0]["dag"]["tasks"].append(
        {"name": "else", "template": "client", **passing(who="central")}
    )

    assert keys(manifest)["client"] == "client"


def test_a_central_node_with_a_partners_label_is_no_partner() -> None:
    selector = {"dataPartner": "{{workflow.parameters.platform_centralNodeLabelValue}}"}

    assert changed("server-finalization", nodeSelector=selector)["server-finalization"] == "main"


def test_the_server_is_the_server_wherever_it_runs() -> None:
    assert changed("server", nodeSelector={"dataPartner": "data-partner-1"})["server"] == "server"


def test_defaults_of_all_templates_get_the_token_that_reaches_least() -> None:
    manifest: dict[str, Any] = {"spec": {"templateDefaults": {"container": RUNNER}, "templates": []}}

    assert tokens(manifest).of(manifest["spec"]["templateDefaults"]) == "client"


def test_a_selector_of_its_own_keeps_the_partner_of_the_defaults() -> None:
    client = {"container": RUNNER, **taking("who"), "nodeSelector": {"kubernetes.io/os": "linux"}}
    manifest = fan_out(client, **passing(who="{{item.data_partner}}"))
    manifest["spec"]["templateDefaults"] = {"nodeSelector": {"dataPartner": "data-partner-2"}}

    assert keys(manifest)["client"] == "client.data-partner-2"


def test_several_partners_are_told_apart_outside_federated_trainings_too() -> None:
    client = {"container": RUNNER, **taking("who"), "nodeSelector": {"dataPartner": "{{inputs.parameters.who}}"}}
    manifest = fan_out(client, **passing(who="{{item.data_partner}}"))

    assert keys(manifest, federated=False)["client"] == "main.{{inputs.parameters.who}}"


def rendered_with(*keys: str) -> dict[str, Any]:
    env = [{"valueFrom": {"secretKeyRef": {"name": "x-callback", "key": key}}} for key in keys]
    return {"spec": {"templates": [{"container": {"env": env}}]}}


def test_the_secret_holds_what_the_containers_name_and_no_more() -> None:
    manifest = rendered_with("main", "server", ITSELF, "PASSWORD")

    assert holders(manifest, "x-callback", PARTNERS, True) == {
        "main": Holder(Role.MAIN),
        "server": Holder(Role.SERVER),
        "client.data-partner-1": Holder(Role.CLIENT, "data-partner-1"),
        "client.data-partner-2": Holder(Role.CLIENT, "data-partner-2"),
    }


def test_a_key_of_another_secret_and_a_partner_of_another_execution_get_nothing() -> None:
    assert holders(rendered_with("main", "client.data-partner-3"), "y-callback", PARTNERS, True) == {}
    assert holders(rendered_with("client.data-partner-3"), "x-callback", PARTNERS, True) == {}


def test_who_works_for_one_partner_alone_reads_its_data() -> None:
    assert holders(rendered_with("main"), "x-callback", PARTNERS[:1], False) == {
        "main": Holder(Role.MAIN, "data-partner-1")
    }

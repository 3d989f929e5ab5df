"""What every shipped manifest has to keep to, whatever it does."""

import json
import re

import pytest
import yaml

from runtime.federated_manager.settings import read_command_line, read_settings
from templates.shipped import shipped_schemas

SCHEMAS = shipped_schemas()
CENTRAL = {
    "{{workflow.parameters.platform_centralNodeLabelKey}}": "{{workflow.parameters.platform_centralNodeLabelValue}}"
}
PARTNER = {"dataPartner": "{{workflow.parameters.execution_dataPartner}}"}
ITS_PARTNER = {"dataPartner": "{{inputs.parameters.data_partner}}"}
FEDERATED = [schema for schema in SCHEMAS if schema.document["input_elements"]["federated_learning_configuration"]]
ALONE = [schema for schema in SCHEMAS if schema not in FEDERATED]
# These start anew wherever they were, whatever ended them.
ROLES = {"server", "client"}


@pytest.fixture(params=SCHEMAS, ids=[schema.name for schema in SCHEMAS])
def shipped(request):
    return request.param


@pytest.fixture
def spec(shipped):
    return yaml.safe_load(shipped.manifest_yaml)["spec"]


def pods(spec):
    return [template for template in spec["templates"] if not {"steps", "dag"} & template.keys()]


def containers(template):
    own = [template["container"]] if "container" in template else template["containerSet"]["containers"]
    return [*template.get("initContainers", []), *own]


def step_runner_arguments(spec):
    for template in pods(spec):
        for container in containers(template):
            if "processor-resource-manager" in container["image"]:
                yield container["args"]


def actions_of(text):
    """Read the actions with every parameter filled in by something that is good in and out of quotes."""
    return json.loads(re.sub(r"\{\{[^}]*\}\}", "1", text))["actions"]


def all_actions(spec):
    for arguments in step_runner_arguments(spec):
        yield from actions_of(arguments[0])


def test_every_pod_is_placed_by_what_it_needs(shipped, spec):
    needs_partner = shipped.document["input_elements"]["platform_data"]
    for template in pods(spec):
        works_on_data = needs_partner and "containerSet" in template and template["name"] != "server"
        partner = ITS_PARTNER if shipped in FEDERATED else PARTNER
        assert template["nodeSelector"] == (partner if works_on_data else CENTRAL)


def test_no_pod_asks_for_the_hosts_network(shipped):
    assert "hostNetwork" not in shipped.manifest_yaml


def test_actions_are_json_once_their_parameters_are_filled_in(spec):
    for arguments in step_runner_arguments(spec):
        assert actions_of(arguments[0])
        if "--failure-actions" in arguments:
            assert {action["name"] for action in actions_of(arguments[2])} == {"end_ai_engine"}


def test_results_are_uploaded_as_the_schema_says(shipped, spec):
    (succeeded,) = [action for action in all_actions(spec) if action["name"] == "update_to_succeeded"]

    outputs = shipped.document["output_elements"]

    assert {name: succeeded[f"upload_{name}"] for name in outputs} == outputs
    for name, wanted in outputs.items():
        for field in ("upload_url", "delete_url", "upload_path", "upload_metadata"):
            assert (f"{name}_{field}" in succeeded) is wanted


@pytest.mark.parametrize("shipped", ALONE, ids=[schema.name for schema in ALONE])
def test_every_ai_engine_of_the_schema_is_run_and_ended(shipped, spec):
    engines = shipped.document["ai_elements"]["ai_engines"]
    actions = list(all_actions(spec))
    ran = [action for action in actions if action["name"] == "run_ai_engine"]

    assert [action["use_case"] for action in ran] == [engine["functionalities"][0] for engine in engines]
    assert len([action for action in actions if action["name"] == "end_ai_engine"]) == len(engines)


def test_ai_engines_see_their_platform_vars_where_they_expect_them(spec):
    for template in pods(spec):
        for container in containers(template):
            if "-manager:" not in container["image"]:
                assert "/platform_vars.json" in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_each_pod_brings_the_volumes_that_its_containers_mount(spec):
    # Argo gives a pod the Workflow's volumes only where the containerSet itself mounts them.
    for template in pods(spec):
        mounted = {mount["name"] for container in containers(template) for mount in container.get("volumeMounts", [])}
        assert mounted == {volume["name"] for volume in template.get("volumes", [])}


def test_no_input_artifact_lies_in_a_volume(spec):
    # Argo's init would make the folders above it for its own user alone, and no step runner could read them.
    for template in pods(spec):
        folders = {mount["mountPath"] for each in containers(template) for mount in each.get("volumeMounts", [])}
        for artifact in template.get("inputs", {}).get("artifacts", []):
            assert not [folder for folder in folders if f"{artifact['path']}/".startswith(f"{folder.rstrip('/')}/")]


def test_only_what_has_no_lasting_effect_is_repeated_after_a_failure(spec):
    policies = {
        template["name"]: template["retryStrategy"]["retryPolicy"]
        for template in pods(spec)
        if template["name"] not in ROLES
    }

    assert policies.pop("report-failure") == "Always"
    assert set(policies.values()) == {"OnError"}


def test_a_failure_is_reported_by_the_exit_handler(spec):
    handler = next(template for template in spec["templates"] if template["name"] == spec["onExit"])
    (((step,),),) = [handler["steps"]]
    reporter = next(template for template in spec["templates"] if template["name"] == step["template"])

    assert step["when"] == "{{workflow.status}} != Succeeded"
    assert "{{workflow.outputs.parameters.main-error-message}}" in reporter["container"]["args"][0]
    assert any(
        output["globalName"] == "main-error-message"
        for template in pods(spec)
        for output in template.get("outputs", {}).get("parameters", [])
    )


def test_ended_workflows_are_cleaned_up(spec):
    assert spec["ttlStrategy"] == {"secondsAfterSuccess": 100, "secondsAfterFailure": 1200}
    assert spec["serviceAccountName"] == "argo-workflow"


def test_ai_engines_that_share_a_pod_share_neither_ports_nor_folders():
    (schema,) = [schema for schema in SCHEMAS if schema.name.endswith("-on-one-node")]
    (pod,) = [pod for pod in pods(yaml.safe_load(schema.manifest_yaml)["spec"]) if "containerSet" in pod]
    runner, *engines = pod["containerSet"]["containers"]

    hosts = re.findall(r'"client_host": "([^"]+)",\s+"server_host": "([^"]+)"', runner["args"][0])
    assert len({host for pair in hosts for host in pair}) == 2 * len(engines) == 10
    folders = {mount["subPath"] for engine in engines for mount in engine["volumeMounts"] if "subPath" in mount}
    assert folders == {name for engine in engines for name in (engine["name"], f"{engine['name']}.json")}


def test_both_ways_of_the_pipeline_lay_out_their_results_alike():
    side_by_side, one_pod = (
        next(schema for schema in SCHEMAS if schema.name == f"joint-breast-cancer-mammography{end}")
        for end in ("", "-on-one-node")
    )
    spec = yaml.safe_load(side_by_side.manifest_yaml)["spec"]
    (store,) = [pod for pod in pods(spec) if pod["name"] == "store-results"]
    made = {
        action["directory_path"].rstrip("/")
        for action in all_actions(yaml.safe_load(one_pod.manifest_yaml)["spec"])
        if action["name"] == "create_directory" and action["directory_path"].startswith("/tmp/output_elements/")
    }

    assert {artifact["path"] for artifact in store["inputs"]["artifacts"]} == made
    assert len(made) == 5


@pytest.fixture(params=FEDERATED, ids=[schema.name for schema in FEDERATED])
def federated(request):
    return yaml.safe_load(request.param.manifest_yaml)["spec"]


def role(spec, name):
    (pod,) = [template for template in pods(spec) if template["name"] == name]
    return pod, pod["containerSet"]["containers"][0]


def test_roles_are_started_as_their_manager_reads_them(federated):
    for name in ROLES:
        _pod, manager = role(federated, name)
        line = read_command_line([re.sub(r"\{\{[^}]*\}\}", "2", text) for text in manager["args"]])
        assert line.role == name


def test_a_role_has_all_that_its_manager_needs_but_the_channel(federated):
    channel = {
        f"COMMUNICATION_ADAPTER_{end}": "1"
        for end in ("POLL_TIME_OUT", "MAX_MODEL_SIZE", "MAX_INITIALIZATION_TIME", "MAX_ITERATION_TIME",
                    "INITIALIZATION_MESSAGE_TIME_OUT", "START_ITERATION_MESSAGE_TIME_OUT")
    }  # fmt: skip
    channel["COMMUNICATION_ADAPTER_BOOTSTRAP_SERVERS_CONFIG"] = "broker:9092"
    for name in ROLES:
        _pod, manager = role(federated, name)
        own = {each["name"]: filled(each["value"]) for each in manager["env"]}
        assert read_settings([filled(text) for text in manager["args"]], {**channel, **own})


def filled(text):
    """Fill parameters in with what is good as a number, as a part of an address and of a path."""
    host = text.endswith("ApiHost}}")
    return "127.0.0.1:8001" if host else re.sub(r"\{\{[^}]*\}\}", "2", text)


def test_what_the_server_makes_goes_to_its_finalization(federated):
    tasks = {task["name"]: task for task in federated["templates"][0]["dag"]["tasks"]}
    server, _manager = role(federated, "server")
    (given,) = tasks["server-finalization"]["arguments"]["artifacts"]

    assert tasks["server-finalization"]["dependencies"] == ["server"]
    assert [each["name"] for each in server["outputs"]["artifacts"]] == [given["name"]]
    assert given["from"] == "{{tasks.server.outputs.artifacts.output-elements}}"


def test_there_is_one_client_for_each_partner_and_the_server_says_what_its_failure_means(federated):
    (client,) = [task for task in federated["templates"][0]["dag"]["tasks"] if task["name"] == "client"]

    assert client["withParam"] == "{{inputs.parameters.execution_dataPartnerPatientsList}}"
    assert client["continueOn"] == {"error": True, "failed": True}
    assert "--failure-endpoint" not in role(federated, "client")[1]["args"]

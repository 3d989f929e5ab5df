"""A data partner's path: below the folders that the operator lists for that very partner, and only to be read."""

import json
from dataclasses import replace

import pytest

from executions.services import execution_create, execution_preview
from policy.check import judge
from policy.places import is_below
from policy.rules import Grant, Policy
from runs.models import WorkflowRun
from tests.executions.conftest import (  # noqa: F401
    FEDERATED,
    _settings,
    federated_document,
    make_schema,
    training_document,
    training_files,
)
from web.errors import InvalidInput

pytestmark = pytest.mark.django_db
PATH = "{{workflow.parameters.execution_dataPartnerDataPath}}"
AT = "/data/input_elements/platform_data/data_partners_patients/data-partner-1/system_path"


def manifest(path=PATH, selector=None, **mount):
    """Return the manifest of a training that mounts a path."""
    mounts = [{"name": "data", "mountPath": "/data", **mount}]
    template = {
        "name": "main",
        "nodeSelector": selector or {"dataPartner": "{{workflow.parameters.execution_dataPartner}}"},
        "volumes": [{"name": "data", "hostPath": {"path": path, "type": "Directory"}}],
        "initContainers": [{"name": "first", "image": "busybox", "volumeMounts": mounts}],
        "containerSet": {
            "volumeMounts": mounts,
            "containers": [{"name": "main", "image": "busybox", "volumeMounts": [{**mounts[0], "mountPath": "/more"}]}],
        },
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "spec": {"entrypoint": "main", "templates": [template]},
    }


@pytest.fixture(autouse=True)
def folders(settings):
    settings.DATA_PARTNER_PATHS = {"data-partner-1": ["/srv/one", "/mnt/one/"], "data-partner-2": ["/srv/two"]}


def posted(path, partner="data-partner-1"):
    document = training_document()
    partners = document["input_elements"]["platform_data"]["data_partners_patients"]
    entry = partners.pop("data-partner-1")
    partners[partner] = {**entry, "system_path": path}
    return document


def faults(call, document):
    with pytest.raises(InvalidInput) as caught:
        call(document=document, files=training_files())
    return {fault.pointer: fault.detail for fault in caught.value.faults}


@pytest.mark.parametrize(
    "path",
    ["/", "/etc", "/etc/kubernetes", "/srv", "/srv/two", "/srv/two/x", "/srv/one-more", "/srv/one/../two", "//etc",
     "/srv/one/..", "/srv/one/../../etc", "srv/one", "/proc/self/root", "/SRV/one", " /srv/one"],
)  # fmt: skip
@pytest.mark.parametrize("call", [execution_create, execution_preview])
def test_a_path_of_elsewhere_is_refused_with_its_place(make_schema, call, path):  # noqa: F811
    make_schema(manifest=manifest())

    assert AT in faults(call, posted(path))
    assert not WorkflowRun.objects.exists()


@pytest.mark.parametrize("path", ["/srv/one", "/srv/one/", "/srv/one/a/b", "/mnt/one/x", "/srv//one/./a", "", None])
def test_a_path_below_a_partners_folder_is_taken(make_schema, path):  # noqa: F811
    make_schema(manifest=manifest())

    assert execution_create(document=posted(path), files=training_files()).pk


def test_without_a_table_no_path_is_taken_and_the_setting_named(make_schema, settings):  # noqa: F811
    settings.DATA_PARTNER_PATHS = {}
    make_schema(manifest=manifest())

    assert "DATA_PARTNER_PATHS" in faults(execution_create, posted("/srv/one"))[AT]


def test_over_http_the_answer_points_at_the_path(make_schema, api):  # noqa: F811
    make_schema(manifest=manifest())
    form = {"data": json.dumps(posted("/etc/kubernetes")), **training_files()}

    answer = api.post("/api/executions/", form)

    assert answer.status_code == 400
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [AT]


def mounts_of(workflow):
    [template] = workflow["spec"]["templates"]
    for holder in (*template["initContainers"], template["containerSet"], *template["containerSet"]["containers"]):
        yield from holder["volumeMounts"]


@pytest.mark.parametrize("given", [{}, {"readOnly": False}, {"readOnly": True}])
def test_whatever_a_manifest_says_the_path_is_mounted_to_be_read(make_schema, given):  # noqa: F811
    make_schema(manifest=manifest(**given))

    rendering = execution_preview(document=posted("/srv/one"), files=training_files())

    assert [mount["readOnly"] for mount in mounts_of(rendering.manifest)] == [True, True, True]


# At the submission, by value, whoever rendered it

ONE = Grant(partners={"data-partner-1": ("/srv/one",)})
BOTH = Grant(partners={"data-partner-1": ("/srv/one",), "data-partner-2": ("/srv/two",)})
CLUSTER = Policy(images=("busybox",))


def rules(workflow, grant=ONE, policy=CLUSTER):
    return {fault.detail.split(":")[0] for fault in judge(workflow, policy, grant).faults}


def on(partner):
    return {"dataPartner": partner}


def test_a_workflow_may_mount_its_own_partners_folder():
    assert not rules(manifest("/srv/one/x", on("data-partner-1"), readOnly=True))


@pytest.mark.parametrize(
    "workflow",
    [
        manifest("/etc", on("data-partner-1"), readOnly=True),
        manifest("/srv/two", on("data-partner-2"), readOnly=True),
        manifest("/srv/one", on("data-partner-1")),
        manifest("/srv/one", on("data-partner-1"), readOnly=False),
        manifest("/srv/one", {"nodeType": "central"}, readOnly=True),
        manifest("/srv/one", {"kubernetes.io/os": "linux"}, readOnly=True),
        manifest("{{workflow.name}}", on("data-partner-1"), readOnly=True),
    ],
    ids=["etc", "another's", "to write", "said to write", "the central node's", "any node's", "what nobody knows"],
)
def test_a_submission_may_mount_no_other(workflow):
    assert "refused by the rule host-path" in rules(workflow)


def test_partners_of_one_training_do_not_see_each_others_folders():
    assert not rules(manifest("/srv/two", on("data-partner-2"), readOnly=True), BOTH)
    assert rules(manifest("/srv/one", on("data-partner-2"), readOnly=True), BOTH) == {"refused by the rule host-path"}


def fan(items):
    given = [{"name": "who", "value": "{{item.data_partner}}"}, {"name": "path", "value": "{{item.data_path}}"}]
    step = {
        "name": "a",
        "template": "main",
        "withParam": "{{workflow.parameters.l}}",
        "arguments": {"parameters": given},
    }
    workflow = manifest("{{inputs.parameters.path}}", on("{{inputs.parameters.who}}"), readOnly=True)
    workflow["spec"]["templates"][0]["inputs"] = {"parameters": [{"name": "who"}, {"name": "path"}]}
    workflow["spec"]["templates"].append({"name": "fan", "steps": [[step]]})
    workflow["spec"] |= {"entrypoint": "fan", "arguments": {"parameters": [{"name": "l", "value": json.dumps(items)}]}}
    return workflow


def test_each_item_of_a_fan_out_is_looked_at_as_one():
    right = [{"data_partner": f"data-partner-{n}", "data_path": f"/srv/{word}"} for n, word in ((1, "one"), (2, "two"))]
    crossed = [{**right[0], "data_path": "/srv/two"}, right[1]]

    assert not rules(fan(right), BOTH)
    assert rules(fan(crossed), BOTH) == {"refused by the rule host-path"}


def called(caller):
    """Return a Workflow of data-partner-1 whose pod has no selector and is called by a template that has one."""
    workflow = manifest("/srv/one", readOnly=True)
    del workflow["spec"]["templates"][0]["nodeSelector"]
    calling = {"name": "caller", "nodeSelector": caller, "steps": [[{"name": "a", "template": "main"}]]}
    workflow["spec"]["templates"].append(calling)
    workflow["spec"] |= {"entrypoint": "caller", "nodeSelector": on("data-partner-1")}
    return workflow


def test_a_caller_leads_no_pod_to_another_partner():
    assert not rules(called(on("data-partner-1")), BOTH)
    assert rules(called(on("data-partner-2")), BOTH) == {"refused by the rule host-path"}


def test_one_machine_has_its_partners_folders_wherever_a_pod_is():
    here = replace(CLUSTER, is_one_machine=True)

    assert not rules(manifest("/srv/one", {"nodeType": "central"}, readOnly=True), policy=here)
    assert rules(manifest("/etc", {"nodeType": "central"}, readOnly=True), policy=here)


def test_a_federated_training_is_rendered_within_the_rules(make_schema, settings):  # noqa: F811
    whole = fan([])
    whole["spec"]["arguments"] = {}
    text = json.dumps(whole).replace(
        "{{workflow.parameters.l}}", "{{workflow.parameters.execution_dataPartnerPatientsList}}"
    )
    make_schema("federated", FEDERATED, manifest=json.loads(text) | {"kind": "Workflow"})
    document = federated_document()
    partners = document["input_elements"]["platform_data"]["data_partners_patients"]
    for name, folder in (("data-partner-1", "/srv/one/a"), ("data-partner-2", "/srv/two/b")):
        partners[name]["system_path"] = folder

    rendering = execution_preview(document=document, files=training_files())

    assert json.loads(rendering.parameters["execution_dataPartnerPatientsList"])[0]["data_path"] == "/srv/one/a"


@pytest.mark.parametrize(
    ("path", "root", "is_inside"),
    [
        ("/a", "/a", True), ("/a/b", "/a", True), ("/a/b", "/a/", True), ("/ab", "/a", False), ("/", "/a", False),
        ("/a/../b", "/a", False), ("a", "/a", False), ("", "/a", False), ("/a\0", "/a", False), ("//a", "/a", True),
        ("/a/b", "//a", True),
    ],
)  # fmt: skip
def test_below_is_meant_as_it_is_written(path, root, is_inside):
    assert is_below(path, [root]) is is_inside

"""Patches of pods: the cluster's reader minds no case and heeds directives; ours knows exact names only."""

import json

import pytest

from policy.check import judge
from policy.rules import Grant
from tests.attacks.hostile_manifests import workflow
from tests.attacks.test_manifest_policy import POLICY, refused

AT = {
    "template": "/spec/templates/0/podSpecPatch",
    "Workflow": "/spec/podSpecPatch",
    "defaults": "/spec/templateDefaults/podSpecPatch",
}


def patched(patch, where="template"):
    text = patch if isinstance(patch, str) else json.dumps(patch)
    field = {"podSpecPatch": text}
    return {
        "template": lambda: workflow(template=field),
        "Workflow": lambda: workflow(spec=field),
        "defaults": lambda: workflow(spec={"templateDefaults": field}),
    }[where]()


def in_main(**fields):
    return {"containers": [{"name": "main", **fields}]}


PATCHES = {
    # Any case
    "HostPID": {"HostPID": True},
    "hostpid": {"hostpid": True},
    "HostNetwork": {"HostNetwork": True},
    "Containers": {"Containers": [{"name": "main", "securityContext": {"privileged": True}}]},
    "SecurityContext": in_main(SecurityContext={"privileged": True}),
    "Privileged": in_main(securityContext={"Privileged": True}),
    "PRIVILEGED": in_main(securityContext={"PRIVILEGED": True}),
    "Volumes": {"Volumes": [{"name": "v", "HostPath": {"path": "/"}}]},
    "ServiceAccountName": {"ServiceAccountName": "root"},
    # The reader folds these to k and s.
    "kelvin sign": {"ho\u017ftPID": True, "\u212aind": "x"},
    # Twice
    "twice": '{"hostPID": false, "hostPID": true}',
    "twice within": '{"containers": [{"name": "main", "tty": false, "tty": true}]}',
    "twice in YAML": "containers: []\ncontainers: []\n",
    # Directives of the merge
    "replaced": {"$patch": "replace", "hostNetwork": False},
    "deleted": {"containers": [{"name": "main", "$patch": "delete"}]},
    "deleted from a list": {"$deleteFromPrimitiveList/args": ["x"]},
    "kept keys": {"$retainKeys": ["containers"]},
    "ordered": {"$setElementOrder/containers": [{"name": "main"}]},
    "taken away": in_main(securityContext=None),
    # What the table refuses anywhere
    "privileged": in_main(securityContext={"privileged": True}),
    "of root": {"securityContext": {"runAsUser": 0}},
    "unconfined": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
    "another's Secret": in_main(env=[{"name": "T", "valueFrom": {"secretKeyRef": {"name": "o-callback", "key": "t"}}}]),
    "another image": in_main(image="evil.example/x"),
    "another container": {"containers": [{"name": "more", "image": "evil.example/x"}]},
    "a container that nobody has": {"containers": [{"name": "more", "image": "busybox"}]},
    "a container of Argo's": {"containers": [{"name": "wait", "command": ["sh"]}]},
    "a first container of Argo's": {"initContainers": [{"name": "init", "command": ["sh"]}]},
    "a container without a name": {"containers": [{"command": ["sh"]}]},
    "mounts": in_main(volumeMounts=[{"name": "partner-data", "mountPath": "/data", "readOnly": False}]),
    "volumes": {"volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}]},
    "host path": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
    "node": {"nodeName": "control-plane"},
    "node labels": {"nodeSelector": {"dataPartner": "data-partner-2"}},
    "tolerations": {"tolerations": [{"operator": "Exists"}]},
    "priority": {"priorityClassName": "system-node-critical"},
    "run time": {"runtimeClassName": "other"},
    "process names": {"shareProcessNamespace": True},
    "host user": {"hostUsers": True},
    "ephemeral": {"ephemeralContainers": []},
    "scheduler": {"schedulerName": "mine"},
    "claims": {"resourceClaims": []},
    "names": {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}]},
    "gates": {"schedulingGates": []},
    "not finite": '{"activeDeadlineSeconds": Infinity}',
    "no object": "[]",
    "two documents": "a: 1\n---\nb: 2\n",
    "cut off": '{"containers": [',
    "by tag": "!!python/object/apply:os.system [id]",
    "merged in YAML": "containers:\n- name: main\n  securityContext:\n    <<: {privileged: true}\n",
}


@pytest.mark.parametrize("where", AT)
@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_a_hostile_patch_is_refused_at_upload(patch, where):
    assert list(refused(patched(patch, where))) == [AT[where]]


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_a_hostile_patch_is_refused_as_rendered(patch):
    assert [fault.pointer for fault in judge(patched(patch), POLICY, Grant()).faults][:1] == [AT["template"]]


RESOURCES = in_main(resources={"requests": {"memory": "1Gi", "cpu": "250m"}, "limits": {"memory": 1024}})


@pytest.mark.parametrize("patch", [RESOURCES, "containers:\n- name: main\n  resources: {limits: {memory: 1Gi}}\n"])
def test_resources_may_be_patched(patch):
    assert refused(patched(patch)) == {}


INTO = '{"containers": [{"name": "main", "resources": {"limits": {"memory": "{{workflow.parameters.m}}"}}}]}'
ESCAPE = '1Gi"}}}], "hostPID": true, "x": [{"y": {"z": {"q": "'


@pytest.mark.parametrize(
    ("value", "is_refused"),
    [
        ("1Gi", False),
        (ESCAPE, True),
        ("much", True),
        ("{{steps.a.outputs.result}}", True),
        ("{{=sprig.trim('1Gi')}}", True),
    ],
)
def test_what_a_parameter_puts_into_a_patch_counts(value, is_refused):
    manifest = patched(INTO)
    manifest["spec"]["arguments"] = {"parameters": [{"name": "m", "value": value}]}

    assert bool(refused(manifest)) is is_refused
    assert bool(judge(manifest, POLICY, Grant()).faults) is is_refused


def test_what_the_registry_puts_into_a_patch_counts_once_rendered():
    name = "execution_main-ai-engine-container-version-memory-limit"
    manifest = patched(INTO.replace("workflow.parameters.m", f"workflow.parameters.{name}"))
    given = [{"name": name, "value": ESCAPE}]
    rendered = {**manifest, "spec": {**manifest["spec"], "arguments": {"parameters": given}}}

    assert refused(manifest) == {}
    assert {fault.pointer for fault in judge(rendered, POLICY, Grant()).faults} == {AT["template"]}

"""What the local engine refuses, and the field that it names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engines.base import ManifestRejected
from engines.local.validation import runnable
from tests.engines.local.harness import shell, workflow

WORK: dict[str, Any] = {"name": "main", "container": shell("true")}


def changed(**template: Any) -> dict[str, Any]:
    return workflow({**WORK, **template})


@pytest.mark.parametrize(
    ("manifest", "pointer"),
    [
        (workflow(WORK, hooks={"x": {"template": "main"}}), "/spec/hooks/x"),
        (workflow(WORK, hooks={"x": {"template": "main", "expression": "a =="}}), "/spec/hooks/x/expression"),
        (workflow(WORK, hooks={"exit": {"templateRef": {}}}), "/spec/hooks/exit/templateRef"),
        (workflow(WORK, workflowTemplateRef={"name": "x"}), "/spec/workflowTemplateRef"),
        (workflow(WORK, volumeClaimTemplates=[{}]), "/spec/volumeClaimTemplates/0/metadata"),
        (
            workflow(WORK, volumeClaimTemplates=[{"metadata": {"name": "A"}}]),
            "/spec/volumeClaimTemplates/0/metadata/name",
        ),
        (workflow({"name": "main", "resource": {"action": "get"}}), "/spec/templates/0/resource"),
        (workflow({"name": "main", "http": {"url": "x"}}), "/spec/templates/0/http"),
        (workflow({"name": "main", "plugin": {}}), "/spec/templates/0/plugin"),
        (changed(memoize={"key": "x"}), "/spec/templates/0/memoize/cache"),
        (
            workflow({"name": "main", "steps": [[{"name": "a", "templateRef": {"name": "x"}}]]}),
            "/spec/templates/0/steps/0/0/templateRef",
        ),
        (
            workflow({"name": "main", "steps": [[{"name": "a", "template": "main", "hooks": {"exit": {}}}]]}),
            "/spec/templates/0/steps/0/0/hooks/exit/template",
        ),
        (
            workflow({"name": "main", "container": shell("echo {{=1+}}")}),
            "/spec/templates/0/container/args/0",
        ),
        (changed(nodeSelector={"{{=a}}/b": "x"}), "/spec/templates/0/nodeSelector"),
        (changed(retryStrategy={"expression": "true &"}), "/spec/templates/0/retryStrategy/expression"),
        (changed(container=shell("{{=sprig.env('HOME')}}")), "/spec/templates/0/container/args/0"),
        (changed(container=shell("{{=nobody.knows}}")), "/spec/templates/0/container/args/0"),
        (
            changed(outputs={"parameters": [{"name": "p", "valueFrom": {"expression": "1"}}]}),
            "/spec/templates/0/outputs/parameters/0/valueFrom/expression",
        ),
        (changed(retryStrategy={"limit": "many"}), "/spec/templates/0/retryStrategy/limit"),
        (changed(retryStrategy={"retryPolicy": "Often"}), "/spec/templates/0/retryStrategy/retryPolicy"),
        (changed(timeout="soon"), "/spec/templates/0/timeout"),
        (changed(timeout="inf"), "/spec/templates/0/timeout"),
        (changed(activeDeadlineSeconds=10**400), "/spec/templates/0/activeDeadlineSeconds"),
        (changed(activeDeadlineSeconds="nan"), "/spec/templates/0/activeDeadlineSeconds"),
        (workflow(WORK, activeDeadlineSeconds=10**10), "/spec/activeDeadlineSeconds"),
        (workflow(WORK, ttlStrategy={"secondsAfterSuccess": "x"}), "/spec/ttlStrategy/secondsAfterSuccess"),
        (workflow(WORK, ttlStrategy={"secondsAfterCompletion": 10**400}), "/spec/ttlStrategy/secondsAfterCompletion"),
        (workflow(WORK, ttlStrategy=[]), "/spec/ttlStrategy"),
        (
            changed(retryStrategy={"backoff": {"duration": "9" * 400}}),
            "/spec/templates/0/retryStrategy/backoff/duration",
        ),
        (
            changed(retryStrategy={"backoff": {"duration": "1s", "factor": 10**400}}),
            "/spec/templates/0/retryStrategy/backoff/factor",
        ),
        (
            changed(container={**shell("true"), "readinessProbe": {"periodSeconds": "x"}}),
            "/spec/templates/0/container/readinessProbe/periodSeconds",
        ),
        (
            changed(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "x"}}]),
            "/spec/templates/0/volumes/0/persistentVolumeClaim",
        ),
        (changed(volumes=[{"name": "v"}]), "/spec/templates/0/volumes/0"),
        (changed(podSpecPatch="a: [1"), "/spec/templates/0/podSpecPatch"),
        (changed(podSpecPatch='{"volumes": []}'), "/spec/templates/0/podSpecPatch/volumes"),
        (
            changed(inputs={"artifacts": [{"name": "a", "path": "/a", "git": {"repo": "x"}}]}),
            "/spec/templates/0/inputs/artifacts/0/git",
        ),
        (
            changed(container=shell("x", resources={"limits": {"memory": "much"}})),
            "/spec/templates/0/container/resources/limits/memory",
        ),
        (
            changed(podSpecPatch='{"containers":[{"name":"main","resources":{"limits":{{workflow.parameters.r}}}}]}'),
            "/spec/templates/0/podSpecPatch/containers/0/resources/limits",
        ),
        (changed(container=shell("x", resources="much")), "/spec/templates/0/container/resources"),
        (changed(container=shell("x", resources={"limits": ["1"]})), "/spec/templates/0/container/resources/limits"),
        (changed(container={"image": "busybox", "command": "sh"}), "/spec/templates/0/container/command"),
        (changed(nodeSelector="central"), "/spec/templates/0/nodeSelector"),
        (
            changed(inputs={"artifacts": [{"name": "a", "path": "/a", "s3": "key"}]}),
            "/spec/templates/0/inputs/artifacts/0/s3",
        ),
        (
            workflow({"name": "main", "containerSet": {"containers": [{"name": "a", "dependencies": ["b"]}]}}),
            "/spec/templates/0/containerSet/containers/0/dependencies/0",
        ),
        (
            workflow(
                {
                    "name": "main",
                    "containerSet": {
                        "containers": [{"name": "a", "dependencies": ["b"]}, {"name": "b", "dependencies": ["a"]}]
                    },
                }
            ),
            "/spec/templates/0/containerSet/containers",
        ),
        (changed(parallelism="{{workflow.parameters.n}}"), "/spec/templates/0/parallelism"),
        (workflow(WORK, activeDeadlineSeconds="1h"), "/spec/activeDeadlineSeconds"),
        (
            workflow({"name": "main", "steps": [[{"name": "a", "template": "b", "when": True}]]}),
            "/spec/templates/0/steps/0/0/when",
        ),
        ({"metadata": {"labels": ["a"]}, "spec": {"templates": [WORK]}}, "/metadata/labels"),
        (changed(synchronization={"semaphore": {}}), "/spec/templates/0/synchronization/semaphore/configMapKeyRef"),
        (
            changed(synchronization={"mutexes": [{"name": "m", "database": True}]}),
            "/spec/templates/0/synchronization/mutexes/0/database",
        ),
        (
            workflow({"name": "main", "synchronization": {"mutexes": [{"name": "m"}]}, "steps": [[]]}),
            "/spec/templates/0/synchronization",
        ),
        (
            changed(
                inputs={"artifacts": [{"name": "a", "path": "/a", "http": {"url": "http://a.example/b"}}]},
                initContainers=[{"name": "init", "image": "busybox", "command": ["true"]}],
            ),
            "/spec/templates/0/initContainers/0/name",
        ),
        ({"kind": "CronWorkflow", "spec": {"templates": [WORK]}}, "/kind"),
        ({"kind": "Workflow"}, "/spec"),
        ({"kind": "Workflow", "spec": {"templates": {}}}, "/spec/templates"),
        (workflow(WORK, {"name": "main", "container": shell("true")}), "/spec/templates/1/name"),
    ],
)
def test_it_names_the_first_field_it_cannot_run(manifest: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ManifestRejected) as refusal:
        runnable(manifest, "wf")

    assert refusal.value.pointer == pointer


def test_what_only_a_cluster_understands_is_accepted() -> None:
    manifest = workflow(
        {**WORK, "metadata": {"labels": {"a": "b"}}, "tolerations": [], "priority": 1},
        serviceAccountName="argo-workflow",
        imagePullSecrets=[{"name": "registry"}],
        hostNetwork=True,
        dnsPolicy="ClusterFirstWithHostNet",
        ttlStrategy={"secondsAfterSuccess": 100, "secondsAfterFailure": 1200},
        podGC={"strategy": "OnPodCompletion"},
    )

    assert runnable(manifest, "wf")["metadata"]["name"] == "wf"


@pytest.mark.parametrize(
    "patch",
    [
        '{"containers": [{"name": "main", "resources": {"limits": {"memory": "{{inputs.parameters.m}}"}}}]}',
        "containers:\n- name: main\n  resources:\n    limits:\n      memory: {{inputs.parameters.m}}\n",
    ],
)
def test_a_pod_spec_patch_is_read_around_its_tags(patch: str) -> None:
    ready = runnable(changed(podSpecPatch=patch), "wf")

    assert ready["spec"]["templates"][0]["podSpecPatch"] == {
        "containers": [{"name": "main", "resources": {"limits": {"memory": "{{inputs.parameters.m}}"}}}]
    }


def test_a_pod_spec_patch_is_read_around_tags_in_tags() -> None:
    patch = "{containers: [{name: main, resources: {limits: {memory: {{workflow.parameters.{{item}}-limit}}}}}]}"

    ready = runnable(changed(podSpecPatch=patch), "wf")

    (container,) = ready["spec"]["templates"][0]["podSpecPatch"]["containers"]
    assert container["resources"]["limits"]["memory"] == "{{workflow.parameters.{{item}}-limit}}"


def test_a_manifest_is_left_as_it_was() -> None:
    manifest = changed(podSpecPatch='{"containers": []}')
    before = json.dumps(manifest)

    runnable(manifest, "wf")

    assert json.dumps(manifest) == before

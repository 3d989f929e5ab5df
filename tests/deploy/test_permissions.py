"""The service accounts of deploy/kubernetes/ against a real API server: what they may do suffices, and nothing else."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from engines.argo import ArgoEngine
from engines.argo.cluster import NEEDED, NEEDED_OF_CLUSTER
from engines.base import StopStrategy, Submission, WorkflowNotFound
from tests.deploy.conftest import PRIVILEGED_NAMESPACE, SERVICE_NAMESPACE, WORKFLOW_NAMESPACE, applied_objects
from tests.services.api import Api, ApiError
from tests.services.kubernetes import ApiServer

pytestmark = pytest.mark.kubernetes
CONTROLLER, API = "orchestrator-controller", "orchestrator-api"
OURS, SERVICES = f"/api/v1/namespaces/{WORKFLOW_NAMESPACE}", f"/api/v1/namespaces/{SERVICE_NAMESPACE}"
WORKFLOWS = f"/apis/argoproj.io/v1alpha1/namespaces/{WORKFLOW_NAMESPACE}/workflows"
POD = {
    "metadata": {"name": "stray"},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "main",
                "image": "busybox",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}
# What would let an orchestrator that was broken into get further.
FORBIDDEN: list[tuple[str, str, Any]] = [
    ("GET", f"{OURS}/secrets", None),
    ("GET", f"{OURS}/configmaps", None),
    ("POST", f"{OURS}/pods", POD),
    ("DELETE", f"{OURS}/pods/stray", None),
    ("POST", f"{OURS}/pods/stray/exec?command=sh&container=main", None),
    ("POST", f"{OURS}/serviceaccounts/argo-workflow/token", {"spec": {}}),
    ("GET", f"{OURS}/serviceaccounts", None),
    ("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{WORKFLOW_NAMESPACE}/rolebindings", {}),
    ("POST", f"/apis/batch/v1/namespaces/{WORKFLOW_NAMESPACE}/jobs", {}),
    ("DELETE", WORKFLOWS, None),
    ("GET", f"{SERVICES}/secrets/orchestrator-secrets", None),
    ("GET", f"{SERVICES}/configmaps/orchestrator-settings", None),
    ("GET", f"{SERVICES}/pods", None),
    ("GET", "/api/v1/secrets", None),
    ("GET", "/api/v1/pods", None),
    ("GET", "/apis/argoproj.io/v1alpha1/workflows", None),
    ("GET", "/api/v1/namespaces/kube-system/secrets/any", None),
    ("GET", "/api/v1/namespaces", None),
    ("PATCH", "/api/v1/nodes/central", {"metadata": {"labels": {"dataPartner": "data-partner-1"}}}),
    ("DELETE", "/api/v1/nodes/central", None),
]
# The API's account has no part in what the controller does.
FORBIDDEN_TO_THE_API: list[tuple[str, str, Any]] = [
    *FORBIDDEN,
    ("POST", WORKFLOWS, {}),
    ("PATCH", f"{WORKFLOWS}/any", {}),
    ("DELETE", f"{WORKFLOWS}/any", None),
    ("GET", f"{OURS}/secrets/any", None),
    ("POST", f"{OURS}/configmaps", {}),
    ("GET", f"{OURS}/events", None),
    ("GET", "/api/v1/nodes", None),
]


def token_of(server: ApiServer, namespace: str, account: str) -> str:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = server.api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", request)
    return str(answer["status"]["token"])


def engine_as(server: ApiServer, account: str, namespace: str = WORKFLOW_NAMESPACE) -> ArgoEngine:
    kubeconfig = server.write_kubeconfig(account, token=token_of(server, SERVICE_NAMESPACE, account))
    return ArgoEngine("argo", {"kubeconfig": str(kubeconfig), "namespace": namespace})


def api_as(server: ApiServer, account: str) -> Api:
    return Api(server.server, server.authority.certificate, token_of(server, SERVICE_NAMESPACE, account))


def submission(*, shared: str) -> Submission:
    """Return a Workflow with a Secret and a ConfigMap of its own and some that others have too."""
    name = f"tour-{secrets.token_hex(4)}"
    manifest = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {
            "entrypoint": "main",
            "serviceAccountName": "argo-workflow",
            "templates": [{"name": "main", "container": {"image": "busybox", "args": ["true"]}}],
        },
    }
    return Submission(
        name,
        manifest,
        config_maps={f"{name}-vars": {"a": "1"}, shared: {"b": "2"}},
        secrets={f"{name}-callback": {"token": "t"}, shared: {"c": "3"}},
    )


@pytest.fixture
def pod_of(installed: ApiServer) -> Iterator[Any]:
    """Return a function that makes a pod of a Workflow, which no node takes."""
    made = []

    def make(workflow: str) -> None:
        labels = {"workflows.argoproj.io/workflow": workflow}
        path = f"{OURS}/pods"
        installed.api.post(path, {**POD, "metadata": {"name": f"{workflow}-main", "labels": labels}})
        made.append(f"{path}/{workflow}-main")

    yield make
    for path in made:
        installed.api.delete(path)


def test_the_controller_has_the_rights_that_the_engine_asks_for_and_no_other(installed: ApiServer) -> None:
    assert engine_as(installed, CONTROLLER).check() == []

    roles = {each["metadata"]["name"]: each for each in applied_objects() if each["kind"] in ("Role", "ClusterRole")}
    for name, needed in ((CONTROLLER, NEEDED), ("orchestrator-nodes", NEEDED_OF_CLUSTER)):
        granted = {
            (group, resource, verb)
            for rule in roles[name]["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        assert granted == {(group, resource, verb) for group, resource, verbs in needed for verb in verbs}


def test_it_has_them_in_the_second_namespace_too(installed: ApiServer) -> None:
    engine, one = engine_as(installed, CONTROLLER, PRIVILEGED_NAMESPACE), submission(shared="shared")

    assert engine.check() == []
    assert engine.submit(one).digest == one.digest
    assert engine_as(installed, API, PRIVILEGED_NAMESPACE).get(one.name).digest == one.digest
    engine.delete(one.name)


def test_the_controller_can_do_all_of_its_work(installed: ApiServer, pod_of: Any) -> None:
    engine = engine_as(installed, CONTROLLER)
    shared = f"shared-{secrets.token_hex(4)}"
    first, second = submission(shared=shared), submission(shared=shared)

    # The second makes itself an owner of what the first has made, and gives that up again.
    for one in (first, second):
        assert engine.submit(one).digest == one.digest
    assert engine.submit(first).uid == engine.get(first.name).uid
    assert {first.name, second.name} <= {status.name for status in engine.list()}
    assert first.name in {event.status.name for event in engine.watch(timeout_seconds=1.0)}
    engine.stop(first.name, StopStrategy.TERMINATE)
    pod_of(first.name)
    assert list(engine.logs(first.name)) == []
    assert isinstance(engine.explain(first.name), str)
    assert engine.nodes() == []
    for one in (first, second):
        engine.delete(one.name)
        with pytest.raises(WorkflowNotFound):
            engine.get(one.name)

    for resource in ("secrets", "configmaps"):
        left = {each["metadata"]["name"] for each in installed.api.list(f"{OURS}/{resource}")}
        assert not left & {shared, f"{first.name}-callback", f"{second.name}-vars"}


def test_the_api_can_look_at_logs(installed: ApiServer, pod_of: Any) -> None:
    controller, api = engine_as(installed, CONTROLLER), engine_as(installed, API)
    one = submission(shared=f"shared-{secrets.token_hex(4)}")
    controller.submit(one)
    pod_of(one.name)

    assert api.get(one.name).digest == one.digest
    assert list(api.logs(one.name)) == []
    # A pod without a node has an empty log; without the right to it this is refused.
    assert api_as(installed, API).get(f"{OURS}/pods/{one.name}-main/log") == {}
    controller.delete(one.name)


@pytest.mark.parametrize(
    ("account", "method", "path", "body"),
    [(CONTROLLER, *each) for each in FORBIDDEN] + [(API, *each) for each in FORBIDDEN_TO_THE_API],
)
@pytest.mark.parametrize("namespace", [WORKFLOW_NAMESPACE, PRIVILEGED_NAMESPACE])
def test_what_would_lead_further_is_forbidden(
    installed: ApiServer, namespace: str, account: str, method: str, path: str, body: Any
) -> None:
    path = path.replace(WORKFLOW_NAMESPACE, namespace)
    content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"

    with pytest.raises(ApiError) as refusal:
        api_as(installed, account).call(method, path, body, content_type)

    assert refusal.value.status == 403


@pytest.mark.parametrize("namespace", [WORKFLOW_NAMESPACE, PRIVILEGED_NAMESPACE])
@pytest.mark.parametrize(
    ("account", "rights"),
    [
        ("argo-executor", {("workflowtaskresults", "create"), ("workflowtaskresults", "patch")}),
        ("argo-workflow", set()),
    ],
)
def test_argos_containers_may_report_and_the_others_nothing(
    installed: ApiServer, namespace: str, account: str, rights: set[tuple[str, str]]
) -> None:
    pod = Api(installed.server, installed.authority.certificate, token_of(installed, namespace, account))
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    found = pod.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)
    allowed = {
        (rule["resources"][0], verb)
        for rule in found["status"]["resourceRules"]
        for verb in rule["verbs"]
        if not rule["apiGroups"][0].startswith(("authorization", "authentication"))
    }

    assert allowed == rights

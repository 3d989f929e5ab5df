"""What tests of the packaging share: the manifests of deploy/kubernetes/, and a real API server that has taken them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.services.api import ApiError
from tests.services.kubernetes import ApiServer

PROJECT = Path(__file__).resolve().parents[2]
KUBERNETES = PROJECT / "deploy" / "kubernetes"
SERVICE_NAMESPACE, WORKFLOW_NAMESPACE = "orchestrator", "orchestrator-workflows"
PRIVILEGED_NAMESPACE = "orchestrator-workflows-privileged"
COMPONENTS = ("partners", "kafka", "privileged")

Json = dict[str, Any]

# kind -> where the API server keeps it.
COLLECTIONS: Mapping[str, str] = {
    "Namespace": "/api/v1/namespaces",
    "PersistentVolume": "/api/v1/persistentvolumes",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "ResourceQuota": "/api/v1/namespaces/{}/resourcequotas",
    "LimitRange": "/api/v1/namespaces/{}/limitranges",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Service": "/api/v1/namespaces/{}/services",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "CronJob": "/apis/batch/v1/namespaces/{}/cronjobs",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
}


def objects_of(name: str) -> list[Json]:
    """Return the objects of one file of deploy/kubernetes/."""
    return [each for each in yaml.safe_load_all((KUBERNETES / name).read_text()) if each]


def kustomization(folder: str = ".") -> Json:
    """Return the kustomization of deploy/kubernetes/, or of a component's folder there."""
    (found,) = objects_of(f"{folder}/kustomization.yaml")
    return found


def component_objects(*names: str) -> list[Json]:
    """Return what these components add to that."""
    return [
        each for name in names for file in kustomization(name)["resources"] for each in objects_of(f"{name}/{file}")
    ]


def component_settings(name: str) -> dict[str, str]:
    """Return the settings that a component adds."""
    patches = [yaml.safe_load(each["patch"]) for each in kustomization(name).get("patches", [])]
    assert all((each["kind"], each["metadata"]["name"]) == ("ConfigMap", "orchestrator-settings") for each in patches)
    return {key: value for each in patches for key, value in each["data"].items()}


def applied_objects() -> list[Json]:
    """Return what `kubectl apply -k` would apply, in its order; images keep their short names."""
    return [each for name in kustomization()["resources"] for each in objects_of(name)]


def pod_templates() -> dict[str, Json]:
    """Return the templates of everything that runs, by the name of what runs it."""
    found = {}
    for each in applied_objects():
        spec = each.get("spec") or {}
        holder = spec.get("jobTemplate", {}).get("spec", spec)
        if "containers" in holder.get("template", {}).get("spec", {}):
            found[each["metadata"]["name"]] = holder["template"]
    return found


def collection(of: Json) -> str:
    """Return the path of the collection that an object belongs in."""
    return COLLECTIONS[of["kind"]].format(of["metadata"].get("namespace", ""))


@pytest.fixture(scope="session")
def installed(api_server: ApiServer) -> ApiServer:
    """Give an API server that has taken all of deploy/kubernetes/, a field it does not know being an error."""
    for each in [*applied_objects(), *component_objects(*COMPONENTS)]:
        try:
            api_server.api.post(f"{collection(each)}?fieldValidation=Strict", each)
        except ApiError as error:
            # Another module of tests has had it installed.
            if error.status != 409:
                raise
    return api_server

"""What an engine says of its cluster: nodes, missing rights, missing servers."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.argo.cluster import why_not_ready
from engines.argo.engine import ArgoEngine
from engines.base import EngineUnavailable, Submission
from tests.engines.argo.kubelet import Kubelet
from tests.engines.contract import manifest
from tests.services.kubernetes import ApiServer

MakeArgo = Callable[..., ArgoEngine]


def account(server: ApiServer, namespace: str) -> Path:
    """Return the kubeconfig of a service account without any rights."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    server.api.post(path, {"metadata": {"name": "nobody"}})
    answer = server.api.post(f"{path}/nobody/token", {"spec": {}})
    return server.write_kubeconfig(f"nobody-of-{namespace}", token=answer["status"]["token"])


@pytest.mark.kubernetes
def test_nothing_is_wrong_where_all_is_there(argo: ArgoEngine) -> None:
    assert argo.check() == []


@pytest.mark.kubernetes
def test_missing_rights_are_named(make_argo: MakeArgo, api_server: ApiServer, namespace: str) -> None:
    engine = make_argo(kubeconfig=str(account(api_server, namespace)))

    problems = engine.check()

    assert (
        f"the service account lacks the permission to create, get, patch, delete secrets in namespace {namespace}"
        in problems
    )
    assert "the service account lacks the permission to get, list nodes" in problems
    with pytest.raises(EngineUnavailable, match="cannot create resource"):
        engine.submit(Submission("wf", manifest("wf", "true")))
    with pytest.raises(EngineUnavailable, match="cannot list resource"):
        list(engine.watch())


@pytest.mark.kubernetes
def test_a_token_that_nobody_knows_is_said(make_argo: MakeArgo, api_server: ApiServer) -> None:
    engine = make_argo(kubeconfig=str(api_server.write_kubeconfig("unknown", token="unknown")))

    assert engine.check() == ["the API server refuses the credentials: Unauthorized"]


@pytest.mark.kubernetes
def test_a_missing_namespace_is_named(make_argo: MakeArgo) -> None:
    assert make_argo(namespace="nowhere").check() == ["the namespace nowhere does not exist"]


@pytest.mark.kubernetes
def test_nodes_are_told_with_their_labels(argo: ArgoEngine, api_server: ApiServer) -> None:
    with Kubelet(api_server, {"dataPartner": "partner-1"}) as kubelet:
        (node,) = [node for node in argo.nodes() if node.name == kubelet.name]
        assert (node.labels["dataPartner"], node.ready, node.message) == ("partner-1", True, "")

        api_server.api.patch(f"/api/v1/nodes/{kubelet.name}", {"spec": {"unschedulable": True}})

        (node,) = [node for node in argo.nodes() if node.name == kubelet.name]
        assert (node.ready, node.message) == (False, "the node is cordoned and takes no new pods")


def test_a_server_that_does_not_listen_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        kubeconfig = write_kubeconfig(tmp_path, f"https://127.0.0.1:{taken.getsockname()[1]}")
        engine = ArgoEngine("argo", {"kubeconfig": str(kubeconfig)})

        (problem,) = engine.check()

    assert problem.startswith("the API server does not answer: ")


@pytest.mark.parametrize(
    ("server", "more", "problem"),
    [
        ("http://cluster.example", "", "http://cluster.example must be reached by HTTPS with verified certificates"),
        (
            "https://cluster.example",
            ", insecure-skip-tls-verify: true",
            "must be reached by HTTPS with verified certificates",
        ),
    ],
)
def test_a_server_without_verified_tls_is_not_spoken_to(tmp_path: Path, server: str, more: str, problem: str) -> None:
    engine = ArgoEngine("argo", {"kubeconfig": str(write_kubeconfig(tmp_path, server, more))})

    (found,) = engine.check()

    assert problem in found


@pytest.mark.parametrize("text", [None, "", "kind: Config", "a: [", "[]"])
def test_a_kubeconfig_that_cannot_be_used_is_said(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)

    (problem,) = ArgoEngine("argo", {"kubeconfig": str(path)}).check()

    assert problem.startswith("no cluster is configured: ")


def test_a_node_that_has_not_reported_is_not_ready() -> None:
    assert why_not_ready({"metadata": {"name": "n"}}) == "the kubelet has not reported yet"
    lost = {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}
    assert why_not_ready({"status": {"conditions": [lost]}}) == "Kubelet stopped posting node status."


def write_kubeconfig(folder: Path, server: str, more: str = "") -> Path:
    path = folder / "config"
    path.write_text(
        f"""
        apiVersion: v1
        kind: Config
        clusters: [{{name: c, cluster: {{server: "{server}"{more}}}}}]
        users: [{{name: u, user: {{token: t}}}}]
        contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
        current-context: c
        """
    )
    return path

"""The API server that other tests use is a real one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.services import kubernetes
from tests.services.api import Api, ApiError
from tests.services.kubernetes import WORKFLOWS, ApiServer, ServerMissing

pytestmark = pytest.mark.kubernetes


def workflow(name: str) -> dict[str, Any]:
    kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow"}
    return {**kind, "metadata": {"name": name}, "spec": {"entrypoint": "main", "parallelism": 3}}


def test_it_keeps_whole_workflows(api_server: ApiServer, namespace: str) -> None:
    path = WORKFLOWS.format(namespace=namespace)
    api_server.api.post(path, workflow("kept"))

    (found,) = api_server.api.list(path)

    assert found["spec"] == {"entrypoint": "main", "parallelism": 3}


def test_a_watch_from_too_long_ago_is_told_so(api_server: ApiServer, namespace: str) -> None:
    (event,) = api_server.api.watch(WORKFLOWS.format(namespace=namespace), "1", seconds=1)

    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_a_list_does_not_go_on_after_its_history_is_gone(api_server: ApiServer, namespace: str) -> None:
    path = WORKFLOWS.format(namespace=namespace)
    for name in ("one", "two"):
        api_server.api.post(path, workflow(name))
    page = api_server.api.get(path, limit=1)
    api_server.api.post(path, workflow("three"))
    api_server.forget_history()

    with pytest.raises(ApiError) as refusal:
        api_server.api.get(path, limit=1, **{"continue": page["metadata"]["continue"]})

    assert (refusal.value.status, refusal.value.reason) == (410, "Expired")


def test_an_account_may_do_only_what_its_role_says(api_server: ApiServer, namespace: str) -> None:
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    api_server.api.post(account, {"metadata": {"name": "nobody"}})
    token = api_server.api.post(
        f"{account}/nobody/token", {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    )
    nobody = Api(api_server.server, api_server.authority.certificate, token["status"]["token"])

    with pytest.raises(ApiError) as refusal:
        nobody.list(WORKFLOWS.format(namespace=namespace))

    nobody.close()
    assert refusal.value.status == 403


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(kubernetes, "PROGRAM", tmp_path / "nothing")

    with pytest.raises(ServerMissing, match="make test-kubernetes"), ApiServer():
        pass

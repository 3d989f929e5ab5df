"""The Argo engine keeps the contract, before a real API server; what a controller would write, the stand-in writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engines.argo import ArgoEngine
from engines.base import Engine, Submission, WorkflowStatus
from tests.engines.argo.behaviours import BEHAVIOUR_ANNOTATION, one_pod
from tests.engines.argo.kubelet import Kubelet
from tests.engines.argo.standin import ArgoStandin
from tests.engines.contract import NO_SECRETS, EngineContract, Secrets, manifest
from tests.services.kubernetes import WORKFLOWS, ApiServer

pytestmark = pytest.mark.kubernetes


class TestArgoEngine(EngineContract):
    @pytest.fixture
    def place(self, api_server: ApiServer, namespace: str) -> Iterator[str]:
        self.server, self.namespace = api_server, namespace
        with ArgoStandin(api_server.api, namespace), Kubelet(api_server) as self.kubelet:
            yield namespace

    def make_engine(self, place: Any) -> Engine:
        options = {"kubeconfig": str(self.server.kubeconfig), "namespace": place}
        return ArgoEngine("argo", {**options, "requests_per_second": 1000.0, "page_size": 2})

    def submit(
        self, engine: Engine, name: str, script: str = "true", secrets: Secrets = NO_SECRETS, **spec: Any
    ) -> WorkflowStatus:
        wanted = manifest(name, script, **spec)
        wanted["metadata"]["annotations"] = {BEHAVIOUR_ANNOTATION: "hold" if "sleep" in script else "succeed"}
        return engine.submit(Submission(name=name, manifest=wanted, secrets=secrets))

    def let_succeed(self, engine: Engine, name: str) -> None:
        workflow = f"{WORKFLOWS.format(namespace=self.namespace)}/{name}"
        self.server.api.patch(workflow, {"status": one_pod(name, "Succeeded", "Succeeded")})
        self.kubelet.end(self.namespace, name)

    def let_wait(self, engine: Engine, name: str, *steps: str) -> None:
        self.wait_for_pod(engine, name)
        waiting = {
            f"{name}-{step}": {"id": f"{name}-{step}", "displayName": step, "type": "Suspend", "phase": "Running"}
            for step in steps
        }
        workflow = f"{WORKFLOWS.format(namespace=self.namespace)}/{name}"
        self.server.api.patch(workflow, {"status": {"nodes": waiting}})

    def let_speak(self, engine: Engine, name: str, text: str) -> None:
        self.kubelet.run(self.namespace, name, name)
        self.kubelet.write(self.namespace, name, "wait", "nobody wants to know that")
        self.kubelet.write(self.namespace, name, "main", text)

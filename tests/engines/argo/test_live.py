"""The Argo engine keeps the contract before a real Argo: KUBECONFIG says where, ARGO_NAMESPACE in which namespace.

It needs a namespace without Workflows of an orchestrator: the contract counts them, and deletes what it finds.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from engines.argo.engine import ArgoEngine
from engines.base import Engine, WorkflowPhase, WorkflowStatus
from tests.engines.contract import NO_SECRETS, EngineContract, Secrets, wait_until_gone

pytestmark = pytest.mark.argo

NOBODY = 65534


def live_engine(namespace: str) -> Engine:
    options = {"kubeconfig": os.environ.get("KUBECONFIG", ""), "namespace": namespace}
    return ArgoEngine("argo", {**options, "service_account": os.environ.get("ARGO_SERVICE_ACCOUNT", "")})


@pytest.fixture(scope="module")
def empty_namespace() -> str:
    """Give the namespace, once it is known that nobody's Workflows will be deleted."""
    namespace = os.environ.get("ARGO_NAMESPACE", "argo")
    engine = live_engine(namespace)
    if problems := engine.check():
        pytest.fail("; ".join(problems), pytrace=False)
    if any(engine.list()):
        pytest.fail("ARGO_NAMESPACE is in use: it holds Workflows of an orchestrator.", pytrace=False)
    return namespace


class TestLiveArgo(EngineContract):
    # A Workflow of one container takes ten seconds and more, and a pod that is stopped has half a minute to end.
    patience_seconds = 180.0
    # Argo looks at a Workflow every ten seconds at most: what is shorter it sees pending, then ended.
    watched_seconds = 15.0

    @pytest.fixture
    def place(self, empty_namespace: str) -> str:
        return empty_namespace

    def make_engine(self, place: Any) -> Engine:
        return live_engine(place)

    def submit(
        self, engine: Engine, name: str, script: str = "true", secrets: Secrets = NO_SECRETS, **spec: Any
    ) -> WorkflowStatus:
        # busybox runs as root, and the engine lets no pod of this namespace do so.
        return super().submit(engine, name, script, secrets, securityContext={"runAsUser": NOBODY}, **spec)

    @pytest.mark.parametrize(
        ("script", "phase", "said"),
        [("true", WorkflowPhase.SUCCEEDED, ""), ("exit 3", WorkflowPhase.FAILED, "exit code 3")],
    )
    def test_an_end_outlives_its_workflow(self, engine: Engine, script: str, phase: WorkflowPhase, said: str) -> None:
        name = f"ended-{phase.lower()}"
        uid = self.submit(engine, name, script, ttlStrategy={"secondsAfterCompletion": 1}).uid
        wait_until_gone(engine, name, self.patience_seconds)

        ending = engine.last_known(name, uid)

        assert ending is not None
        assert ending.phase is phase
        assert said in ending.message

    def test_that_it_ran_outlives_a_workflow_deleted_before_its_end(self, engine: Engine) -> None:
        uid = self.submit(engine, "wf-vanished", "sleep 60").uid
        self.wait_for_pod(engine, "wf-vanished")
        engine.delete("wf-vanished")
        wait_until_gone(engine, "wf-vanished", self.patience_seconds)

        known = engine.last_known("wf-vanished")

        assert known is not None
        assert (known.phase, known.uid, known.finished_at) == (WorkflowPhase.RUNNING, uid, None)
        assert known.started_at

"""The Argo engine keeps the contract before a real Argo: KUBECONFIG says where, ARGO_NAMESPACE in which namespace.

It needs a namespace without Workflows of an orchestrator: the contract counts them, and deletes what it finds.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from engines.argo.engine import ArgoEngine
from engines.base import Engine
from tests.engines.contract import EngineContract

pytestmark = pytest.mark.argo


class TestLiveArgo(EngineContract):
    # A Workflow of one container takes ten seconds and more, and a pod that is stopped has half a minute to end.
    patience_seconds = 180.0

    @pytest.fixture(scope="class", autouse=True)
    def empty_namespace(self) -> None:
        engine = self.make_engine(os.environ.get("ARGO_NAMESPACE", "argo"))
        if problems := engine.check():
            pytest.fail("; ".join(problems), pytrace=False)
        if any(engine.list()):
            pytest.fail("ARGO_NAMESPACE is in use: it holds Workflows of an orchestrator.", pytrace=False)

    @pytest.fixture
    def place(self) -> str:
        return os.environ.get("ARGO_NAMESPACE", "argo")

    def make_engine(self, place: Any) -> Engine:
        options = {"kubeconfig": os.environ.get("KUBECONFIG", ""), "namespace": place}
        return ArgoEngine("argo", {**options, "service_account": os.environ.get("ARGO_SERVICE_ACCOUNT", "")})

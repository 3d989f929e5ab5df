"""Engines before a real API server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engines.argo.engine import ArgoEngine
from tests.services.kubernetes import ApiServer


@pytest.fixture
def make_argo(api_server: ApiServer, namespace: str) -> Callable[..., ArgoEngine]:
    """Return a function that makes an engine for the test's own namespace."""

    def make_argo(**options: Any) -> ArgoEngine:
        usual = {"kubeconfig": str(api_server.kubeconfig), "namespace": namespace, "requests_per_second": 1000.0}
        return ArgoEngine("argo", {**usual, **options})

    return make_argo


@pytest.fixture
def argo(make_argo: Callable[..., ArgoEngine]) -> ArgoEngine:
    return make_argo()

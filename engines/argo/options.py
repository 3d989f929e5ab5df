"""The options of the Argo engine, with their defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

# An instance id without a controller, for Workflows whose Secrets and ConfigMaps are not made yet.
# A suspended Workflow would wait too, but a controller that has seen it suspended takes ten seconds to look
# at it again.
PREPARING = "orchestrator-preparing"
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Options:
    """The options of one engine.

    - `kubeconfig`, `context`: where the cluster is; without a file the pod's own service account, and outside of a
      cluster what KUBECONFIG names.
    - `namespace`: where Workflows run. Two orchestrators can share one only with different `instance_id`s.
    - `service_account`: the account of Workflows whose manifest names none; empty: the namespace's default.
    - `executor_service_account`: the account of Argo's own containers in each pod; only they then have a token of
      the cluster; empty: every container has the token of the Workflow's service account.
    - `restricted`: whether pods keep to the profile `restricted` of Kubernetes' Pod Security Standards.
    - `root_images`: patterns of the names of images that run as root, which restricted pods do not.
    - `privileged_engine`: alias of the engine for Workflows that need more; empty: such Workflows are refused.
    - `instance_id`: the id of the Argo controller that runs the Workflows.
    - `requests_per_second`, `burst`: the rate limit of requests to the API server.
    - `timeout_seconds`: for a connection, and for each wait for an answer.
    - `page_size`: objects in one page of a list.
    """

    kubeconfig: str = ""
    context: str = ""
    namespace: str = "argo"
    service_account: str = ""
    executor_service_account: str = ""
    restricted: bool = True
    root_images: tuple[str, ...] = ()
    privileged_engine: str = ""
    instance_id: str = ""
    requests_per_second: float = 20.0
    burst: int = 40
    timeout_seconds: float = 15.0
    page_size: int = 200

    def __post_init__(self) -> None:
        if not _LABEL.fullmatch(self.namespace):
            raise ValueError(f"{self.namespace!r} is not the name of a namespace")
        if self.instance_id == PREPARING:
            raise ValueError(
                f"{PREPARING} is not allowed as an instance id: it marks Workflows that are not completely submitted"
            )
        for name in ("requests_per_second", "burst", "timeout_seconds", "page_size"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} of the Argo engine must be more than 0")

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Options:
        """Return the options of the settings. Raises ValueError for a wrong one."""
        unknown = sorted(set(given) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"unknown options of the Argo engine: {', '.join(unknown)}")
        return cls(**{**given, "root_images": tuple(given.get("root_images") or ())})

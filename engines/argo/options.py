"""The options of the Argo engine, with their defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

# The instance id of no controller, for Workflows that lack what goes with them.
# To suspend a Workflow would hold it back too, but a controller that has seen one suspended takes ten seconds to look
# at it again.
PREPARING = "orchestrator-preparing"
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Options:
    """The options of one engine.

    - `kubeconfig`, `context`: where the cluster is; without a file the pod's own service account, and outside of a
      cluster what KUBECONFIG names.
    - `namespace`: where Workflows run. Two orchestrators share one only with `instance_id`s of their own.
    - `service_account`: of Workflows whose manifest names none; empty: the namespace's default.
    - `executor_service_account`: of Argo's own containers in each pod, which alone have a token of the cluster then;
      empty: every container has that of the Workflow's service account.
    - `restricted`: whether pods keep to the profile `restricted` of Kubernetes' Pod Security Standards.
    - `root_images`: patterns of the names of images that run as root, which restricted pods do not.
    - `privileged_engine`: alias of the engine for Workflows that need more; empty: they are refused.
    - `instance_id`: of the Argo controller that shall run our Workflows.
    - `requests_per_second`, `burst`: how fast the API server is asked at most.
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
            raise ValueError(f"{PREPARING} is no instance id: it marks Workflows that no controller shall heed yet")
        for name in ("requests_per_second", "burst", "timeout_seconds", "page_size"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} of the Argo engine has to be more than 0")

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Options:
        """Return the options that settings give. Raises ValueError for one that cannot be."""
        unknown = sorted(set(given) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"the Argo engine has no option {', '.join(unknown)}")
        return cls(**{**given, "root_images": tuple(given.get("root_images") or ())})

"""Input artifacts from a URL: the pod's first container fetches them, over the pod's own network.

The manifest chooses the address, so this process, which reaches more than a pod, never fetches it.
Imported by the supervisor: it must load fast.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engines.local.interpreter.calls import Artifact
from engines.local.names import FETCHING

IMAGE = "http-artifacts"
FOLDER = "/argo/inputs/artifacts"


def fetched(artifacts: Mapping[str, Artifact]) -> dict[int, Artifact]:
    """Return the artifacts from a URL, by their numbers."""
    return {
        number: artifact
        for number, artifact in enumerate(artifacts.values())
        if artifact.get("http") and artifact.get("path")
    }


def with_fetching(template: dict[str, Any], wanted: Mapping[int, Artifact]) -> dict[str, Any]:
    """Return a pod's template with the fetching container before all others."""
    if not wanted:
        return template
    orders = [
        {
            "name": artifact["name"],
            "url": artifact["http"]["url"],
            "headers": artifact["http"].get("headers") or [],
            "path": f"{FOLDER}/{number}",
            "optional": bool(artifact.get("optional")),
            "mode": artifact.get("mode"),
            "unpack": (artifact.get("archive") or {}).get("none") is None,
        }
        for number, artifact in wanted.items()
    ]
    container = {"name": FETCHING, "image": IMAGE, "args": [json.dumps(orders)]}
    return {**template, "initContainers": [container, *(template.get("initContainers") or ())]}

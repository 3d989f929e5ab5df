"""What the local engine's tests share: manifests in few words, and waiting for their ends."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from engines.base import Engine, Submission, WorkflowStatus

PATIENCE_SECONDS = 40.0


def shell(script: str, **more: Any) -> dict[str, Any]:
    """Return a container that runs a shell script."""
    return {"image": "busybox:latest", "command": ["sh", "-c"], "args": [script], **more}


def workflow(*templates: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Return a manifest whose first template is the entrypoint, unless the spec says otherwise."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "execution-"},
        "spec": {"entrypoint": templates[0]["name"], "templates": list(templates), **spec},
    }


def parameters(**values: Any) -> dict[str, Any]:
    """Return arguments or inputs with parameters; a value of None gives a name only."""
    return {
        "parameters": [
            {"name": name.replace("__", "-"), **({} if value is None else {"value": value})}
            for name, value in values.items()
        ]
    }


def wait(engine: Engine, name: str) -> WorkflowStatus:
    """Return a Workflow's status once it has ended."""
    until = time.monotonic() + PATIENCE_SECONDS
    for event in engine.watch(timeout_seconds=PATIENCE_SECONDS):
        if event.status.name == name and event.status.phase.is_terminal:
            return event.status
        if time.monotonic() > until:
            break
    raise AssertionError(f"{name} has not ended: {engine.get(name)}")


def run(
    engine: Engine,
    name: str,
    manifest: dict[str, Any],
    *,
    config_maps: Mapping[str, Mapping[str, str]] | None = None,
    secrets: Mapping[str, Mapping[str, str]] | None = None,
) -> WorkflowStatus:
    """Submit a Workflow and return its last status."""
    engine.submit(Submission(name, manifest, config_maps or {}, secrets or {}))
    return wait(engine, name)


def text(engine: Engine, name: str) -> str:
    """Return everything that a Workflow's containers wrote to their standard output."""
    return "\n".join(line.text for line in engine.logs(name) if line.stream == "stdout")


def node(status: WorkflowStatus, display: str) -> dict[str, Any]:
    """Return the node of that display name."""
    (found,) = [one for one in status.nodes.values() if one["displayName"] == display]
    return found

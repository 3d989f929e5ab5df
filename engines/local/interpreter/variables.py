"""The tags of the Workflow itself: its name, times, labels and parameters.

Source: https://argo-workflows.readthedocs.io/en/latest/variables/#global.
"""

from __future__ import annotations

import json
import time
from types import MappingProxyType
from typing import Any

from engines.local.interpreter.calls import ConfigMaps, value_from
from engines.local.interpreter.nodes import rfc3339
from engines.local.interpreter.tags import Scope, Unresolved, render, text_of

_TIME_LETTERS = "aAbBcdHIjmMnpSyYZ"


def parameters_of(spec: dict[str, Any], config_maps: ConfigMaps = MappingProxyType({})) -> dict[str, str]:
    """Return the Workflow's arguments by name. Raises `CallError` where a ConfigMap lacks one."""
    found: dict[str, str] = {}
    for parameter in (spec.get("arguments") or {}).get("parameters") or ():
        value = parameter.get("value")
        if value is None:
            value = parameter.get("default")
        if value is None:
            value = value_from(parameter, config_maps)
        if value is not None:
            found[parameter["name"]] = text_of(value)
    return found


def workflow_values(
    manifest: dict[str, Any], parameters: dict[str, str], *, uid: str, created_at: float
) -> dict[str, str]:
    """Return the values of all `workflow.…` tags known from the start."""
    metadata, spec = manifest["metadata"], manifest["spec"]
    created = rfc3339(created_at)
    moment = time.gmtime(created_at)
    values = {
        "workflow.name": metadata["name"],
        "workflow.namespace": metadata.get("namespace") or "default",
        "workflow.uid": uid,
        "workflow.mainEntrypoint": spec.get("entrypoint") or "",
        "workflow.serviceAccountName": spec.get("serviceAccountName") or "default",
        "workflow.creationTimestamp": created,
        "workflow.creationTimestamp.RFC3339": created,
        "workflow.creationTimestamp.s": str(int(created_at)),
        "workflow.duration": "0.000000",
        "workflow.status": "Running",
        "workflow.priority": str(spec.get("priority") or 0),
    }
    for letter in _TIME_LETTERS:
        values[f"workflow.creationTimestamp.{letter}"] = time.strftime(f"%{letter}", moment)
    for kind in ("labels", "annotations"):
        own = metadata.get(kind) or {}
        values[f"workflow.{kind}"] = values[f"workflow.{kind}.json"] = json.dumps(own, separators=(",", ":"))
        for name, value in own.items():
            values[f"workflow.{kind}.{name}"] = text_of(value)
    for name, value in parameters.items():
        try:
            parameters[name] = render(value, Scope(values).lookup) if value.startswith("{{workflow.") else value
        except Unresolved:
            parameters[name] = value
        values[f"workflow.parameters.{name}"] = parameters[name]
    shown = json.dumps(
        [{"name": name, "value": value} for name, value in parameters.items()],
        separators=(",", ":"),
        ensure_ascii=False,
    )
    values["workflow.parameters"] = values["workflow.parameters.json"] = shown
    return values

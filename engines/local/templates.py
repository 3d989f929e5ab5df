"""Reading a pod's rendered template: its containers, what they mount, where it may run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Template = dict[str, Any]


def patched(template: Template) -> Template:
    """Return a template with its `podSpecPatch`, already parsed, laid over its containers."""
    patch = template.get("podSpecPatch")
    if not patch:
        return template
    template = {**template, "podSpecPatch": None}
    if patch.get("nodeSelector"):
        template["nodeSelector"] = {**(template.get("nodeSelector") or {}), **patch["nodeSelector"]}
    for kind in ("initContainers", "containers"):
        for change in patch.get(kind) or ():
            _lay_over(template, change)
    return template


def joined_patch(first: dict[str, Any] | None, second: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return two parsed patches as one, of which the second is laid over what the first has made."""
    joined: dict[str, Any] | None = _merged(first, second) if first and second else first or second
    return joined


def _lay_over(template: Template, change: dict[str, Any]) -> None:
    name = change.get("name")
    if name == "main" and not template.get("containerSet"):
        key = "script" if template.get("script") else "container"
        template[key] = _merged(template[key], change)
        return
    for key in ("initContainers", "sidecars"):
        if template.get(key):
            template[key] = [_merged(one, change) if one["name"] == name else one for one in template[key]]
    if template.get("containerSet"):
        own = template["containerSet"]
        containers = [_merged(one, change) if one["name"] == name else one for one in own["containers"]]
        template["containerSet"] = {**own, "containers": containers}


def _merged(base: Any, change: Any) -> Any:
    """Return a strategic merge: objects by key, lists of named things by name, all else replaced."""
    if isinstance(base, dict) and isinstance(change, dict):
        return {**base, **{key: _merged(base.get(key), value) for key, value in change.items()}}
    if isinstance(base, list) and isinstance(change, list) and all(isinstance(one, dict) for one in base + change):
        by_name = {one.get("name"): one for one in base}
        for one in change:
            by_name[one.get("name")] = _merged(by_name.get(one.get("name")), one)
        return list(by_name.values())
    return change


def containers_of(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield role and spec of every container of a pod."""
    for spec in template.get("initContainers") or ():
        yield "init", spec
    if template.get("containerSet"):
        for spec in template["containerSet"]["containers"]:
            yield "main", spec
    else:
        yield "main", template.get("script") or template["container"]
    for spec in template.get("sidecars") or ():
        yield "sidecar", spec


def volume_mounts(template: Template, role: str, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all volume mounts of a container, with those of the set or of the mirrored main container."""
    mounts = list(spec.get("volumeMounts") or ())
    if role == "main" and template.get("containerSet"):
        mounts += template["containerSet"].get("volumeMounts") or ()
    if role != "main" and spec.get("mirrorVolumeMounts"):
        for other_role, other in containers_of(template):
            if other_role == "main":
                mounts += volume_mounts(template, other_role, other)
    return list({mount["mountPath"]: mount for mount in mounts}.values())


def used_volumes(template: Template) -> set[str]:
    """Return the names of the volumes that a pod's containers mount."""
    return {mount["name"] for role, spec in containers_of(template) for mount in volume_mounts(template, role, spec)}


def place_for(selector: Mapping[str, Any] | None, nodes: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the name of the first declared node that a selector matches, None when there is none."""
    wanted = {str(key): str(value) for key, value in (selector or {}).items()}
    for node in nodes:
        labels = node["labels"]
        if all(labels.get(key) == value for key, value in wanted.items()):
            return str(node["name"])
    return None


def unschedulable(count: int) -> str:
    """Return what a scheduler says when none of so many nodes fits."""
    return (
        f"Unschedulable: 0/{count} nodes are available: {count} node(s) didn't match Pod's node affinity/selector. "
        f"no new claims to deallocate, preemption: 0/{count} nodes are available: {count} Preemption is not helpful "
        "for scheduling."
    )

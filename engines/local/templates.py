"""Reading a pod's rendered template: its containers, what they mount, where it may run."""

from __future__ import annotations

import os
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
    """Return two parsed patches as one; the second is applied after the first."""
    joined: dict[str, Any] | None = _merged(first, second) if first and second else first or second
    return joined


def _lay_over(template: Template, change: dict[str, Any]) -> None:
    name = change.get("name")
    if name == "main" and not template.get("containerSet"):
        key = "container" if template.get("script") is None else "script"
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
    """Return a strategic merge: objects by key, lists of named objects by name, all else replaced."""
    if isinstance(base, dict) and isinstance(change, dict):
        return {**base, **{key: _merged(base.get(key), value) for key, value in change.items()}}
    if isinstance(base, list) and isinstance(change, list) and all(isinstance(one, dict) for one in base + change):
        by_name = {one.get("name"): one for one in base}
        for one in change:
            by_name[one.get("name")] = _merged(by_name.get(one.get("name")), one)
        return list(by_name.values())
    return change


def main_of(template: Template) -> dict[str, Any]:
    """Return the main container of a template without a containerSet."""
    main: dict[str, Any] = template["container"] if template.get("script") is None else template["script"]
    return main


def containers_of(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield role and spec of every container of a pod."""
    for spec in template.get("initContainers") or ():
        yield "init", spec
    if template.get("containerSet"):
        for spec in template["containerSet"]["containers"]:
            yield "main", spec
    else:
        yield "main", main_of(template)
    for spec in template.get("sidecars") or ():
        yield "sidecar", spec


def volume_mounts(template: Template, role: str, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all volume mounts of a container, with those of the containerSet or of the mirrored main container."""
    mounts = list(spec.get("volumeMounts") or ())
    if role == "main" and template.get("containerSet"):
        mounts += template["containerSet"].get("volumeMounts") or ()
    if role != "main" and spec.get("mirrorVolumeMounts"):
        for other_role, other in containers_of(template):
            if other_role == "main":
                mounts += volume_mounts(template, other_role, other)
    return list({mount["mountPath"]: mount for mount in mounts}.values())


def mounted_twice(template: Template) -> str:
    """Return the API server's message for a container with two volumes at one path, or ''."""
    shared = (template.get("containerSet") or {}).get("volumeMounts") or ()
    for role, spec in containers_of(template):
        seen: set[str] = set()
        for mount in (*(shared if role == "main" else ()), *(spec.get("volumeMounts") or ())):
            path = os.path.normpath(mount["mountPath"])
            if path in seen:
                return f'{spec.get("name") or "main"}: volumeMounts: mountPath: Invalid value: "{path}": must be unique'
            seen.add(path)
    return ""


def used_volumes(template: Template) -> set[str]:
    """Return the names of the volumes that a pod's containers mount."""
    return {mount["name"] for role, spec in containers_of(template) for mount in volume_mounts(template, role, spec)}


def place_for(template: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the name of the declared node that a pod goes to by its template, None when there is none.

    Among the nodes that match its `nodeSelector` and `affinity`, the preferred one, else the first.
    """
    selector = {str(key): str(value) for key, value in (template.get("nodeSelector") or {}).items()}
    affinity = (template.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    fitting = [
        node
        for node in nodes
        if all(node["labels"].get(key) == value for key, value in selector.items())
        and (not required or any(_meets(node, term) for term in required.get("nodeSelectorTerms") or ()))
    ]
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()

    def weight(node: Mapping[str, Any]) -> int:
        return sum(int(term["weight"]) for term in preferred if _meets(node, term["preference"]))

    return str(max(fitting, key=weight)["name"]) if fitting else None


def _meets(node: Mapping[str, Any], term: Mapping[str, Any]) -> bool:
    """Return whether a node matches a term; an empty term matches none."""
    wanted = term.get("matchExpressions") or ()
    return bool(wanted) and all(_has(node["labels"], requirement) for requirement in wanted)


def _has(labels: Mapping[str, str], requirement: Mapping[str, Any]) -> bool:
    label, operator = labels.get(str(requirement["key"])), str(requirement["operator"])
    values = [str(value) for value in requirement.get("values") or ()]
    if operator in ("Exists", "DoesNotExist"):
        return (label is not None) == (operator == "Exists")
    if operator in ("In", "NotIn"):
        return (label in values) == (operator == "In")
    try:
        return (
            label is not None and (int(label) > int(values[0])) == (operator == "Gt") and int(label) != int(values[0])
        )
    except ValueError:
        return False


def unschedulable(count: int) -> str:
    """Return a scheduler's message when none of so many nodes matches."""
    return (
        f"Unschedulable: 0/{count} nodes are available: {count} node(s) didn't match Pod's node affinity/selector. "
        f"no new claims to deallocate, preemption: 0/{count} nodes are available: {count} Preemption is not helpful "
        "for scheduling."
    )

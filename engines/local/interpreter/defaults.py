"""`templateDefaults` as Argo lays them below a template: Kubernetes' strategic merge, the template on top.

Objects are merged key by key and lists of named objects by name; every other list is replaced. Of the kinds of
templates a default gives only the template's own kind.
Sources: https://argo-workflows.readthedocs.io/en/latest/template-defaults/,
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Template = dict[str, Any]

_KINDS = ("container", "script", "containerSet", "steps", "dag", "suspend", "resource", "http", "data", "plugin")
_MERGED_BY = {
    "volumes": "name",
    "initContainers": "name",
    "sidecars": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "parameters": "name",
    "artifacts": "name",
    "tolerations": "key",
    "tasks": "name",
}
# Argo's type of a containerSet has no merge keys for its lists.
_REPLACED_IN = {"containerSet": ("containers", "volumeMounts")}
# A string in Argo, even where it is parsed already.
_WHOLE = ("podSpecPatch",)


def with_defaults(template: Template, defaults: Mapping[str, Any]) -> Template:
    """Return a template laid over the defaults."""
    if not defaults:
        return template
    own = [kind for kind in _KINDS if _is_given(template.get(kind))]
    return _laid_over({key: value for key, value in defaults.items() if key not in _KINDS or key in own}, template)


def with_volumes(template: Template, shared: Iterable[dict[str, Any]]) -> Template:
    """Return a pod's template with the Workflow's volumes added, except names that it has itself."""
    shared = list(shared)
    if not shared or template.get("steps") or template.get("dag"):
        return template
    own = template.get("volumes") or ()
    taken = {volume["name"] for volume in own}
    return {**template, "volumes": [*(volume for volume in shared if volume["name"] not in taken), *own]}


def _is_given(value: Any) -> bool:
    # Values that Argo's writer omits count as missing.
    return value is not None and value != []


def _laid_over(base: Mapping[str, Any], over: Mapping[str, Any], replaced: Iterable[str] = ()) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        if not _is_given(value):
            continue
        before = result.get(key)
        if isinstance(before, dict) and isinstance(value, dict) and key not in _WHOLE:
            result[key] = _laid_over(before, value, _REPLACED_IN.get(key, ()))
        elif isinstance(before, list) and isinstance(value, list) and key in _MERGED_BY and key not in replaced:
            result[key] = _by_name(before, value, _MERGED_BY[key])
        else:
            result[key] = value
    return result


def _by_name(base: list[Any], over: list[Any], name: str) -> list[Any]:
    found = {one.get(name): one for one in base if isinstance(one, dict)}
    for one in over:
        found[one.get(name)] = _laid_over(found.get(one.get(name), {}), one)
    return list(found.values())

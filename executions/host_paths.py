"""A data partner's folder in its pods: mounted to be read, and an empty directory where the partner has no path.

A hostPath volume with an empty path is refused by Kubernetes, and a partner's `system_path` may be null. What a path
comes to is followed as far as the manifest tells it: Workflow parameters, inputs of the same name, arguments of the
steps and tasks that call a template, and the items of the list of data partners.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from policy.parts import containers_of, templates_of

_TAG = re.compile(r"^\{\{\s*([\w.-]+)\s*\}\}$")
_WORKFLOW, _INPUT, _ITEM = "workflow.parameters.", "inputs.parameters.", "item.data_path"
_LONGEST_CHAIN = 20


def without_empty_paths(spec: dict[str, Any], parameters: Mapping[str, str], partners_have_paths: bool) -> None:
    """Turn the hostPath volumes of a Workflow's spec whose path will be empty into emptyDir volumes, in place."""
    paths = _Paths(spec, parameters, partners_have_paths)
    for template in [{"volumes": spec.get("volumes")}, *(spec.get("templates") or [])]:
        for volume in template.get("volumes") or []:
            host_path = volume.get("hostPath")
            if host_path is not None and paths.is_empty(str(host_path.get("path", "")), template.get("name", "")):
                del volume["hostPath"]
                volume["emptyDir"] = {}


def mounted_read_only(spec: dict[str, Any]) -> None:
    """Mount the hostPath volumes of a Workflow's spec to be read only, whatever the manifest says, in place."""
    shared = _host_paths(spec) | _host_paths(spec.get("templateDefaults") or {})
    for template in templates_of(spec):
        names = shared | _host_paths(template)
        for holder in (*containers_of(template), template.get("containerSet") or {}):
            for mount in holder.get("volumeMounts") or []:
                if mount.get("name") in names:
                    mount["readOnly"] = True


def _host_paths(holder: Mapping[str, Any]) -> set[str]:
    return {str(volume.get("name")) for volume in holder.get("volumes") or [] if volume.get("hostPath") is not None}


class _Paths:
    def __init__(self, spec: Mapping[str, Any], parameters: Mapping[str, str], partners_have_paths: bool) -> None:
        self._parameters = parameters
        self._partners_have_paths = partners_have_paths
        self._arguments = list(_arguments(spec))

    def is_empty(self, path: str, template: str, depth: int = 0) -> bool:
        """Return whether a path, as written in a template, certainly comes to nothing."""
        tag = _TAG.match(path.strip())
        if tag is None:
            return not path.strip()
        name = tag[1]
        if name == _ITEM:
            return not self._partners_have_paths
        if name.startswith(_INPUT):
            return self._input_is_empty(name.removeprefix(_INPUT), template, depth)
        return name.startswith(_WORKFLOW) and self._parameters.get(name.removeprefix(_WORKFLOW)) == ""

    def _input_is_empty(self, name: str, template: str, depth: int) -> bool:
        given = [(value, caller) for called, key, value, caller in self._arguments if (called, key) == (template, name)]
        if not given:
            return self._parameters.get(name) == ""
        return depth < _LONGEST_CHAIN and all(self.is_empty(value, caller, depth + 1) for value, caller in given)


def _arguments(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield each argument of each call: the called template, the parameter, its value, the calling template."""
    for template in spec.get("templates") or []:
        steps = [step for group in template.get("steps") or [] for step in group]
        for call in [*steps, *((template.get("dag") or {}).get("tasks") or [])]:
            for argument in (call.get("arguments") or {}).get("parameters") or []:
                yield call.get("template", ""), argument["name"], str(argument.get("value", "")), template["name"]

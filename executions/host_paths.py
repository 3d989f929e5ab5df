"""What a data partner's folder becomes in a Workflow: a read-only hostPath volume, a claim or an empty directory.

Kubernetes refuses a hostPath volume with an empty path, and a partner's `system_path` may be null. Pods that may have
no hostPath volumes get a PersistentVolumeClaim if the operator's table has one for the partner's path. The value of a
path is traced as far as the manifest shows it: Workflow parameters, inputs of the same name, arguments of the steps
and tasks that call a template, and the items of the list of data partners.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from executions.facts import Partner
from policy.parts import containers_of, templates_of

# partner -> its system_path -> the claim that holds that folder
Claims = Mapping[str, Mapping[str, str]]

_TAG = re.compile(r"^\{\{\s*([\w.-]+)\s*\}\}$")
_WORKFLOW, _INPUT = "workflow.parameters.", "inputs.parameters."
_ITEM_PATH, _ITEM_PARTNER = "{{item.data_path}}", "{{item.data_partner}}"
_PARTNER_OF_NODE = "dataPartner"
_LONGEST_CHAIN = 20


def without_empty_paths(spec: dict[str, Any], parameters: Mapping[str, str], partners_have_paths: bool) -> None:
    """Turn the hostPath volumes of a Workflow's spec whose path will be empty into emptyDir volumes, in place."""
    empty = {""} if partners_have_paths else {"", _ITEM_PATH}
    for volume, values, _ in _host_paths(spec, parameters):
        if values <= empty:
            del volume["hostPath"]
            volume["emptyDir"] = {}


def with_claims(
    spec: dict[str, Any], parameters: Mapping[str, str], partners: Sequence[Partner], claims: Claims
) -> None:
    """Turn the hostPath volumes of a Workflow's spec into the claims that hold the partners' folders, in place.

    One template serves all partners of a federated training, so the names of their claims may differ only in the
    partner's name. A path without a claim stays as it is.
    """
    found = {partner.name: _claim_of(partner, claims) for partner in partners}
    for volume, values, its_partner in _host_paths(spec, parameters):
        names: set[str]
        if values == {_ITEM_PATH} and its_partner:
            names = {claim.replace(partner, its_partner) for partner, claim in found.items()}
        else:
            names = {found[partner.name] for partner in partners if values == {partner.system_path}}
        if len(names) == 1 and all(names):
            del volume["hostPath"]
            volume["persistentVolumeClaim"] = {"claimName": names.pop(), "readOnly": True}


def _claim_of(partner: Partner, claims: Claims) -> str:
    path = (partner.system_path or "").rstrip("/")
    return claims.get(partner.name, {}).get(path, "")


def _host_paths(
    spec: Mapping[str, Any], parameters: Mapping[str, str]
) -> Iterator[tuple[dict[str, Any], set[str], str]]:
    """Yield each hostPath volume with its path's possible values and the tag that names the partner in its template."""
    values = _Values(spec, parameters)
    shared = {"volumes": spec.get("volumes"), "nodeSelector": spec.get("nodeSelector")}
    for template in [shared, *(spec.get("templates") or [])]:
        name = template.get("name", "")
        tag = str((template.get("nodeSelector") or {}).get(_PARTNER_OF_NODE, ""))
        its_partner = tag if set(values.of(tag, name)) == {_ITEM_PARTNER} else ""
        for volume in template.get("volumes") or []:
            host_path = volume.get("hostPath")
            if host_path is not None:
                yield volume, set(values.of(str(host_path.get("path", "")), name)), its_partner


def mounted_read_only(spec: dict[str, Any]) -> None:
    """Make all mounts of hostPath volumes in a Workflow's spec read-only, whatever the manifest says, in place."""
    shared = _host_path_names(spec) | _host_path_names(spec.get("templateDefaults") or {})
    for template in templates_of(spec):
        names = shared | _host_path_names(template)
        for holder in (*containers_of(template), template.get("containerSet") or {}):
            for mount in holder.get("volumeMounts") or []:
                if mount.get("name") in names:
                    mount["readOnly"] = True


def _host_path_names(holder: Mapping[str, Any]) -> set[str]:
    return {str(volume.get("name")) for volume in holder.get("volumes") or [] if volume.get("hostPath") is not None}


class _Values:
    """The values of a Workflow's texts, as far as they can be determined; otherwise the tag itself."""

    def __init__(self, spec: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        self._parameters = parameters
        self._arguments = list(_arguments(spec))

    def of(self, text: str, template: str, depth: int = 0) -> Iterator[str]:
        """Yield each value that a text of a template can have."""
        text = text.strip()
        tag = _TAG.match(text)
        if tag is None:
            yield text
        elif tag[1].startswith(_INPUT):
            yield from self._of_input(tag[1].removeprefix(_INPUT), template, depth)
        elif tag[1].startswith(_WORKFLOW):
            yield self._parameters.get(tag[1].removeprefix(_WORKFLOW), text)
        else:
            yield "{{" + tag[1] + "}}"

    def _of_input(self, name: str, template: str, depth: int) -> Iterator[str]:
        given = [(value, caller) for called, key, value, caller in self._arguments if (called, key) == (template, name)]
        if not given or depth >= _LONGEST_CHAIN:
            tag = "{{" + _INPUT + name + "}}"
            yield tag if given else self._parameters.get(name, tag)
        else:
            for value, caller in given:
                yield from self.of(value, caller, depth + 1)


def _arguments(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield each argument of each call: the called template, the parameter, its value, the calling template."""
    for template in spec.get("templates") or []:
        steps = [step for group in template.get("steps") or [] for step in group]
        for call in [*steps, *((template.get("dag") or {}).get("tasks") or [])]:
            for argument in (call.get("arguments") or {}).get("parameters") or []:
                yield call.get("template", ""), argument["name"], str(argument.get("value", "")), template["name"]

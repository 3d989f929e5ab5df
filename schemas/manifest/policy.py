"""What a manifest may not ask of the machines it runs on.

A manifest may mount the data partner's own path and nothing else of the host, and may not leave its pods. What only a
parameter decides at run time is followed to where the parameter comes from; where that cannot be known, it is refused.
Fields are looked for wherever they stand, so that a place in the API that nobody thought of is held to the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from schemas.manifest.faults import ManifestFault, Unreadable
from schemas.manifest.outline import TAG, WORKFLOW_PARAMETER, Entry, Outline, as_mapping
from schemas.manifest.reading import read

# Their keys are anybody's words, not fields.
_FREE_MAPS = frozenset({"labels", "annotations", "nodeSelector", "matchLabels"})

PARTNER_PATH = "{{workflow.parameters.execution_dataPartnerDataPath}}"
PARTNER_LIST_PATH = "{{item.data_path}} of {{workflow.parameters.execution_dataPartnerPatientsList}}"

# Typed by users: good inside the quotes of a JSON text, and nowhere else.
_USER_TEXT = re.compile(r"execution_outputAIModel")
_HARMLESS = re.compile(r"[A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Policy:
    """What differs between installations."""

    service_accounts: tuple[str, ...] = ("argo-workflow",)
    allow_host_network: bool = True


def policy_faults(outline: Outline, policy: Policy) -> list[ManifestFault]:
    """Return every place where a manifest asks for what the policy refuses, with the name of the rule."""
    faults: list[ManifestFault] = []
    for entry in outline.entries:
        if entry.is_key or _is_free(entry.pointer):
            continue
        faults += _field_faults(entry, policy)
        if entry.key == "hostPath" and not isinstance(entry.value, list):
            faults += _host_path_faults(entry, outline)
        elif entry.key == "podSpecPatch" and isinstance(entry.value, str):
            faults += _patch_faults(entry, outline, policy)
        elif entry.pointer in outline.templates:
            faults += _template_faults(entry)
        elif entry.key in ("templateRef", "workflowTemplateRef") and entry.value is not None:
            faults.append(_refused(entry.pointer, "no-outside-templates", f"{entry.key} leads out of this manifest"))
    return faults


def _refused(pointer: str, rule: str, detail: str) -> ManifestFault:
    return ManifestFault(pointer, f"refused by the rule {rule}: {detail}")


def _is_free(pointer: str) -> bool:
    return not _FREE_MAPS.isdisjoint(pointer.split("/")[:-1])


def _is_asked(value: Any) -> bool:
    # Not just `True`: after parameters are filled in, any text may have become it.
    return value not in (None, False, "")


def _is_added(value: Any) -> bool:
    return bool(as_mapping(value).get("add")) or (value is not None and not isinstance(value, dict))


_REFUSED_FIELDS: dict[str, tuple[str, Callable[[Any], bool], str]] = {
    "privileged": ("no-privileged-containers", _is_asked, "a privileged container"),
    "allowPrivilegeEscalation": ("no-privilege-escalation", _is_asked, "allowPrivilegeEscalation"),
    "capabilities": ("no-added-capabilities", _is_added, "added capabilities"),
    "procMount": ("no-unmasked-proc", lambda value: value not in (None, "Default"), "a proc mount of its own"),
    "hostProcess": ("no-privileged-containers", _is_asked, "a host process container"),
    "hostPID": ("no-host-pid", _is_asked, "the host's processes"),
    "hostIPC": ("no-host-ipc", _is_asked, "the host's shared memory"),
}


def _field_faults(entry: Entry, policy: Policy) -> Iterator[ManifestFault]:
    if entry.key in _REFUSED_FIELDS and not _is_item(entry):
        rule, is_refused, words = _REFUSED_FIELDS[entry.key]
        if is_refused(entry.value):
            yield _refused(entry.pointer, rule, f"asks for {words}")
    elif entry.key == "hostNetwork" and _is_asked(entry.value) and not policy.allow_host_network:
        yield _refused(entry.pointer, "no-host-network", "asks for the host's network")
    elif entry.key in ("serviceAccountName", "serviceAccount") and not _is_allowed_account(entry.value, policy):
        allowed = ", ".join(policy.service_accounts) or "none"
        yield _refused(
            entry.pointer, "service-accounts", f"{str(entry.value)[:80]} is not among those allowed: {allowed}"
        )


def _is_allowed_account(value: Any, policy: Policy) -> bool:
    return not _is_asked(value) or value in policy.service_accounts


def _is_item(entry: Entry) -> bool:
    return entry.pointer.rpartition("/")[2].isdecimal()


def _template_faults(entry: Entry) -> Iterator[ManifestFault]:
    if as_mapping(entry.value).get("resource") is not None:
        yield _refused(
            f"{entry.pointer}/resource", "no-resource-templates", "a resource template changes the cluster itself"
        )


def _host_path_faults(entry: Entry, outline: Outline) -> Iterator[ManifestFault]:
    rule, pointer = "host-path", f"{entry.pointer}/path"
    path = as_mapping(entry.value).get("path")
    if not isinstance(path, str):
        if entry.value is not None:
            yield _refused(entry.pointer, rule, "a hostPath needs the data partner's own path")
        return
    # The whole text, not a part: what comes after an empty path would be a path of the host's own.
    for origin in sorted(outline.origins(path, entry.template)):
        if origin not in _partner_paths(outline):
            detail = "may only be the data partner's own path ({{workflow.parameters.execution_dataPartnerDataPath}},"
            detail += " or {{item.data_path}} of execution_dataPartnerPatientsList), and nothing added to it"
            if origin != path:
                detail += f"; it can become {origin[:120]}"
            yield _refused(pointer, rule, detail)


def _partner_paths(outline: Outline) -> set[str]:
    paths = set()
    # Where the orchestrator gives no such parameter, a manifest could declare one of that name with any path.
    if "execution_dataPartnerDataPath" in outline.provided:
        paths.add(PARTNER_PATH)
    if "execution_dataPartnerPatientsList" in outline.provided:
        paths.add(PARTNER_LIST_PATH)
    return paths


def _patch_faults(entry: Entry, outline: Outline, policy: Policy) -> Iterator[ManifestFault]:
    """Hold the text of a podSpecPatch to the same rules, as it will read once its parameters are filled in."""
    rule = "pod-spec-patch"
    for match in TAG.finditer(entry.value):
        for origin in sorted(outline.origins(match.group(0), entry.template)):
            if not _is_safe_in_patch(origin, outline):
                yield _refused(
                    entry.pointer, rule, f"nobody knows beforehand what {match.group(0)[:120]} becomes inside it"
                )
    try:
        patch = read(TAG.sub("parameter", entry.value).encode()).value
    except Unreadable as error:
        yield _refused(entry.pointer, rule, f"its text {error.fault.detail}")
        return
    for inner in Outline(patch, frozenset()).entries:
        if inner.is_key:
            continue
        where = f" (in the patch at {inner.pointer})"
        for fault in _field_faults(inner, policy):
            yield ManifestFault(entry.pointer, fault.detail + where)
        if inner.key == "hostPath" and inner.value is not None:
            yield _refused(entry.pointer, "host-path", f"a patch may not add a hostPath{where}")


def _is_safe_in_patch(origin: str, outline: Outline) -> bool:
    match = TAG.fullmatch(origin)
    if match is None:
        return _HARMLESS.fullmatch(origin) is not None
    name = match.group(1).strip().removeprefix(WORKFLOW_PARAMETER)
    return name in outline.provided and _USER_TEXT.match(name) is None

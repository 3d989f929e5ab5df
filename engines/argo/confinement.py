"""What restricted pods may have: check it before submission, and add required fields that are missing.

The profile is `restricted` of https://kubernetes.io/docs/concepts/security/pod-security-standards/. The boundary is the
API server, which refuses other pods in a namespace that is labelled so. This module decides which namespace a Workflow
gets, and adds to its containers the fields that the profile requires.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from engines.base import FEDERATED_ANNOTATION, Manifest

PARTNER_LABEL = "orchestrator/data-partner"
FEDERATED_LABEL = "orchestrator/federated"
# A cluster node has this label with the name of its data partner.
_PARTNER_OF_NODE = "dataPartner"
_OUR_PREFIX = "orchestrator/"
_TAG = re.compile(r"\{\{\s*workflow\.parameters\.([\w.-]+)\s*\}\}")
# Their keys are free words, not fields.
_FREE_MAPS = frozenset({"labels", "annotations", "nodeSelector", "matchLabels"})
_VOLUMES = frozenset(
    {"name", "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)

# Argo and Kubernetes read them without regard to case.
_OF_TOKENS = frozenset({"automountserviceaccounttoken", "executor"})

# Defaults of each container; stricter values of a manifest stay.
_CONTEXT: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def _is_kept_in(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") in ("RuntimeDefault", "Localhost")


def _is_dropping(value: Any) -> bool:
    return isinstance(value, dict) and set(value.get("add") or []) <= {"NET_BIND_SERVICE"}


def _any(value: Any) -> bool:
    return True


# The fields of a securityContext, with their allowed values.
_ALLOWED: Mapping[str, Callable[[Any], bool]] = {
    "allowPrivilegeEscalation": lambda value: value is False,
    "appArmorProfile": _is_kept_in,
    "capabilities": _is_dropping,
    "fsGroup": _any,
    "fsGroupChangePolicy": _any,
    "privileged": lambda value: value is False,
    "procMount": lambda value: value == "Default",
    "readOnlyRootFilesystem": _any,
    "runAsGroup": _any,
    "runAsNonRoot": lambda value: value is True,
    "runAsUser": lambda value: isinstance(value, int) and value > 0,
    "seccompProfile": _is_kept_in,
    "supplementalGroups": _any,
}


def excesses(manifest: Manifest, root_images: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield what a Workflow's pods have that restricted pods may not: the JSON pointer of each field, and a text.

    `root_images` are patterns of the names of images that run as root, with or without their registry.
    """
    spec = manifest.get("spec") or {}
    parameters = {
        str(each.get("name")): str(each.get("value", ""))
        for each in (spec.get("arguments") or {}).get("parameters") or []
        if isinstance(each, dict)
    }
    for pointer, key, value in _fields(spec, "/spec"):
        if key == "hostNetwork" and value not in (None, False):
            yield pointer, "the network of its cluster node"
        elif key == "hostPort" and value not in (None, 0):
            yield pointer, "a port of its cluster node"
        elif key == "volumes" and isinstance(value, list):
            yield from _excesses_of_volumes(pointer, value)
        elif key == "securityContext" and isinstance(value, dict):
            for name, held in value.items():
                if held is not None and (name not in _ALLOWED or not _ALLOWED[name](held)):
                    yield f"{pointer}/{name}", f"{name}: {held}"
        elif key == "image" and isinstance(value, str) and _is_any_of(_filled(value, parameters), root_images):
            yield pointer, f"the image {_filled(value, parameters)}, which runs as root"


def _excesses_of_volumes(pointer: str, volumes: list[Any]) -> Iterator[tuple[str, str]]:
    for index, volume in enumerate(volumes):
        for name in sorted(set(volume if isinstance(volume, dict) else ()) - _VOLUMES):
            yield f"{pointer}/{index}/{name}", f"a volume of the kind {name}"


def _fields(value: Any, pointer: str) -> Iterator[tuple[str, str, Any]]:
    """Yield every field at any depth: its pointer, its name and its value."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _fields(item, f"{pointer}/{index}")
    elif isinstance(value, dict):
        for key, held in value.items():
            where = f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
            yield where, str(key), held
            if key not in _FREE_MAPS:
                yield from _fields(held, where)


def _filled(text: str, parameters: Mapping[str, str]) -> str:
    return _TAG.sub(lambda match: parameters.get(match[1], match[0]), text)


def _is_any_of(image: str, patterns: Sequence[str]) -> bool:
    names = (image, image.rpartition("/")[2])
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def restricted(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a Workflow's spec with the fields that the profile requires in its containers."""
    return _mapped(spec, _restricted_template)


def labelled(manifest: Manifest) -> dict[str, Any]:
    """Return a Workflow's spec whose pods carry the labels that network policies select.

    The labels are the data partner of their node, and whether they train together; a manifest's own labels of
    these names are dropped, and labels whose names Argo would fill in.
    """
    spec = _spelt(manifest["spec"], "podMetadata")
    annotations = (manifest.get("metadata") or {}).get("annotations") or {}
    together = {FEDERATED_LABEL: "true"} if FEDERATED_ANNOTATION in annotations else {}
    if "podMetadata" in spec or together:
        spec["podMetadata"] = _with_labels(spec.get("podMetadata"), together)
    by_default = _selector(spec.get("templateDefaults"))

    def of_template(template: dict[str, Any]) -> dict[str, Any]:
        found = _spelt(template, "metadata")
        # As Argo does: the Workflow's own nodeSelector is for templates without one.
        partner = ({**by_default, **_selector(template)} or _selector(spec)).get(_PARTNER_OF_NODE)
        own = {PARTNER_LABEL: str(partner)} if partner else {}
        if "metadata" in found or own:
            found["metadata"] = _with_labels(found.get("metadata"), own)
        return found

    return _mapped(spec, of_template)


def _selector(holder: Any) -> dict[str, Any]:
    selector = holder.get("nodeSelector") if isinstance(holder, dict) else None
    return selector if isinstance(selector, dict) else {}


def _spelt(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a mapping without other spellings of a name, which a case-insensitive reader would take for it."""
    return {key: held for key, held in mapping.items() if key == name or str(key).lower() != name.lower()}


def _with_labels(metadata: Any, ours: Mapping[str, str]) -> dict[str, Any]:
    given = _spelt(metadata, "labels") if isinstance(metadata, dict) else {}
    own = given.get("labels")
    kept = {key: held for key, held in own.items() if _is_theirs(str(key))} if isinstance(own, dict) else {}
    return {**given, "labels": {**kept, **ours}}


def _is_theirs(label: str) -> bool:
    return "{{" not in label and not label.startswith(_OUR_PREFIX)


def _mapped(spec: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Return a spec with each of its templates changed, those inside steps and tasks too."""

    def of(value: Any, is_template: bool = False) -> Any:
        if isinstance(value, list):
            return [of(item, is_template) for item in value]
        if not isinstance(value, dict):
            return value
        found = {
            key: of(held, key == "inline") if key in ("steps", "dag", "tasks", "inline") else held
            for key, held in value.items()
        }
        return change(found) if is_template else found

    changed = {**spec, "templates": of(spec.get("templates") or [], is_template=True)}
    if isinstance(spec.get("templateDefaults"), dict):
        changed["templateDefaults"] = of(spec["templateDefaults"], is_template=True)
    return changed


def without_tokens(spec: dict[str, Any], executor: str) -> dict[str, Any]:
    """Return a spec whose containers have no token of the cluster, except Argo's own, which use an account.

    https://argo-workflows.readthedocs.io/en/latest/fields/#executorconfig
    """

    def without(holder: dict[str, Any]) -> dict[str, Any]:
        return {key: held for key, held in holder.items() if str(key).lower() not in _OF_TOKENS}

    given = {"automountServiceAccountToken": False, "executor": {"serviceAccountName": executor}}
    return {**_mapped(without(spec), without), **given}


def _restricted_template(template: dict[str, Any]) -> dict[str, Any]:
    found = dict(template)
    for key in ("container", "script"):
        if isinstance(found.get(key), dict):
            found[key] = _restricted_container(found[key])
    for key in ("initContainers", "sidecars"):
        if isinstance(found.get(key), list):
            found[key] = [_restricted_container(each) for each in found[key]]
    grouped = found.get("containerSet")
    if isinstance(grouped, dict) and isinstance(grouped.get("containers"), list):
        found["containerSet"] = {
            **grouped,
            "containers": [_restricted_container(each) for each in grouped["containers"]],
        }
    return found


def _restricted_container(container: Any) -> Any:
    if not isinstance(container, dict):
        return container
    given = {key: value for key, value in (container.get("securityContext") or {}).items() if value is not None}
    context = {**_CONTEXT, **given}
    added = (given.get("capabilities") or {}).get("add")
    context["capabilities"] = {**_CONTEXT["capabilities"], **({"add": added} if added else {})}
    return {**container, "securityContext": context}

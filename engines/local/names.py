"""Check names, and paths inside a pod, in a manifest by the rules of Kubernetes and Argo.

No file of this machine gets such a name: volumes, pods and logs have numbers. The rules are
applied when a Workflow is submitted and again to rendered templates, since a tag may become anything.
Sources: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/,
https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/volume/,
https://argo-workflows.readthedocs.io/en/latest/fields/.

Imported by the supervisor: it must load fast.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any

from engines.local.fields import ANYTHING, KINDS

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_FIELD_NAME = re.compile(r"[-._a-zA-Z0-9]{1,128}")
_LONGEST_NAME = 253
_LONGEST_PART = 255
_LONGEST_PATH = 4095
# The container that fetches artifacts; it has the same name in Argo.
FETCHING = "init"
HOST_PATH_TYPES = ("", "Directory", "DirectoryOrCreate", "File", "FileOrCreate")

Form = Callable[[Any], str]


def label(value: Any) -> str:
    """Return what is wrong with a label of RFC 1123, or ''."""
    if isinstance(value, str) and _LABEL.fullmatch(value):
        return ""
    return f"{value!r} is not a name: expected 1 to 63 lower-case letters, digits and '-', without '-' at either end"


def subdomain(value: Any) -> str:
    """Return what is wrong with a subdomain of RFC 1123, or ''."""
    if isinstance(value, str) and len(value) <= _LONGEST_NAME and _SUBDOMAIN.fullmatch(value):
        return ""
    return f"{value!r} is not a name: expected at most {_LONGEST_NAME} lower-case letters, digits, '-' and '.'"


def key(value: Any) -> str:
    """Return what is wrong with a key of a ConfigMap or Secret, or ''."""
    if (
        isinstance(value, str)
        and len(value) <= _LONGEST_NAME
        and _KEY.fullmatch(value)
        and value != "."
        and not value.startswith("..")
    ):
        return ""
    return f"{value!r} is not a key: expected letters, digits, '-', '_' and '.', without '..' at the beginning"


def field_name(value: Any) -> str:
    """Return what is wrong with the name of a template or an artifact, or ''."""
    if isinstance(value, str) and _FIELD_NAME.fullmatch(value):
        return ""
    return f"{value!r} is not a name: expected 1 to 128 letters, digits, '-', '_' and '.'"


def relative(value: Any) -> str:
    """Return what is wrong with a path within a volume, or ''."""
    if isinstance(value, str) and not value.startswith("/") and _is_path(value):
        return ""
    return f"{value!r} is not a path within a volume: expected a relative path without '..'"


def absolute(value: Any) -> str:
    """Return what is wrong with a path inside a container or on a host, or ''."""
    if isinstance(value, str) and value.startswith("/") and value.strip("/") and _is_path(value):
        return ""
    return f"{value!r} is not an absolute path: expected '/' and a name, without '..'"


def _mount_path(value: Any) -> str:
    # The engine checks again when links are resolved.
    problem = absolute(value)
    if problem:
        return problem
    parts = parts_of(value)
    if parts[:1] == ["proc"] or (parts[:1] == ["dev"] and parts[:2] != ["dev", "shm"]):
        return f"{value!r} is not a path to mount at: /proc and /dev, except /dev/shm, belong to the container"
    return ""


def _host_path(value: Any) -> str:
    # A path that is empty after rendering stands for an emptyDir.
    return "" if value == "" else absolute(value)


def _host_path_type(value: Any) -> str:
    return "" if value in HOST_PATH_TYPES else f"type must be one of {', '.join(HOST_PATH_TYPES[1:])}, not {value!r}"


def _is_path(value: str) -> bool:
    parts = value.split("/")
    return (
        len(value) <= _LONGEST_PATH
        and "\0" not in value
        and ".." not in parts
        and all(len(part.encode("utf-8", "surrogatepass")) <= _LONGEST_PART for part in parts)
    )


def parts_of(path: str) -> list[str]:
    """Return the parts of a relative path, without '.' and empty ones."""
    return [part for part in path.split("/") if part not in ("", ".")]


# Of the kinds of objects in `fields.KINDS`.
FORMS: dict[str, dict[str, Form]] = {
    "template": {"name": field_name},
    "artifact": {"name": field_name, "path": absolute, "subPath": relative},
    "valueFrom": {"path": absolute},
    "container": {"name": label},
    "script": {"name": label},
    "userContainer": {"name": label},
    "setContainer": {"name": label},
    "volume": {"name": label},
    "volumeMount": {"name": label, "mountPath": _mount_path, "subPath": relative},
    "configMap": {"name": subdomain},
    "secret": {"secretName": subdomain},
    "keyRef": {"name": subdomain, "key": key},
    "objectRef": {"name": subdomain},
    "claimMetadata": {"name": label},
    "item": {"key": key, "path": relative},
    "hostPath": {"path": _host_path, "type": _host_path_type},
}


def is_tagged(value: Any) -> bool:
    """Return whether a value is known only when it is rendered."""
    return isinstance(value, str) and "{{" in value


def problems(value: Mapping[str, Any], kind: str, pointer: str, *, rendered: bool = False) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the names of one object, and the JSON pointer of each; tags are accepted until
    `rendered`."""
    for name, form in FORMS.get(kind, {}).items():
        item = value.get(name)
        if item is None or (is_tagged(item) and not rendered):
            continue
        problem = form(item)
        if problem:
            yield problem, f"{pointer}/{name}"
    if kind == "item" and isinstance(value.get("path"), str) and not parts_of(value["path"]):
        yield f"{value['path']!r} is not the name of a file", f"{pointer}/path"
    if kind == "template":
        # A rendered template already has the container that fetches artifacts.
        taken = {FETCHING} if not rendered and _fetches(value) else set[str]()
        yield from twins(value, pointer, taken)


def twins(template: Mapping[str, Any], pointer: str = "", taken: Set[str] = frozenset()) -> Iterator[tuple[str, str]]:
    """Yield the names that two volumes or two containers of one pod have; `taken` are those of further containers."""
    volumes = template.get("volumes")
    places = [(volume, f"volumes/{index}") for index, volume in enumerate(volumes if isinstance(volumes, list) else ())]
    yield from _repeated(places, set(), pointer)
    lists = [(name, template.get(name)) for name in ("initContainers", "sidecars")]
    seen: set[Any] = set(taken)
    own = template.get("containerSet")
    if isinstance(own, dict):
        lists.append(("containerSet/containers", own.get("containers")))
    elif template.get("container") is not None or template.get("script") is not None:
        seen.add("main")
    yield from _repeated(
        [(one, f"{name}/{i}") for name, found in lists if isinstance(found, list) for i, one in enumerate(found)],
        seen,
        pointer,
    )


def _fetches(template: Mapping[str, Any]) -> bool:
    inputs = template.get("inputs")
    artifacts = inputs.get("artifacts") if isinstance(inputs, dict) else None
    return isinstance(artifacts, list) and any(isinstance(one, dict) and one.get("http") for one in artifacts)


def _repeated(places: list[tuple[Any, str]], seen: set[Any], pointer: str) -> Iterator[tuple[str, str]]:
    for one, place in places:
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str) or is_tagged(name):
            continue
        if name in seen:
            yield f"another volume or container of this pod has the name {name}", f"{pointer}/{place}/name"
        seen.add(name)


def first_problem(value: Any, kind: str, pointer: str = "") -> str:
    """Return the first thing wrong with the names of an object that is rendered and of all in it, or ''."""
    if not isinstance(value, dict):
        return ""
    for problem, place in problems(value, kind, pointer, rendered=True):
        return f"{place}: {problem}"
    inner = _LEADING.get(kind)
    if not inner:
        return ""
    for name, form in inner:
        item = value.get(name)
        if not item:
            continue
        if isinstance(item, list):
            for index, one in enumerate(item):
                found = first_problem(one, form.strip("[]"), f"{pointer}/{name}/{index}")
                if found:
                    return found
        else:
            found = first_problem(item, form, f"{pointer}/{name}")
            if found:
                return found
    return ""


def _leading() -> dict[str, list[tuple[str, str]]]:
    """Return, by kind, the fields of a pod's template in which some name may lie."""
    useful = set(FORMS)
    grown = True
    while grown:
        more = {kind for kind, known in KINDS.items() if any(form.strip("[]") in useful for form in known.values())}
        grown = not more <= useful
        useful |= more
    away = {"steps", "dag", "suspend", "retryStrategy", "synchronization"}
    return {
        kind: [
            (name, form)
            for name, form in known.items()
            if form != ANYTHING and name not in away and form.strip("[]") in useful
        ]
        for kind, known in KINDS.items()
    }


_LEADING = _leading()

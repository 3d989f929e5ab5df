"""Patches of pods: the filled-in text must match the table of a pod."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from policy.faults import ManifestFault, Unreadable
from policy.forms import Check, Form, Json, shown
from policy.outline import SYMBOL, TEMPLATE_DEFAULTS, as_list, as_mapping, symbol
from policy.parts import containers_of, templates_of
from policy.reading import read

# Values typed by users: safe only inside the quotes of a JSON string.
_USER_TEXT = re.compile(r"\0execution_outputAIModel[^\0]*\0")


class Patch(Form):
    """The text of a podSpecPatch, with whatever its references become, checked by the table of a pod.

    Argo reads it as YAML, lays it over the pod by Kubernetes' strategic merge, and decodes it without regard to case.
    So only exact names pass, each of them once, and no directive (`$patch`).
    """

    def __init__(self) -> None:
        self.table: Form | None = None

    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, str):
            check.refuse(at, "pod-spec-patch", "must be a string")
            return
        assert self.table is not None
        for text in check.becomes(value):
            opened = _TAGS.search(text) or (None if check.is_rendered else _USER_TEXT.search(text))
            if opened:
                check.refuse(
                    at, "pod-spec-patch", f"holds {shown(opened[0])}, whose value is not known before the Workflow runs"
                )
                continue
            marks = {symbol(name): f"known-later-{number}-" for number, name in enumerate(_names(text))}
            marked = text
            for meant, mark in marks.items():
                marked = marked.replace(meant, mark)
            try:
                patch = _read_patch(marked)
            except Unreadable as error:
                check.refuse(at, "pod-spec-patch", f"its text {error.fault.detail}")
                continue
            inner = check.of_patch(patch, at, {mark: meant for meant, mark in marks.items()})
            self.table.check(patch, "", inner)
            _check_names(patch, inner)
            for fault in inner.faults:
                check.add(ManifestFault(at, f"{fault.detail} (in the patch at {fault.pointer or '/'})"))


_TAGS = re.compile(r"\{\{.*?\}\}|\{\{", re.DOTALL)


def _check_names(patch: Mapping[str, Any], check: Check) -> None:
    """Refuse changes of containers that are not the manifest's own, and new containers."""
    outline = check.outline
    own = outline.templates.get(check.template)
    templates = list(templates_of(outline.spec)) if own is None or check.template == TEMPLATE_DEFAULTS else [own]
    names = {"main", *(each.get("name") for template in templates for each in containers_of(template))}
    for kind in ("containers", "initContainers"):
        for index, container in enumerate(as_list(patch.get(kind))):
            name = as_mapping(container).get("name")
            if not isinstance(name, str) or name not in names:
                words = f"{shown(name)} is not a container of the manifest"
                check.refuse(f"/{kind}/{index}/name", "pod-spec-patch", words)


def _names(text: str) -> Iterator[str]:
    """Yield the names of the parameters whose values only the execution knows."""
    yield from dict.fromkeys(SYMBOL.findall(text))


def _read_patch(text: str) -> dict[str, Any]:
    """Return the object that a patch holds. Raises Unreadable."""
    try:
        patch = json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_number)
    except (ValueError, RecursionError):
        # JSON is YAML as well, and faster to read.
        return read(text.encode("utf-8", "surrogatepass")).value
    if not isinstance(patch, dict):
        raise Unreadable(ManifestFault("", "must be an object"))
    return patch


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unreadable(ManifestFault("", "has a key twice"))
    return found


def _no_number(text: str) -> float:
    raise Unreadable(ManifestFault("", f"holds {text}, which is not a number in JSON"))

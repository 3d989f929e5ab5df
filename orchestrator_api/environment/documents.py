"""Settings that are JSON: the faults of one, in messages that quote only its keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from orchestrator_api.environment.forms import Form, json_object
from policy.allowed_fields import field_complaints
from policy.places import folder_complaints

# As Kubernetes names objects: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_CLAIM = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_IMAGE_PARTS: dict[str, tuple[type, ...]] = {
    "command": (list, type(None)),
    "args": (list,),
    "env": (dict,),
    "working_dir": (str,),
    "mounts": (list,),
}


def _claim_complaints(claims: dict[str, Any]) -> Iterator[str]:
    for partner, paths in claims.items():
        if not isinstance(paths, dict):
            yield f"{partner} must have an object of folders and claims"
            continue
        for path, claim in paths.items():
            if not path.startswith("/"):
                yield f"{path!r} of {partner} is not an absolute path"
            if not isinstance(claim, str) or not _CLAIM.fullmatch(claim):
                yield f"{claim!r} of {partner} is not a valid name of a claim"


def _image_complaints(images: dict[str, Any]) -> Iterator[str]:
    for pattern, entry in images.items():
        if not isinstance(entry, dict):
            yield f"{pattern} must have an object, such as one with `command`"
            continue
        for name, value in entry.items():
            if name not in _IMAGE_PARTS:
                yield f"{name!r} of {pattern} is not one of {', '.join(_IMAGE_PARTS)}"
            elif not isinstance(value, _IMAGE_PARTS[name]):
                yield f"{name!r} of {pattern} is of the wrong type"
            elif isinstance(value, list) and not all(isinstance(each, str) for each in value):
                yield f"{name!r} of {pattern} must hold strings"


def _claims(value: str) -> dict[str, dict[str, str]]:
    claims = _CLAIMS.read(value)
    return {partner: {path.rstrip("/"): claim for path, claim in paths.items()} for partner, paths in claims.items()}


_CLAIMS = json_object('{"PARTNER": {"/its/system_path": "name-of-a-claim"}}', _claim_complaints)
CLAIMS = Form(_CLAIMS.expected, _claims, is_json=True)
PARTNER_PATHS = json_object('{"data-partner-1": ["/srv/data"]}', folder_complaints)
LOCAL_IMAGES = json_object(
    '{"my-engine:*": {"command": ["python", "-m", "engine"], "env": {}, "working_dir": "/srv"}}', _image_complaints
)
ALLOWED_FIELDS = json_object('{"/spec/templates/*/tolerations": null}', field_complaints)

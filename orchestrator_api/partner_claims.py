"""The setting DATA_PARTNER_CLAIMS: which PersistentVolumeClaim holds which folder of a data partner."""

from __future__ import annotations

import json
import re
from typing import Any

from django.core.exceptions import ImproperlyConfigured

# As Kubernetes names objects: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_CLAIM = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_SHAPE = 'DATA_PARTNER_CLAIMS is JSON: {"PARTNER": {"/its/system_path": "name-of-a-claim"}}'


def claims_from(text: str) -> dict[str, dict[str, str]]:
    """Return the claims by partner and path. Raises ImproperlyConfigured for anything else."""
    try:
        value: Any = json.loads(text)
    except ValueError as error:
        raise ImproperlyConfigured(f"{_SHAPE}: {error}.") from error
    if not isinstance(value, dict) or not all(isinstance(paths, dict) for paths in value.values()):
        raise ImproperlyConfigured(f"{_SHAPE}.")
    for partner, paths in value.items():
        for path, claim in paths.items():
            if not path.startswith("/"):
                raise ImproperlyConfigured(f"{_SHAPE}; {path!r} of {partner} is no path.")
            if not isinstance(claim, str) or not _CLAIM.fullmatch(claim):
                raise ImproperlyConfigured(f"{_SHAPE}; {claim!r} of {partner} cannot be the name of a claim.")
    return {partner: {path.rstrip("/"): claim for path, claim in paths.items()} for partner, paths in value.items()}

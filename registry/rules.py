"""Rules for the model registry's values, as functions of plain data."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

Patients = Mapping[str, Sequence[str]]

# Name and tag of an image: https://github.com/opencontainers/distribution-spec/blob/main/spec.md, "Pulling manifests".
_NAME_PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
CONTAINER_NAME = re.compile(rf"{_NAME_PART}(/{_NAME_PART})*")
CONTAINER_VERSION = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
# A technology readiness level; blank if none is given.
TRL = re.compile(r"[1-9]?")

_FORMS = {
    "memory": re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?([kMGTPE]|[KMGTPE]i)?"),
    "cpu": re.compile(r"[0-9]{1,9}m|[0-9]{1,6}(\.[0-9]{1,3})?"),
}
_FACTORS = {
    "m": Decimal("0.001"),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("", "k", "M", "G", "T", "P", "E"))},
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
}


def data_digest(patients: Patients) -> str:
    """Return the SHA-256 of data partners and their patients, independent of the order of partners and ids."""
    canonical = json.dumps(
        {partner: sorted({str(patient) for patient in ids}) for partner, ids in patients.items()},
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def quantity(resource: str, text: str) -> Decimal:
    """Return a quantity of `memory` in bytes (`3584Mi`) or of `cpu` in cores (`250m`).

    The form is Kubernetes' own, without exponents:
    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/. Raises ValueError.
    """
    if not _FORMS[resource].fullmatch(text):
        raise ValueError(text)
    number = text.rstrip("".join(_FACTORS))
    return Decimal(number) * _FACTORS[text.removeprefix(number)]


def download_of_user_vars(functionality: str) -> str:
    """Return the last path segment of the URL of a version's default user variables.

    The segment for `merging_models` has a different form on the wire.
    """
    if functionality == "merging_models":
        return "download_user_vars_config_merging_models"
    return f"download_default_user_vars_{functionality}"


def user_vars_part(functionality: str) -> str:
    """Return the name of the file part and of the answer's field for one functionality."""
    return f"default_user_vars_{functionality}"

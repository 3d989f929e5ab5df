"""What an operator adds to the table: MANIFEST_ALLOWED_FIELDS.

    {"/spec/templates/*/tolerations": [[{"key": "gpu", "operator": "Exists"}]], "/spec/priority": null}

A key is a JSON pointer (RFC 6901) into the manifest, `*` for any one part of it; a podSpecPatch counts as an object.
Its value is null for anything, or the list of what may stand there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from policy.forms import Form, ListOf, MapOf, Table, canonical
from policy.patches import Patch
from policy.tables import WORKFLOW

_EXAMPLE = '{"/spec/templates/*/tolerations": null}'


def allowed_fields(given: Mapping[str, list[Any] | None]) -> tuple[tuple[str, tuple[str, ...] | None], ...]:
    """Return the setting in the form that a `Policy` holds."""
    return tuple(
        (pattern, None if values is None else tuple(canonical(value) for value in values))
        for pattern, values in given.items()
    )


def field_complaints(given: Any) -> Iterator[str]:
    """Yield the faults of the setting, as messages for an operator."""
    if not isinstance(given, Mapping):
        yield f"must be a JSON object, such as {_EXAMPLE}"
        return
    for pattern, values in given.items():
        parts = pattern.split("/")
        if parts[0] or len(parts) < 2 or not all(parts[1:]):
            yield f"{pattern!r} is not a JSON pointer"
        elif not _is_reachable(parts[1:]):
            yield f"{pattern!r} names no field of the table; only its last part may be a new field"
        if values is not None and not isinstance(values, list):
            yield f"{pattern!r} must have a list of values, or null for any value"


def _is_reachable(parts: list[str]) -> bool:
    """Return whether the table has the object in which a field stands."""
    form: Form | None = WORKFLOW
    for part in parts[:-1]:
        if isinstance(form, Patch):
            form = form.table
        if isinstance(form, Table):
            # A field that the table does not have is allowed as a whole.
            form = form.fields.get(part)
        elif isinstance(form, ListOf):
            form = form.item if part == "*" or part.isdecimal() else None
        elif isinstance(form, MapOf):
            form = form.value
        else:
            return False
    return form is not None

"""Versions of AI engines, with the default user variables of each functionality."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction

from registry.authors import Author
from registry.forms import Data, Files, part_faults, version_faults
from registry.models import AIEngine, AIEngineVersion, DefaultUserVars
from registry.rules import quantity, user_vars_part
from registry.services.rows import duplicate_faults, explained, found, is_id, reference_faults, refuse, unless_used
from registry.shapes import Shape, ai_engine_version_shape
from web.bodies import without_marks
from web.errors import Fault
from web.once import created
from web.shape import check
from web.storage import delete_after_commit, save, stored_files

_QUANTITIES = ("memory_request", "memory_limit", "cpu_request", "cpu_limit")


def ai_engine_version_create(*, data: Data, files: Files, author: Author) -> AIEngineVersion:
    """Store a version and its files. Raises InvalidInput with every fault."""
    data, files = _shape().typed(data), without_marks(files, _shape().json_parts)
    stored = partial(_stored_faults, data)
    current = {name: getattr(AIEngineVersion(), name) for name in _QUANTITIES}
    data = {**_requests_within_limits(data, current), **data}
    refuse([*_form_faults(data, files, partial=False, current=current, present=()), *stored()])
    with stored_files():
        user_vars = _store(files)
        with explained(stored), transaction.atomic():
            version = AIEngineVersion.objects.create(**_columns(data), created_by=author.name)
            for row in user_vars:
                row.version = version
            DefaultUserVars.objects.bulk_create(user_vars)
            created(f"/api/ai_engines_versions/{version.pk}/")
    return version


def ai_engine_version_update(*, version_id: int, data: Data, files: Files) -> AIEngineVersion:
    """Change the given fields and files of a version; files of removed functionalities are deleted.

    Raises NotFound, and InvalidInput with every fault.
    """
    version = found(AIEngineVersion.objects.all(), version_id)
    data, files = _shape().typed(data), without_marks(files, _shape().json_parts)
    stored = partial(_stored_faults, {**_key_of(version), **data}, version_id)
    refuse([*_update_faults(version, data, files), *stored()])
    with stored_files():
        user_vars = _store(files)
        with explained(stored), transaction.atomic():
            version = found(AIEngineVersion.objects.select_for_update(), version_id)
            # Checked once more under the lock: another PATCH may have changed the version.
            refuse(_update_faults(version, data, files, contents=False))
            for name, value in _columns(data).items():
                setattr(version, name, value)
            version.save()
            _replace(version, user_vars)
    return version


def ai_engine_version_delete(*, version_id: int) -> None:
    """Delete a version and its files. Raises NotFound, and Conflict if models were trained with it."""
    version = found(AIEngineVersion.objects.all(), version_id)
    with unless_used(version, version.ai_models.all), transaction.atomic():
        version = found(AIEngineVersion.objects.select_for_update(), version_id)
        user_vars = list(version.default_user_vars.all())
        AIEngineVersion.objects.filter(pk=version_id).delete()
        delete_after_commit(*(row.contents for row in user_vars))


def _functionalities() -> list[str]:
    return list(settings.VALID_AI_ENGINE_FUNCTIONALITIES)


def _shape() -> Shape:
    return ai_engine_version_shape(_functionalities())


def _form_faults(data: Data, files: Files, *, partial: bool, current: Data, present: Iterable[str]) -> list[Fault]:
    shape = _shape()
    return [
        *check(data, shape.schema(partial=partial)),
        *part_faults(shape.files, files, required=()),
        *version_faults(data, files, known=_functionalities(), current=current, present=frozenset(present)),
    ]


def _update_faults(version: AIEngineVersion, data: Data, files: Files, *, contents: bool = True) -> list[Fault]:
    current = {name: getattr(version, name) for name in (*_QUANTITIES, "functionalities")}
    present = frozenset(version.default_user_vars.values_list("functionality", flat=True))
    if contents:
        return _form_faults(data, files, partial=True, current=current, present=present)
    return version_faults(data, files, known=_functionalities(), current=current, present=present)


def _stored_faults(data: Data, version_id: int = 0) -> list[Fault]:
    engine, container_version = data.get("ai_engine"), data.get("container_version")
    key = None
    if is_id(engine) and isinstance(container_version, str):
        key = {"container_version": container_version, "ai_engine_id": engine}
    rows = AIEngineVersion.objects.exclude(pk=version_id)
    return [
        *reference_faults(data, "ai_engine", AIEngine),
        *duplicate_faults(rows, key, "is already the container version of version {id} of this AI engine"),
    ]


def _key_of(version: AIEngineVersion) -> dict[str, Any]:
    return {"ai_engine": version.ai_engine_id, "container_version": version.container_version}


def _columns(data: Data) -> dict[str, Any]:
    return {"ai_engine_id" if name == "ai_engine" else name: value for name, value in data.items()}


def _requests_within_limits(data: Data, defaults: Data) -> dict[str, str]:
    """Return the requests that must be lowered to the given limits, since their defaults are above them."""
    result = {}
    for resource in ("memory", "cpu"):
        request, limit = f"{resource}_request", f"{resource}_limit"
        try:
            lower = quantity(resource, data[limit]) < quantity(resource, defaults[request])
        except (KeyError, ValueError, TypeError):
            continue
        if lower and request not in data:
            result[request] = data[limit]
    return result


def _store(files: Files) -> list[DefaultUserVars]:
    rows = []
    for part, upload in files.items():
        row = DefaultUserVars(functionality=part.removeprefix(user_vars_part("")))
        save(row.contents, "user_vars.json", upload)
        rows.append(row)
    return rows


def _replace(version: AIEngineVersion, user_vars: list[DefaultUserVars]) -> None:
    new = {row.functionality for row in user_vars}
    gone = [
        row
        for row in version.default_user_vars.all()
        if row.functionality in new or row.functionality not in version.functionalities
    ]
    version.default_user_vars.filter(pk__in=[row.pk for row in gone]).delete()
    for row in user_vars:
        row.version = version
    DefaultUserVars.objects.bulk_create(user_vars)
    delete_after_commit(*(row.contents for row in gone))

"""AI models: their data, contents and the user variables they were trained with."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from registry.authors import Author
from registry.forms import Data, Files, form_faults
from registry.models import AIEngineVersion, AIModel, EarlierContents
from registry.services.rows import (
    RACE_TRIES,
    duplicate_faults,
    explained,
    found,
    is_id,
    patients_columns,
    patients_digest,
    reference_faults,
    refuse,
    refuse_foreign,
    unless_used,
)
from registry.shapes import AI_MODEL
from web.bodies import without_marks
from web.errors import Conflict, Fault
from web.once import created
from web.storage import delete_after_commit, is_same_file, save, stored_files

_FILE_NAMES = {"contents": "contents.zip", "ai_engine_version_user_vars": "user_vars.json"}
_RELATIONS = {"ai_engine_version": "ai_engine_version_id", "parent_ai_model": "parent_ai_model_id"}


class _ChangedMeanwhile(Exception):
    """A model has changed since an upload was compared with it."""


def ai_model_create(*, data: Data, files: Files, author: Author) -> AIModel:
    """Store a model and its files. Raises InvalidInput with every fault."""
    data, files = AI_MODEL.typed(data), without_marks(files, AI_MODEL.json_parts)
    stored = partial(_stored_faults, data)
    refuse([*form_faults(AI_MODEL, data, files, partial=False), *stored()])
    with stored_files():
        draft = AIModel(**{**patients_columns(None), **_columns(data)}, created_by=author.name)
        _store(draft, files)
        with explained(stored), transaction.atomic():
            draft.save(force_insert=True)
            created(f"/api/ai_models/{draft.pk}/")
    return draft


def ai_model_update_or_create(*, data: Data, files: Files, author: Author) -> tuple[AIModel, bool]:
    """Store a model, or replace the one with the same key; return whether it is new.

    Fields that are not given get their defaults, as in a new model; the earlier files are kept as an earlier version. A
    Workflow cannot change a model that it did not create. Raises InvalidInput with every fault, PermissionDenied and
    Conflict.
    """
    data, files = AI_MODEL.typed(data), without_marks(files, AI_MODEL.json_parts)
    references = partial(_reference_faults, data)
    refuse([*form_faults(AI_MODEL, data, files, partial=False), *references()])
    draft = AIModel(**{**patients_columns(None), **_columns(data)}, created_by=author.name)
    with stored_files():
        for _ in range(RACE_TRIES):
            known = AIModel.objects.filter(**_unique_key(draft)).first()
            if known is not None:
                # Checked before the contents are stored, which may be large.
                refuse_foreign(known, author)
            parts = files if known is None else _changed_files(known, files)
            _store(draft, {part: upload for part, upload in parts.items() if not getattr(draft, part)})
            try:
                with transaction.atomic():
                    return _put(draft, known, parts, author)
            except (IntegrityError, _ChangedMeanwhile):
                # Another request has just stored or deleted the same key: try again with its row.
                refuse(references())
    raise Conflict("Other requests keep changing the same AI model; try again.")


def ai_model_update(*, model_id: int, data: Data, files: Files, author: Author) -> AIModel:
    """Change the given fields and files of a model; the earlier files are kept as an earlier version.

    Raises NotFound, and InvalidInput with every fault.
    """
    known = found(AIModel.objects.all(), model_id)
    data, files = AI_MODEL.typed(data), without_marks(files, AI_MODEL.json_parts)
    stored = partial(_stored_faults, {**_key_of(known), **data}, model_id)
    refuse([*form_faults(AI_MODEL, data, files, partial=True), *stored()])
    files = _changed_files(known, files)
    with stored_files():
        draft = AIModel()
        _store(draft, files)
        with explained(stored), transaction.atomic():
            model = found(AIModel.objects.select_for_update(), model_id)
            for name, value in _columns(data).items():
                setattr(model, name, value)
            _take_files(model, draft, files, author)
            model.save()
    return model


def ai_model_delete(*, model_id: int, author: Author) -> None:
    """Delete a model, its evaluation metrics and its files.

    Raises NotFound, PermissionDenied, and Conflict if it is the parent of other models, or if the author may delete
    only its own rows and others have stored metrics or contents of the model.
    """
    model = found(AIModel.objects.all(), model_id)
    refuse_foreign(model, author)
    if author.owns_only and model.evaluation_metrics.exclude(created_by=author.name).exists():
        raise Conflict("Others have stored evaluation metrics of this AI model.")
    if author.owns_only and model.contents_by not in ("", author.name):
        raise Conflict("Others have replaced the contents of this AI model.")
    with unless_used(model, model.children.all), transaction.atomic():
        model = found(AIModel.objects.select_for_update(), model_id)
        versions: list[AIModel | EarlierContents] = [model, *model.earlier_contents.all()]
        # One file may be part of several versions.
        files = {file.name: file for row in versions for file in (row.contents, row.ai_engine_version_user_vars)}
        AIModel.objects.filter(pk=model_id).delete()
        delete_after_commit(*files.values())


def _stored_faults(data: Data, model_id: int = 0) -> list[Fault]:
    key = None
    digest = patients_digest(data.get("data_partners_patients"))
    if is_id(data.get("ai_engine_version")) and isinstance(data.get("name"), str) and digest is not None:
        key = {"name": data["name"], "ai_engine_version_id": data["ai_engine_version"], "data_hash": digest}
    words = "is already the name of AI model {id}, which has the same AI engine version and data_partners_patients"
    rows = AIModel.objects.exclude(pk=model_id)
    return [*_reference_faults(data, model_id), *duplicate_faults(rows, key, words)]


def _reference_faults(data: Data, model_id: int = 0) -> list[Fault]:
    return [
        *reference_faults(data, "ai_engine_version", AIEngineVersion),
        *(reference_faults(data, "parent_ai_model", AIModel) or _cycle_faults(data.get("parent_ai_model"), model_id)),
    ]


def _cycle_faults(parent_id: Any, model_id: int) -> list[Fault]:
    seen: set[int] = set()
    while model_id and is_id(parent_id) and parent_id not in seen:
        if parent_id == model_id:
            return [Fault("/data/parent_ai_model", "must be neither this AI model nor a descendant of it")]
        seen.add(parent_id)
        parent_id = AIModel.objects.filter(pk=parent_id).values_list("parent_ai_model_id", flat=True).first()
    return []


def _key_of(model: AIModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "ai_engine_version": model.ai_engine_version_id,
        "data_partners_patients": model.data_partners_patients,
    }


def _columns(data: Data) -> dict[str, Any]:
    columns = {_RELATIONS.get(name, name): value for name, value in data.items()}
    if "data_partners_patients" in data:
        columns.update(patients_columns(data["data_partners_patients"]))
    if "merge_type" in data:
        columns["merge_type"] = data["merge_type"] or None
    return columns


def _unique_key(model: AIModel) -> dict[str, Any]:
    return {name: getattr(model, name) for name in ("name", "ai_engine_version_id", "data_hash")}


def _store(draft: AIModel, files: Files) -> None:
    for part, upload in files.items():
        save(getattr(draft, part), _FILE_NAMES[part], upload)


def _changed_files(known: AIModel, files: Files) -> Files:
    """Return the uploads that differ from a model's files; reads them, so call it outside a transaction."""
    return {part: upload for part, upload in files.items() if not is_same_file(getattr(known, part), upload)}


def _take_files(model: AIModel, draft: AIModel, parts: Collection[str], author: Author) -> None:
    """Give a model new files, and keep its present ones as an earlier version."""
    if not parts:
        return
    EarlierContents.objects.create(
        ai_model=model,
        version=model.contents_version,
        ai_engine_version_user_vars=model.ai_engine_version_user_vars.name,
        contents=model.contents.name,
        stored_by=model.contents_by or model.created_by,
        stored_at=model.contents_at or model.created_at,
    )
    model.contents_version += 1
    model.contents_by, model.contents_at = author.name, timezone.now()
    for part in parts:
        setattr(model, part, getattr(draft, part).name)


def _put(draft: AIModel, known: AIModel | None, parts: Files, author: Author) -> tuple[AIModel, bool]:
    model = AIModel.objects.select_for_update().filter(**_unique_key(draft)).first()
    if (model and _file_names(model)) != (known and _file_names(known)):
        raise _ChangedMeanwhile
    if model is None:
        draft.save(force_insert=True)
        return draft, True
    refuse_foreign(model, author)
    refuse(_cycle_faults(draft.parent_ai_model_id, model.pk))
    for name in ("merge_type", "parent_ai_model_id", "description", "download_resume_retries"):
        setattr(model, name, getattr(draft, name))
    model.data_partners_patients = draft.data_partners_patients
    _take_files(model, draft, parts, author)
    model.save()
    # These files were stored before another request turned out to have stored the same.
    delete_after_commit(*(getattr(draft, part) for part in _FILE_NAMES if part not in parts))
    return model, False


def _file_names(model: AIModel) -> tuple[str | None, ...]:
    return tuple(getattr(model, part).name for part in _FILE_NAMES)

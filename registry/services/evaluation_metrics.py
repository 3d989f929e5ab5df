"""Evaluation metrics: values that say how good a model is on given patients."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import IntegrityError, transaction

from registry.authors import Author
from registry.forms import Data, Files, form_faults
from registry.models import AIModel, EvaluationMetric
from registry.services.rows import (
    RACE_TRIES,
    duplicate_faults,
    explained,
    found,
    is_foreign,
    is_id,
    patients_columns,
    patients_digest,
    reference_faults,
    refuse,
    refuse_foreign,
)
from registry.shapes import EVALUATION_METRIC
from web.errors import Conflict, Fault
from web.once import created


def evaluation_metric_create(*, data: Data, files: Files, author: Author) -> EvaluationMetric:
    """Store a metric. Raises InvalidInput with every fault."""
    data = EVALUATION_METRIC.typed(data)
    stored = partial(_stored_faults, data)
    refuse([*form_faults(EVALUATION_METRIC, data, files, partial=False), *stored()])
    with explained(stored), transaction.atomic():
        metric = EvaluationMetric.objects.create(**_new_columns(data), created_by=author.name)
        created(f"/api/evaluation_metrics/{metric.pk}/")
    return metric


def evaluation_metric_update_or_create(*, data: Data, files: Files, author: Author) -> tuple[EvaluationMetric, bool]:
    """Store a metric, or replace the one with the same key; return whether it is new.

    A Workflow cannot change a metric that it did not create, but may store the same value again. Raises InvalidInput
    with every fault, and PermissionDenied.
    """
    data = EVALUATION_METRIC.typed(data)
    references = partial(reference_faults, data, "ai_model", AIModel)
    refuse([*form_faults(EVALUATION_METRIC, data, files, partial=False), *references()])
    columns = _new_columns(data)
    key = {name: columns.pop(name) for name in ("name", "ai_model_id", "data_hash")}
    for _ in range(RACE_TRIES):
        try:
            with transaction.atomic():
                return _put(key, columns, author)
        except IntegrityError:
            # Another request has just stored or deleted the same key: try again with its row.
            refuse(references())
    raise Conflict("Other requests keep changing the same evaluation metric; try again.")


def evaluation_metric_update(*, metric_id: int, data: Data, files: Files) -> EvaluationMetric:
    """Change the given fields of a metric. Raises NotFound, and InvalidInput with every fault."""
    metric, data = found(EvaluationMetric.objects.all(), metric_id), EVALUATION_METRIC.typed(data)
    stored = partial(_stored_faults, {**_key_of(metric), **data}, metric_id)
    refuse([*form_faults(EVALUATION_METRIC, data, files, partial=True), *stored()])
    with explained(stored), transaction.atomic():
        metric = found(EvaluationMetric.objects.select_for_update(), metric_id)
        for name, value in _columns(data).items():
            setattr(metric, name, value)
        metric.save()
    return metric


def evaluation_metric_delete(*, metric_id: int, author: Author) -> None:
    """Delete a metric. Raises NotFound and PermissionDenied."""
    metric = found(EvaluationMetric.objects.all(), metric_id)
    refuse_foreign(metric, author)
    with transaction.atomic():
        EvaluationMetric.objects.filter(pk=metric_id).delete()


def _put(key: dict[str, Any], columns: dict[str, Any], author: Author) -> tuple[EvaluationMetric, bool]:
    metric = EvaluationMetric.objects.select_for_update().filter(**key).first()
    if metric is None:
        return EvaluationMetric.objects.create(**key, **columns, created_by=author.name), True
    says_the_same = (metric.value, metric.description) == (columns["value"], columns["description"])
    if says_the_same and is_foreign(metric, author):
        return metric, False
    refuse_foreign(metric, author)
    for name, value in columns.items():
        setattr(metric, name, value)
    metric.save()
    return metric, False


def _stored_faults(data: Data, metric_id: int = 0) -> list[Fault]:
    key = None
    digest = patients_digest(data.get("data_partners_patients"))
    if is_id(data.get("ai_model")) and isinstance(data.get("name"), str) and digest is not None:
        key = {"name": data["name"], "ai_model_id": data["ai_model"], "data_hash": digest}
    words = "is already the name of evaluation metric {id}, which has the same AI model and data_partners_patients"
    rows = EvaluationMetric.objects.exclude(pk=metric_id)
    return [*reference_faults(data, "ai_model", AIModel), *duplicate_faults(rows, key, words)]


def _key_of(metric: EvaluationMetric) -> dict[str, Any]:
    return {
        "name": metric.name,
        "ai_model": metric.ai_model_id,
        "data_partners_patients": metric.data_partners_patients,
    }


def _columns(data: Data) -> dict[str, Any]:
    columns = {"ai_model_id" if name == "ai_model" else name: value for name, value in data.items()}
    if "data_partners_patients" in data:
        columns.update(patients_columns(data["data_partners_patients"]))
    if "value" in data:
        columns["value"] = float(data["value"])
    return columns


def _new_columns(data: Data) -> dict[str, Any]:
    return {"description": None, **patients_columns(None), **_columns(data)}

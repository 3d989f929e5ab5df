"""The API's answer for each row; relations and files are URLs below `base`, the API's URL for the caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from registry.models import AIEngine, AIEngineVersion, AIModel, EvaluationMetric, GenericFile
from registry.rules import download_of_user_vars, user_vars_part

_M = TypeVar("_M")
Presented = dict[str, Any]


def present_all(present: Callable[[_M, str], Presented], base: str) -> Callable[[Sequence[_M]], list[Presented]]:
    """Return the function that presents a page of rows."""
    return partial(_present_rows, present, base)


def present_ai_engine(engine: AIEngine, base: str) -> Presented:
    return {
        "url": f"{base}ai_engines/{engine.pk}/",
        "id": engine.pk,
        "name": engine.name,
        "container_name": engine.container_name,
        "owner": engine.owner,
        "description": engine.description,
        "data_type": engine.data_type,
        "role_type": engine.role_type,
        "data_considerations": engine.data_considerations,
        "trl": engine.trl,
        "ethics": engine.ethics,
        "caveats": engine.caveats,
        "metrics": engine.metrics,
        "license": engine.license,
        "versions": [
            f"{base}ai_engines_versions/{version.pk}/"
            for version in engine.known_versions  # type: ignore[attr-defined] # the selector adds it
        ],
        "created_at": engine.created_at,
        "updated_at": engine.updated_at,
    }


def present_ai_engine_version(version: AIEngineVersion, base: str) -> Presented:
    """Present a version, with the default user variables that exist."""
    url = f"{base}ai_engines_versions/{version.pk}/"
    there = {row.functionality for row in version.user_vars}  # type: ignore[attr-defined] # the selector adds it
    return {
        "url": url,
        "id": version.pk,
        "ai_engine": f"{base}ai_engines/{version.ai_engine_id}/",
        "container_version": version.container_version,
        "description": version.description,
        "functionalities": version.functionalities,
        "explains": version.explains,
        "max_iteration_time": version.max_iteration_time,
        "memory_request": version.memory_request,
        "memory_limit": version.memory_limit,
        "cpu_request": version.cpu_request,
        "cpu_limit": version.cpu_limit,
        **{
            user_vars_part(functionality): f"{url}{download_of_user_vars(functionality)}/"
            for functionality in version.functionalities
            if functionality in there
        },
        "created_at": version.created_at,
        "updated_at": version.updated_at,
    }


def present_ai_model(model: AIModel, base: str) -> Presented:
    url = f"{base}ai_models/{model.pk}/"
    parent_id = model.parent_ai_model_id
    return {
        "url": url,
        "id": model.pk,
        "ai_engine": f"{base}ai_engines/{model.engine_id}/",  # type: ignore[attr-defined] # the selector adds it
        "ai_engine_version": f"{base}ai_engines_versions/{model.ai_engine_version_id}/",
        "ai_engine_version_user_vars": f"{url}download_ai_engine_version_user_vars/",
        "name": model.name,
        "data_partners_patients": model.data_partners_patients,
        "merge_type": model.merge_type,
        "parent_ai_model": f"{base}ai_models/{parent_id}/" if parent_id is not None else None,
        "description": model.description,
        "download_resume_retries": model.download_resume_retries,
        "contents": f"{url}download_contents/",
        "created_at": model.created_at,
        "updated_at": model.updated_at,
    }


def present_evaluation_metric(metric: EvaluationMetric, base: str) -> Presented:
    return {
        "url": f"{base}evaluation_metrics/{metric.pk}/",
        "id": metric.pk,
        "ai_engine": f"{base}ai_engines/{metric.engine_id}/",  # type: ignore[attr-defined] # the selector adds it
        "ai_engine_version": f"{base}ai_engines_versions/{metric.version_id}/",  # type: ignore[attr-defined]
        "ai_model": f"{base}ai_models/{metric.ai_model_id}/",
        "name": metric.name,
        "value": metric.value,
        "description": metric.description,
        "data_partners_patients": metric.data_partners_patients,
        "created_at": metric.created_at,
        "updated_at": metric.updated_at,
    }


def present_generic_file(generic_file: GenericFile, base: str) -> Presented:
    url = f"{base}generic_files/{generic_file.pk}/"
    return {
        "url": url,
        "id": generic_file.pk,
        "name": generic_file.name,
        "listed_contents": f"{url}listed_contents/",
        "individual_contents_download": f"{url}individual_contents_download/",
        "packed_contents_download": f"{url}packed_contents_download/",
        "created_at": generic_file.created_at,
    }


def _present_rows(present: Callable[[_M, str], Presented], base: str, rows: Sequence[_M]) -> list[Presented]:
    return [present(row, base) for row in rows]

"""Rows and bodies for the registry's tests."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from registry import services
from registry.authors import Author
from registry.models import AIEngine, AIEngineVersion, AIModel, EvaluationMetric, GenericFile

ADA = Author("ada")
PATIENTS = {"p1": ["1", "2"], "p2": ["3"]}


def zip_bytes(files: dict[str, bytes] | None = None) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in (files or {"model.joblib": b"weights", "deep/notes.txt": b"0123456789"}).items():
            # Always of the same second, so that equal files make equal archives.
            archive.writestr(zipfile.ZipInfo(path), text, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def zip_part(files: dict[str, bytes] | None = None) -> SimpleUploadedFile:
    return SimpleUploadedFile("contents", zip_bytes(files), "application/octet-stream")


def json_part(value: Any = None, name: str = "user_vars") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, json.dumps(value if value is not None else {"epochs": 3}).encode())


def engine_data(**changes: Any) -> dict[str, Any]:
    return {"name": "sample", "container_name": "sample-ai-engine", "role_type": "classification", **changes}


def engine(**changes: Any) -> AIEngine:
    return services.ai_engine_create(data=engine_data(**changes), files={}, author=ADA)


def version(ai_engine: AIEngine | None = None, **changes: Any) -> AIEngineVersion:
    ai_engine = ai_engine or engine()
    data = {
        "ai_engine": ai_engine.pk,
        "container_version": "1.0",
        "functionalities": ["training_from_scratch", "merging_models"],
        **changes,
    }
    files = {f"default_user_vars_{name}": json_part({"for": name}) for name in data["functionalities"]}
    return services.ai_engine_version_create(data=data, files=files, author=ADA)


def model_files() -> dict[str, SimpleUploadedFile]:
    return {"contents": zip_part(), "ai_engine_version_user_vars": json_part()}


def model(ai_engine_version: AIEngineVersion | None = None, author: Author = ADA, **changes: Any) -> AIModel:
    ai_engine_version = ai_engine_version or version()
    data = {"ai_engine_version": ai_engine_version.pk, "name": "m", "data_partners_patients": PATIENTS, **changes}
    return services.ai_model_create(data=data, files=model_files(), author=author)


def metric(ai_model: AIModel | None = None, author: Author = ADA, **changes: Any) -> EvaluationMetric:
    ai_model = ai_model or model()
    data = {"ai_model": ai_model.pk, "name": "auc", "value": 0.9, "data_partners_patients": PATIENTS, **changes}
    return services.evaluation_metric_create(data=data, files={}, author=author)


def generic_file(author: Author = ADA, files: dict[str, bytes] | None = None, name: str = "g") -> GenericFile:
    return services.generic_file_create(data={"name": name}, files={"contents": zip_part(files)}, author=author)


def form(data: Any, **files: Any) -> dict[str, Any]:
    """Return a multipart body: the JSON document and the file parts."""
    return {"data": json.dumps(data), **files}


def pointers(response: Any) -> list[str]:
    """Return where the faults of a refused request are."""
    return sorted(fault["pointer"] for fault in response.json()["errors"])

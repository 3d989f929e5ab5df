"""The OpenAPI document's schemas for the model registry; they neither validate nor render."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


@extend_schema_field(
    {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}, "nullable": True}
)
class PatientsField(serializers.JSONField):
    """Data partners and the ids of their patients."""


class _Serializer(serializers.Serializer[Any]):
    pass


class AIEngineIn(_Serializer):
    name = serializers.CharField(max_length=200)
    container_name = serializers.CharField(max_length=200)
    owner = serializers.CharField(max_length=200, required=False, allow_blank=True)
    description = serializers.CharField(required=False, allow_blank=True)
    data_type = serializers.ListField(child=serializers.CharField(max_length=100), required=False)
    role_type = serializers.CharField(max_length=50)
    data_considerations = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    trl = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, help_text="A technology readiness level from 1 to 9."
    )
    ethics = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    caveats = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    metrics = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    license = serializers.CharField(max_length=200, required=False, allow_null=True, allow_blank=True)


class AIEngineOut(AIEngineIn):
    versions = serializers.ListField(child=serializers.URLField())
    url = serializers.URLField()
    id = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class AIEngineVersionData(_Serializer):
    ai_engine = serializers.IntegerField(min_value=1)
    container_version = serializers.CharField(max_length=100)
    description = serializers.CharField(required=False, allow_blank=True)
    functionalities = serializers.ListField(child=serializers.CharField(), min_length=1)
    explains = serializers.BooleanField(default=False)
    max_iteration_time = serializers.IntegerField(min_value=1, default=1200)
    memory_request = serializers.CharField(default="3584Mi")
    memory_limit = serializers.CharField(default="3584Mi")
    cpu_request = serializers.CharField(default="250m")
    cpu_limit = serializers.CharField(default="4000m")


class AIEngineVersionIn(_Serializer):
    """The multipart form. It also has one JSON file `default_user_vars_<functionality>` for each functionality."""

    data = AIEngineVersionData()  # type: ignore[assignment]
    default_user_vars_training_from_scratch = serializers.FileField(required=False)
    default_user_vars_training_from_pretrained_model = serializers.FileField(required=False)
    default_user_vars_evaluating_from_pretrained_model = serializers.FileField(required=False)
    default_user_vars_merging_models = serializers.FileField(required=False)
    default_user_vars_inferencing_from_pretrained_model = serializers.FileField(required=False)


class AIEngineVersionOut(AIEngineVersionData):
    """A version of an AI engine. It also has a URL `default_user_vars_<functionality>` for each functionality."""

    url = serializers.URLField()
    id = serializers.IntegerField()
    ai_engine = serializers.URLField()  # type: ignore[assignment]
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class AIModelData(_Serializer):
    ai_engine_version = serializers.IntegerField(min_value=1)
    name = serializers.CharField(max_length=200)
    data_partners_patients = PatientsField(required=False)
    merge_type = serializers.CharField(max_length=50, required=False, allow_null=True, allow_blank=True)
    parent_ai_model = serializers.IntegerField(min_value=1, required=False, allow_null=True)
    description = serializers.CharField(required=False, allow_blank=True)
    download_resume_retries = serializers.IntegerField(min_value=0, max_value=1000, default=4)


class AIModelIn(_Serializer):
    data = AIModelData()  # type: ignore[assignment]
    ai_engine_version_user_vars = serializers.FileField(help_text="A JSON file.")
    contents = serializers.FileField(help_text="A zip archive.")


class AIModelOut(AIModelData):
    url = serializers.URLField()
    id = serializers.IntegerField()
    ai_engine = serializers.URLField()
    ai_engine_version = serializers.URLField()  # type: ignore[assignment]
    ai_engine_version_user_vars = serializers.URLField()
    parent_ai_model = serializers.URLField(allow_null=True)  # type: ignore[assignment]
    contents = serializers.URLField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class EvaluationMetricIn(_Serializer):
    ai_model = serializers.IntegerField(min_value=1)
    name = serializers.CharField(max_length=200)
    value = serializers.FloatField()
    description = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    data_partners_patients = PatientsField(required=False)


class EvaluationMetricOut(EvaluationMetricIn):
    url = serializers.URLField()
    id = serializers.IntegerField()
    ai_engine = serializers.URLField()
    ai_engine_version = serializers.URLField()
    ai_model = serializers.URLField()  # type: ignore[assignment]
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class GenericFileData(_Serializer):
    name = serializers.CharField(max_length=200)


class GenericFileIn(_Serializer):
    data = GenericFileData()  # type: ignore[assignment]
    contents = serializers.FileField(help_text="A zip archive.")


class GenericFileOut(GenericFileData):
    url = serializers.URLField()
    id = serializers.IntegerField()
    listed_contents = serializers.URLField()
    individual_contents_download = serializers.URLField()
    packed_contents_download = serializers.URLField()
    created_at = serializers.DateTimeField()


class ListedContents(_Serializer):
    listed_contents = serializers.ListField(child=serializers.CharField())


BYTES = {(200, "application/octet-stream"): OpenApiTypes.BINARY, (206, "application/octet-stream"): OpenApiTypes.BINARY}
JSON_FILE = {(200, "application/json"): OpenApiTypes.OBJECT, (206, "application/json"): OpenApiTypes.BINARY}

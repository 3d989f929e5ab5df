"""The API's bodies as the OpenAPI document shows them; nothing is validated or rendered with these."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from schemas.federated import AGGREGATIONS, CONTINUE, FAIL, MAX_CLIENTS, MAX_MODEL_KILOBYTES, MAX_ROUND_SECONDS
from schemas.models import Implementation, SchemaType
from schemas.shapes import DESCRIPTOR, MAX_DESCRIPTION, NAME


class _Serializer(serializers.Serializer[Any]):
    pass


class FederatedOptionsDocument(_Serializer):
    """How the rounds of a federated training go."""

    minimum_clients = serializers.IntegerField(
        min_value=1, max_value=MAX_CLIENTS, required=False, help_text="How many answers a round needs with `continue`."
    )
    on_missing_clients = serializers.ChoiceField(
        [FAIL, CONTINUE], required=False, help_text="What becomes of a round that a client does not answer."
    )
    round_deadline_seconds = serializers.IntegerField(min_value=1, max_value=MAX_ROUND_SECONDS, required=False)
    aggregation = serializers.ChoiceField(AGGREGATIONS, required=False, help_text="Who merges the models, and how.")
    trim = serializers.FloatField(
        min_value=0, required=False, help_text="Below 0.5; the share left out at each end by `trimmed_mean`."
    )
    max_model_size = serializers.IntegerField(
        min_value=1,
        max_value=MAX_MODEL_KILOBYTES,
        required=False,
        help_text="Of a model's zip, in kilobytes of 1024 bytes.",
    )


class SchemaInputElements(_Serializer):
    platform_data = serializers.BooleanField()
    external_data = serializers.BooleanField(help_text="Only without platform_data and federated learning.")
    report_metadata = serializers.BooleanField(default=False)
    federated_learning_configuration = serializers.BooleanField()
    federated_learning_defaults = FederatedOptionsDocument(
        required=False, help_text="For executions that do not say otherwise."
    )


class SchemaAIEngine(_Serializer):
    descriptor = serializers.RegexField(DESCRIPTOR, max_length=100)
    role_type = serializers.CharField(max_length=50, help_text="`*` takes any.")
    functionalities = serializers.ListField(child=serializers.CharField(), min_length=1)
    ai_model = serializers.BooleanField()


class SchemaAIElements(_Serializer):
    ai_engines = SchemaAIEngine(many=True, help_text="Empty for a plain Workflow.")


class SchemaOutputElements(_Serializer):
    ai_model = serializers.BooleanField()
    evaluation_metrics = serializers.BooleanField()
    generic_file = serializers.BooleanField()


class SchemaDocument(_Serializer):
    """A Schema without AI engines, a plain Workflow, may leave out its elements."""

    name = serializers.RegexField(NAME, max_length=100)
    type = serializers.ChoiceField(SchemaType.choices)
    implementation = serializers.ChoiceField(Implementation.choices)
    description = serializers.CharField(allow_blank=True, max_length=MAX_DESCRIPTION)
    input_elements = SchemaInputElements(required=False)
    ai_elements = SchemaAIElements(required=False)
    output_elements = SchemaOutputElements(required=False)


class SchemaForm(_Serializer):
    data = SchemaDocument()  # type: ignore[assignment]
    auxiliary_file = serializers.FileField(
        required=False, help_text="The Argo Workflow manifest (YAML); mandatory for argo_workflows."
    )


class SchemaPatch(_Serializer):
    description = serializers.CharField(allow_blank=True, max_length=MAX_DESCRIPTION, required=False)


class SchemaPatchForm(_Serializer):
    data = SchemaPatch(required=False)  # type: ignore[assignment]
    auxiliary_file = serializers.FileField(required=False, help_text="The Workflow's manifest in the next version.")


class SchemaAnswer(SchemaDocument):
    url = serializers.URLField()
    version = serializers.IntegerField(help_text="Counted from 1; a PATCH makes the next one.")
    auxiliary_file = serializers.URLField(allow_null=True)
    created_at = serializers.DateTimeField()
    input_elements = SchemaInputElements()
    ai_elements = SchemaAIElements()
    output_elements = SchemaOutputElements()


class SchemaVersionAnswer(SchemaAnswer):
    """One version of a Schema; `created_at` is when it was stored."""


class SchemaPage(_Serializer):
    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = SchemaAnswer(many=True)


class SchemaVersionPage(_Serializer):
    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = SchemaVersionAnswer(many=True)

"""The OpenAPI document's schemas for Schemas; they neither validate nor render."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from schemas.federated import AGGREGATIONS, CONTINUE, FAIL, MAX_CLIENTS, MAX_MODEL_KILOBYTES, MAX_ROUND_SECONDS
from schemas.models import Implementation, SchemaType
from schemas.shapes import DESCRIPTOR, MAX_DESCRIPTION, NAME


class _Serializer(serializers.Serializer[Any]):
    pass


class FederatedOptionsDocument(_Serializer):
    """Options of a federated training."""

    minimum_clients = serializers.IntegerField(
        min_value=1,
        max_value=MAX_CLIENTS,
        required=False,
        help_text="Number of answers that a round needs; only with `on_missing_clients` `continue`.",
    )
    on_missing_clients = serializers.ChoiceField(
        [FAIL, CONTINUE],
        required=False,
        help_text="If a client does not answer a round: `fail` ends the training, `continue` goes on without it.",
    )
    round_deadline_seconds = serializers.IntegerField(min_value=1, max_value=MAX_ROUND_SECONDS, required=False)
    aggregation = serializers.ChoiceField(
        AGGREGATIONS,
        required=False,
        help_text="How the models are merged: by the AI engine (`engine`), else by the federated manager.",
    )
    trim = serializers.FloatField(
        min_value=0, required=False, help_text="Share of values that `trimmed_mean` leaves out at each end; below 0.5."
    )
    max_model_size = serializers.IntegerField(
        min_value=1,
        max_value=MAX_MODEL_KILOBYTES,
        required=False,
        help_text="Largest size of a model's zip, in units of 1024 bytes.",
    )


class SchemaInputElements(_Serializer):
    platform_data = serializers.BooleanField()
    external_data = serializers.BooleanField(help_text="Not allowed together with platform_data or federated learning.")
    report_metadata = serializers.BooleanField(default=False)
    federated_learning_configuration = serializers.BooleanField()
    federated_learning_defaults = FederatedOptionsDocument(
        required=False, help_text="Options for executions that do not set their own."
    )


class SchemaAIEngine(_Serializer):
    descriptor = serializers.RegexField(DESCRIPTOR, max_length=100)
    role_type = serializers.CharField(max_length=50, help_text="Role type of the AI engine; `*` allows any.")
    functionalities = serializers.ListField(child=serializers.CharField(), min_length=1)
    ai_model = serializers.BooleanField()


class SchemaAIElements(_Serializer):
    ai_engines = SchemaAIEngine(many=True, help_text="Empty for a plain Workflow.")


class SchemaOutputElements(_Serializer):
    ai_model = serializers.BooleanField()
    evaluation_metrics = serializers.BooleanField()
    generic_file = serializers.BooleanField()


class SchemaDocument(_Serializer):
    """A Schema. One without AI engines (a plain Workflow) may leave out its elements."""

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
        required=False, help_text="The manifest: an Argo Workflow in YAML. Required for argo_workflows."
    )


class SchemaPatch(_Serializer):
    description = serializers.CharField(allow_blank=True, max_length=MAX_DESCRIPTION, required=False)


class SchemaPatchForm(_Serializer):
    data = SchemaPatch(required=False)  # type: ignore[assignment]
    auxiliary_file = serializers.FileField(required=False, help_text="The manifest of the next version.")


class SchemaAnswer(SchemaDocument):
    url = serializers.URLField()
    version = serializers.IntegerField(help_text="Counted from 1; a PATCH stores the next version.")
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

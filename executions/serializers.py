"""The OpenAPI document's schemas for executions; validation.py checks requests, presenters.py makes answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework import serializers as s

from executions.models import ExecutionState, FailureReason
from schemas.federated import MAX_ROUNDS
from schemas.serializers import FederatedOptionsDocument

if TYPE_CHECKING:
    _Serializer = s.Serializer[Any]
else:
    _Serializer = s.Serializer


class PatientInput(_Serializer):
    id = s.CharField(max_length=200)
    clinical_data = s.DictField(allow_null=True)


class PartnerInput(_Serializer):
    """A data partner's entry. Answers show it as posted, with any additional fields; ids are strings."""

    system_path = s.CharField(allow_null=True, max_length=1000)
    fields_definition = s.DictField()
    sheets_definition = s.DictField()
    patients = PatientInput(many=True, allow_empty=False)


class PlatformDataInput(_Serializer):
    data_partners_patients = s.DictField(child=PartnerInput())


class FederatedConfiguration(FederatedOptionsDocument):
    """Options of the federated training. Answers show them as posted."""

    number_iterations = s.IntegerField(min_value=1, max_value=MAX_ROUNDS)


class ExecutionInputs(_Serializer):
    platform_data = PlatformDataInput(required=False)
    federated_learning_configuration = FederatedConfiguration(required=False)


class ChosenEngineInput(_Serializer):
    descriptor = s.CharField()
    version = s.IntegerField(min_value=1)
    ai_model = s.IntegerField(min_value=1, required=False, allow_null=True)


class ChosenEngines(_Serializer):
    ai_engines = ChosenEngineInput(many=True)


class OutputModelInput(_Serializer):
    name = s.CharField(max_length=100)
    description = s.CharField(allow_blank=True)
    merge_type = s.CharField(max_length=50, required=False, allow_null=True, allow_blank=True)


class ExecutionOutputs(_Serializer):
    ai_model = OutputModelInput(required=False)


class ExecutionDocument(_Serializer):
    schema = s.CharField(max_length=100, help_text="The Schema's name.")
    input_elements = ExecutionInputs(required=False)
    ai_elements = ChosenEngines(required=False, help_text="Required if the Schema has AI engines, else not allowed.")
    output_elements = ExecutionOutputs(required=False)


class ExecutionForm(_Serializer):
    """The multipart form. It also has one file part `<descriptor>_version_user_vars` (JSON) for each AI engine."""

    data = ExecutionDocument()  # type: ignore[assignment]
    external_data = s.FileField(required=False, help_text="A zip archive.")
    report_metadata = s.FileField(required=False, help_text="A JSON file.")


class StateAnswer(_Serializer):
    status = s.ChoiceField(choices=ExecutionState.choices)
    message = s.CharField(required=False)
    reason = s.ChoiceField(choices=[choice for choice in FailureReason.choices if choice[0]], required=False)


class PatientIds(_Serializer):
    data_partners_patients = s.DictField(child=s.ListField(child=s.CharField()))


class ExternalDataAnswer(_Serializer):
    contents = s.URLField()


class InputsAnswer(_Serializer):
    platform_data = PatientIds(required=False)
    external_data = ExternalDataAnswer(required=False)
    report_metadata = s.URLField(required=False)
    federated_learning_configuration = FederatedConfiguration(required=False)


class EngineAnswer(_Serializer):
    descriptor = s.CharField()
    version = s.URLField()
    version_user_vars = s.URLField()
    ai_model = s.URLField(required=False)


class EnginesAnswer(_Serializer):
    ai_engines = EngineAnswer(many=True)


class OutputModelAnswer(_Serializer):
    """Until the execution succeeds the model as posted, then the model's URL in the model registry."""

    name = s.CharField(required=False)
    description = s.CharField(required=False)
    merge_type = s.CharField(required=False, allow_null=True)
    ai_model = s.URLField(required=False)


class MetricAnswer(_Serializer):
    evaluation_metric = s.URLField()


class GenericFileAnswer(_Serializer):
    generic_file = s.URLField()


class OutputsAnswer(_Serializer):
    ai_model = OutputModelAnswer(required=False)
    evaluation_metrics = MetricAnswer(many=True, required=False)
    generic_file = GenericFileAnswer(required=False)


class AttemptAnswer(_Serializer):
    attempt = s.IntegerField(help_text="Counted from 1; the last is the present attempt.")
    schema_version = s.IntegerField(help_text="The version of the Schema that the attempt uses.")
    state = StateAnswer()
    run = s.URLField(allow_null=True, help_text="The attempt's run; null if none was started.")


class WarningAnswer(_Serializer):
    pointer = s.CharField(help_text="A JSON pointer into the posted document.")
    detail = s.CharField()


class ExecutionAnswer(_Serializer):
    url = s.URLField()
    id = s.IntegerField()
    schema = s.URLField()
    schema_version = s.IntegerField(help_text="The version of the Schema that the present attempt uses.")
    created_at = s.DateTimeField()
    updated_at = s.DateTimeField()
    state = StateAnswer()
    input_elements = InputsAnswer()
    ai_elements = EnginesAnswer()
    output_elements = OutputsAnswer()
    attempts = AttemptAnswer(many=True)
    warnings = WarningAnswer(
        many=True, help_text="Data partners whose steps cannot start now; the execution waits for them."
    )


class ExecutionPage(_Serializer):
    count = s.IntegerField()
    next = s.URLField(allow_null=True)
    previous = s.URLField(allow_null=True)
    results = ExecutionAnswer(many=True)


class DryRunAnswer(_Serializer):
    manifest = s.DictField(allow_null=True)
    parameters = s.DictField(child=s.CharField())


class ParameterAnswer(_Serializer):
    value = s.JSONField(help_text="The ids of patients by data partner, or the text as posted.")


class RunningInput(_Serializer):
    """An empty object."""


class FailedInput(_Serializer):
    message = s.CharField(required=False, allow_blank=True, allow_null=True)


class ProducedModel(_Serializer):
    ai_model = s.IntegerField(min_value=1)


class ProducedMetric(_Serializer):
    evaluation_metric = s.IntegerField(min_value=1)


class ProducedFile(_Serializer):
    generic_file = s.IntegerField(min_value=1)


class SucceededInput(_Serializer):
    """What the Workflow produced, as ids of the model registry: exactly what the Schema produces."""

    ai_model = ProducedModel(required=False)
    evaluation_metrics = ProducedMetric(many=True, required=False)
    generic_file = ProducedFile(required=False)


class RunningForm(_Serializer):
    data = RunningInput()  # type: ignore[assignment]


class FailedForm(_Serializer):
    data = FailedInput()  # type: ignore[assignment]


class SucceededForm(_Serializer):
    data = SucceededInput()  # type: ignore[assignment]

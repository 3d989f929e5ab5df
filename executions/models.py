"""An execution of a Schema: its inputs, its AI engines, its outputs and outcome."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from executions.transitions import State
from runs.models import RunReason


class ExecutionState(models.TextChoices):
    PENDING = State.PENDING.value
    RUNNING = State.RUNNING.value
    SUCCEEDED = State.SUCCEEDED.value
    FAILED = State.FAILED.value


class FailureReason(models.TextChoices):
    """Where the failure of an execution was found."""

    NONE = ""
    CALLBACK = "callback", "The Workflow called back"
    ENGINE = RunReason.ENGINE.value, "The engine"
    DEADLINE = RunReason.DEADLINE.value, "A deadline passed"
    STOPPED = RunReason.STOPPED.value, "The execution was stopped"
    LOST = RunReason.LOST.value, "The Workflow vanished"


class Execution(models.Model):
    """An execution's own row: everything but partners and AI engines; it never holds clinical data."""

    schema = models.ForeignKey("schemas.Schema", on_delete=models.CASCADE, related_name="executions")
    created_at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    state = models.CharField(max_length=10, choices=ExecutionState, default=ExecutionState.PENDING)
    reason = models.CharField(max_length=10, choices=FailureReason, default=FailureReason.NONE, blank=True)
    message = models.TextField(blank=True)
    attempt = models.PositiveIntegerField(default=1, help_text="Only the run of this attempt may call back.")
    schema_version = models.PositiveIntegerField(
        default=1, help_text="The version of the Schema that the present attempt uses."
    )

    number_iterations = models.PositiveIntegerField(null=True, blank=True)
    federated_options = models.JSONField(
        null=True, blank=True, help_text="Options of the federated training as posted."
    )
    external_data = models.FileField(upload_to="executions/external_data", max_length=200, blank=True)
    report_metadata = models.FileField(upload_to="executions/report_metadata", max_length=200, blank=True)

    output_model_name = models.CharField(max_length=100, blank=True)
    output_model_description = models.TextField(blank=True)
    output_model_merge_type = models.CharField(max_length=50, blank=True)

    # What the Workflow reported on success, as ids of the model registry.
    ai_model = models.PositiveBigIntegerField(null=True, blank=True)
    evaluation_metrics = models.JSONField(null=True, blank=True)
    generic_file = models.PositiveBigIntegerField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["state", "-created_at"], name="execution_state_created")]
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=ExecutionState.values), name="execution_state_known"),
            models.CheckConstraint(
                condition=models.Q(reason__in=FailureReason.values)
                & (models.Q(reason="") | models.Q(state=ExecutionState.FAILED)),
                name="execution_reason_only_of_failure",
            ),
        ]

    def __str__(self) -> str:
        return f"Execution {self.pk}"


class ExecutionDataPartner(models.Model):
    """A data partner of an execution; `entry` holds clinical data and is loaded only when it is named in a query."""

    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="data_partners")
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    system_path = models.CharField(max_length=1000, null=True, blank=True)
    patient_ids = models.JSONField()
    entry = models.JSONField(help_text="The partner's whole entry as posted.")

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["execution", "name"], name="execution_partner_once"),
        ]

    def __str__(self) -> str:
        return self.name


class ExecutionAIEngine(models.Model):
    """One AI engine of an execution, by the registry's ids and with its own user variables."""

    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="ai_engines")
    position = models.PositiveIntegerField()
    descriptor = models.CharField(max_length=100)
    version = models.PositiveBigIntegerField(help_text="Id in the model registry.")
    ai_model = models.PositiveBigIntegerField(null=True, blank=True, help_text="Id in the model registry.")
    user_vars = models.FileField(upload_to="executions/user_vars", max_length=200)
    snapshot = models.JSONField(
        help_text="The model registry's data on version and model when the execution was posted."
    )

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["execution", "descriptor"], name="execution_engine_once"),
        ]

    def __str__(self) -> str:
        return self.descriptor


class FederatedProgress(models.Model):
    """What a role of a federated training last reported of a round; `partner` is empty for the server.

    Rounds count from 0; the final evaluation has the number of rounds as its number. Bytes count from the start of the
    role's process.
    """

    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="federated_progress")
    attempt = models.PositiveIntegerField()
    partner = models.CharField(max_length=200, blank=True)
    round = models.PositiveIntegerField()
    step = models.CharField(max_length=50)
    message = models.TextField(blank=True)
    bytes_sent = models.PositiveBigIntegerField(default=0)
    bytes_received = models.PositiveBigIntegerField(default=0)
    clients = models.JSONField(null=True, blank=True, help_text="From the server: expected, ready, answered, failed.")
    metrics = models.JSONField(null=True, blank=True, help_text="From the client: name to value.")
    first_at = models.DateTimeField(default=timezone.now)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["round", "partner"]
        constraints = [
            models.UniqueConstraint(
                fields=["execution", "attempt", "partner", "round"], name="federated_progress_once_a_round"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.partner or 'server'} in round {self.round}: {self.step}"


class ExecutionAttempt(models.Model):
    """The outcome of an attempt that was followed by another; its run keeps the same attempt number."""

    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="earlier_attempts")
    attempt = models.PositiveIntegerField()
    schema_version = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=10, choices=ExecutionState)
    reason = models.CharField(max_length=10, choices=FailureReason, blank=True)
    message = models.TextField(blank=True)
    ended_at = models.DateTimeField()

    class Meta:
        ordering = ["attempt"]
        constraints = [models.UniqueConstraint(fields=["execution", "attempt"], name="execution_attempt_once")]

    def __str__(self) -> str:
        return f"Attempt {self.attempt} of execution {self.execution_id}"

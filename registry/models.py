"""AI engines, their versions, AI models, evaluation metrics and generic files."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models

from registry.fields import StringListField


class Registered(models.Model):
    """The fields that all rows of the model registry have."""

    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=200, blank=True, help_text="A user's name, or execution:<id>.")

    class Meta:
        abstract = True


class AIEngine(Registered):
    name = models.CharField(max_length=200, unique=True)
    container_name = models.CharField(max_length=200, db_index=True)
    owner = models.CharField(max_length=200, blank=True, db_index=True)
    description = models.TextField(blank=True)
    data_type = StringListField(default=list, blank=True)
    role_type = models.CharField(max_length=50, db_index=True)
    data_considerations = models.TextField(null=True, blank=True)
    trl = models.CharField("technology readiness level", max_length=200, null=True, blank=True)
    ethics = models.TextField(null=True, blank=True)
    caveats = models.TextField(null=True, blank=True)
    metrics = models.TextField(null=True, blank=True)
    license = models.CharField(max_length=200, null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        verbose_name = "AI engine"
        verbose_name_plural = "AI engines"
        indexes = [models.Index(fields=["created_at", "id"], name="registry_engine_created")]

    def __str__(self) -> str:
        return self.name


class AIEngineVersion(Registered):
    ai_engine = models.ForeignKey(AIEngine, on_delete=models.PROTECT, related_name="versions")
    container_version = models.CharField(max_length=100, db_index=True)
    description = models.TextField(blank=True)
    functionalities = StringListField(default=list)
    explains = models.BooleanField(default=False)
    max_iteration_time = models.PositiveIntegerField(
        default=1200,
        validators=[MinValueValidator(1)],
        help_text="The most seconds that one call of the AI engine may take.",
    )
    memory_request = models.CharField(max_length=30, default="3584Mi")
    memory_limit = models.CharField(max_length=30, default="3584Mi")
    cpu_request = models.CharField(max_length=30, default="250m")
    cpu_limit = models.CharField(max_length=30, default="4000m")
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        verbose_name = "AI engine version"
        verbose_name_plural = "AI engine versions"
        indexes = [models.Index(fields=["created_at", "id"], name="registry_version_created")]
        constraints = [
            models.UniqueConstraint(fields=["ai_engine", "container_version"], name="registry_version_key"),
            models.CheckConstraint(condition=models.Q(max_iteration_time__gte=1), name="registry_version_has_time"),
        ]

    def __str__(self) -> str:
        return f"{self.ai_engine_id}:{self.container_version}"


class DefaultUserVars(models.Model):
    """The default user variables of a version for one functionality."""

    version = models.ForeignKey(AIEngineVersion, on_delete=models.CASCADE, related_name="default_user_vars")
    functionality = models.CharField(max_length=100)
    contents = models.FileField(upload_to="registry/default_user_vars", max_length=300)

    class Meta:
        verbose_name_plural = "default user vars"
        constraints = [models.UniqueConstraint(fields=["version", "functionality"], name="registry_user_vars_key")]

    def __str__(self) -> str:
        return self.functionality


class AIModel(Registered):
    ai_engine_version = models.ForeignKey(AIEngineVersion, on_delete=models.PROTECT, related_name="ai_models")
    name = models.CharField(max_length=200)
    data_partners_patients = models.JSONField(default=dict)
    data_hash = models.CharField(max_length=64, help_text="Digest of data_partners_patients, independent of its order.")
    merge_type = models.CharField(max_length=50, null=True, blank=True, db_index=True)
    parent_ai_model = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="children"
    )
    description = models.TextField(blank=True)
    download_resume_retries = models.PositiveIntegerField(default=4)
    ai_engine_version_user_vars = models.FileField(upload_to="registry/ai_model_user_vars", max_length=300)
    contents = models.FileField(upload_to="registry/ai_models", max_length=300)
    contents_version = models.PositiveIntegerField(
        default=1, help_text="Version of the model's files; a replacement of files begins a new one."
    )
    contents_by = models.CharField(
        max_length=200, blank=True, help_text="Who last replaced the files; empty if they were never replaced."
    )
    contents_at = models.DateTimeField(null=True, blank=True, help_text="When the files were last replaced.")
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        verbose_name = "AI model"
        verbose_name_plural = "AI models"
        indexes = [models.Index(fields=["created_at", "id"], name="registry_model_created")]
        constraints = [
            models.UniqueConstraint(fields=["name", "ai_engine_version", "data_hash"], name="registry_model_key"),
        ]

    def __str__(self) -> str:
        return self.name


class EarlierContents(models.Model):
    """The files that a model had before they were replaced; stored files never change."""

    ai_model = models.ForeignKey(AIModel, on_delete=models.CASCADE, related_name="earlier_contents")
    version = models.PositiveIntegerField()
    ai_engine_version_user_vars = models.FileField(upload_to="registry/ai_model_user_vars", max_length=300)
    contents = models.FileField(upload_to="registry/ai_models", max_length=300)
    stored_by = models.CharField(max_length=200, blank=True)
    stored_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "earlier contents"
        constraints = [models.UniqueConstraint(fields=["ai_model", "version"], name="registry_contents_version")]

    def __str__(self) -> str:
        return f"version {self.version}"


class EvaluationMetric(Registered):
    ai_model = models.ForeignKey(AIModel, on_delete=models.CASCADE, related_name="evaluation_metrics")
    name = models.CharField(max_length=200)
    value = models.FloatField(db_index=True)
    description = models.TextField(null=True, blank=True)
    data_partners_patients = models.JSONField(default=dict)
    data_hash = models.CharField(max_length=64, help_text="Digest of data_partners_patients, independent of its order.")
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        indexes = [models.Index(fields=["created_at", "id"], name="registry_metric_created")]
        constraints = [
            models.UniqueConstraint(fields=["name", "ai_model", "data_hash"], name="registry_metric_key"),
        ]

    def __str__(self) -> str:
        return f"{self.name} = {self.value:g}"


class GenericFile(Registered):
    name = models.CharField(max_length=200, db_index=True)
    contents = models.FileField(upload_to="registry/generic_files", max_length=300)

    class Meta:
        indexes = [models.Index(fields=["created_at", "id"], name="registry_file_created")]

    def __str__(self) -> str:
        return self.name

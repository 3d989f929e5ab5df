"""Schemas: the inputs of an AI service, its AI engines, its outputs and its manifest."""

from __future__ import annotations

from django.db import models


class SchemaType(models.TextChoices):
    INDIVIDUAL = "individual"
    JOINT = "joint"


class Implementation(models.TextChoices):
    ARGO_WORKFLOWS = "argo_workflows"
    DUMMY = "dummy", "dummy (stored only, nothing is started)"


class SchemaContent(models.Model):
    """One version of an AI service; its elements have the form of the API (`schemas.shapes`)."""

    type = models.CharField(max_length=20, choices=SchemaType)
    implementation = models.CharField(max_length=20, choices=Implementation)
    description = models.TextField(blank=True)
    input_elements = models.JSONField()
    ai_elements = models.JSONField()
    output_elements = models.JSONField()
    auxiliary_file = models.FileField(upload_to="schemas", blank=True, max_length=255)
    manifest = models.JSONField(null=True, blank=True, help_text="The manifest as data, after all checks.")
    version = models.PositiveIntegerField(default=1, help_text="Counted from 1.")

    class Meta:
        abstract = True


class Schema(SchemaContent):
    """One AI service in its newest version, which was stored at `updated_at`."""

    name = models.CharField(max_length=100, unique=True)
    is_shipped = models.BooleanField(
        default=False, help_text="The newest version is shipped with this service; the next release may update it."
    )
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [
            models.CheckConstraint(
                name="schema_with_workflow_has_manifest",
                condition=models.Q(implementation=Implementation.DUMMY) | models.Q(manifest__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class EarlierSchemaVersion(SchemaContent):
    """A version that was replaced by a newer one; executions that were posted with it keep it."""

    schema = models.ForeignKey(Schema, on_delete=models.CASCADE, related_name="earlier_versions")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("-version",)
        constraints = [models.UniqueConstraint(fields=["schema", "version"], name="schema_version_once")]

    def __str__(self) -> str:
        return f"{self.name}, version {self.version}"

    @property
    def name(self) -> str:
        return self.schema.name

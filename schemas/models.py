"""What an AI service takes, which AI engines it needs, what it gives, and the Workflow that carries it out."""

from __future__ import annotations

from django.db import models


class SchemaType(models.TextChoices):
    INDIVIDUAL = "individual"
    JOINT = "joint"


class Implementation(models.TextChoices):
    ARGO_WORKFLOWS = "argo_workflows"
    DUMMY = "dummy", "dummy (stored only, nothing is started)"


class SchemaContent(models.Model):
    """What one version of an AI service says; its elements keep the form of the API (`schemas.shapes`)."""

    type = models.CharField(max_length=20, choices=SchemaType)
    implementation = models.CharField(max_length=20, choices=Implementation)
    description = models.TextField(blank=True)
    input_elements = models.JSONField()
    ai_elements = models.JSONField()
    output_elements = models.JSONField()
    auxiliary_file = models.FileField(upload_to="schemas", blank=True, max_length=255)
    manifest = models.JSONField(
        null=True, blank=True, help_text="The auxiliary file as read, checked and held to the policy."
    )
    version = models.PositiveIntegerField(default=1, help_text="Counted from 1.")

    class Meta:
        abstract = True


class Schema(SchemaContent):
    """One AI service, as its newest version has it; that one was stored at `updated_at`."""

    name = models.CharField(max_length=100, unique=True)
    is_shipped = models.BooleanField(
        default=False, help_text="The newest version came with this service, and goes with it to its next release."
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
    """A version that another one has replaced; executions that were posted with it keep it."""

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

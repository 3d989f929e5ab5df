"""What an AI service takes, which AI engines it needs, what it gives, and the Workflow that carries it out."""

from __future__ import annotations

from django.db import models


class SchemaType(models.TextChoices):
    INDIVIDUAL = "individual"
    JOINT = "joint"


class Implementation(models.TextChoices):
    ARGO_WORKFLOWS = "argo_workflows"
    DUMMY = "dummy", "dummy (stored only, nothing is started)"


class Schema(models.Model):
    """One AI service. Its elements keep the form of the API, which `schemas.shapes` describes."""

    name = models.CharField(max_length=100, unique=True)
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

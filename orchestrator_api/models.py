"""Tokens of people and programs, counters of failed logins, and answers for repeated requests."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class ApiToken(models.Model):
    """The right to call the API as its user. The token is shown once; only its hash is stored."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, help_text="What it is for.")
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(help_text="From then on it is refused.")
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("-created_at", "-id")
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.user_id})"

    def is_valid_at(self, moment: datetime) -> bool:
        """Return whether the token may be used at a moment."""
        return self.revoked_at is None and moment < self.expires_at


class LoginCounter(models.Model):
    """How often logins failed recently under one key (orchestrator_api.logins)."""

    key = models.CharField(max_length=64, primary_key=True, help_text="A digest of whom it counts for.")
    failures = models.PositiveIntegerField(default=0)
    ends_at = models.DateTimeField(db_index=True, help_text="From then on they count no more.")

    def __str__(self) -> str:
        return f"{self.key}: {self.failures}"


class IdempotencyRecord(models.Model):
    """The first answer to a request that carried an Idempotency-Key, or the note that the request is in progress."""

    principal = models.CharField(max_length=150, help_text="Who sent it; a key is theirs alone.")
    key = models.CharField(max_length=255)
    digest = models.CharField(max_length=64, help_text="SHA-256 of what was sent.")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True, blank=True, help_text="Under way until then, at most.")
    leased_by = models.CharField(max_length=60, blank=True, help_text="The process that answers it.")
    created_address = models.CharField(
        max_length=300, blank=True, help_text="What the first request made; its answer may have been lost."
    )
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    content_type = models.CharField(max_length=100, blank=True)
    body = models.BinaryField(default=bytes)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("principal", "key"), name="idempotency_key_of_principal"),
            models.CheckConstraint(
                name="idempotency_under_way_or_answered",
                condition=Q(leased_until__isnull=False, status__isnull=True)
                | Q(leased_until__isnull=True, status__isnull=False),
            ),
        ]
        indexes = [models.Index(fields=("expires_at",), name="idempotency_expiry")]

    def __str__(self) -> str:
        return f"{self.principal}: {self.key}"

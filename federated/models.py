"""Channels, and the messages and models that this service stores for them."""

from __future__ import annotations

from typing import Any

from django.db import models

TOPICS = ("status", "models_to_manager", "models_to_clients")


def _file_path(row: Any, name: str) -> str:
    # The channel's own folder; its id is not a valid file name on every system.
    return f"federated/{row.channel.owner_kind}-{row.channel.owner_id}-{row.channel.attempt}/{name}"


class Channel(models.Model):
    """The channel of one attempt of an owner of runs; the row outlives the owner, so that its topics can be deleted.

    A channel is open from its creation, before anything is created outside the database, until `closed_at`;
    `cleared_at` is when all of that had been deleted.
    """

    id = models.CharField(primary_key=True, max_length=200)
    adapter = models.CharField(max_length=50)
    owner_kind = models.CharField(max_length=40)
    owner_id = models.BigIntegerField()
    attempt = models.PositiveIntegerField()
    max_model_bytes = models.PositiveBigIntegerField()
    ends_at = models.DateTimeField(help_text="The channel is not needed after this time.")
    created_at = models.DateTimeField(auto_now_add=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    cleared_at = models.DateTimeField(
        null=True, blank=True, help_text="When everything of the channel had been deleted."
    )

    class Meta:
        indexes = [
            models.Index(fields=["owner_kind", "owner_id"], name="federated_channel_owner"),
            models.Index(
                fields=["ends_at"], condition=models.Q(cleared_at__isnull=True), name="federated_channel_uncleared"
            ),
        ]

    def __str__(self) -> str:
        return self.id


class ChannelMessage(models.Model):
    """One message of a topic, never changed; without contents it has the null value."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="messages")
    topic = models.CharField(max_length=20, choices=[(topic, topic) for topic in TOPICS])
    offset = models.PositiveBigIntegerField()
    message_id = models.CharField(max_length=32)
    key = models.TextField(blank=True)
    headers = models.JSONField(default=dict)
    size = models.PositiveBigIntegerField(null=True)
    contents = models.FileField(upload_to=_file_path, max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["channel", "topic", "offset"], name="federated_message_offset"),
            models.UniqueConstraint(fields=["channel", "topic", "message_id"], name="federated_message_id"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.offset}"


class StoredModel(models.Model):
    """A model that is stored here while a topic carries only its claim; identified by its SHA-256 in hexadecimal."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="stored_models")
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    stored_by = models.CharField(
        max_length=200, blank=True, help_text="The data partner whose client stored the model; empty for the server."
    )
    contents = models.FileField(upload_to=_file_path, max_length=300)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "sha256"], name="federated_model_digest")]

    def __str__(self) -> str:
        return self.sha256

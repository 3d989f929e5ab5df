"""The channel API's documents, for its OpenAPI description."""

from __future__ import annotations

from rest_framework import serializers


class PublishedAnswer(serializers.Serializer[object]):
    offset = serializers.IntegerField()


class MessageHead(serializers.Serializer[object]):
    offset = serializers.IntegerField()
    key = serializers.CharField()
    headers = serializers.DictField(child=serializers.CharField(allow_blank=True))
    size = serializers.IntegerField(allow_null=True, help_text="Bytes of the value; null for the null value.")


class MessageHeads(serializers.Serializer[object]):
    results = MessageHead(many=True)
    end = serializers.IntegerField(help_text="The offset of the topic's last message, -1 when it is empty.")

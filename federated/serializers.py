"""The OpenAPI document's schemas for channels."""

from __future__ import annotations

from rest_framework import serializers


class PublishedAnswer(serializers.Serializer[object]):
    offset = serializers.IntegerField()


class MessageHead(serializers.Serializer[object]):
    offset = serializers.IntegerField()
    key = serializers.CharField()
    headers = serializers.DictField(child=serializers.CharField(allow_blank=True))
    size = serializers.IntegerField(allow_null=True, help_text="Size of the value in bytes; null for the null value.")


class MessageHeads(serializers.Serializer[object]):
    results = MessageHead(many=True)
    end = serializers.IntegerField(help_text="The offset of the topic's last message; -1 if the topic is empty.")

"""Requests to the channel API as a federated manager sends them."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from django.core.files.storage import default_storage
from rest_framework.test import APIClient


def content_digest(value: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(value).digest()).decode()}:"


class Topic:
    """One topic of a channel, as one client sees it."""

    def __init__(self, client: APIClient, channel_id: str, name: str) -> None:
        self.client = client
        self.url = f"/api/channels/{quote(channel_id, safe='')}/{name}/messages/"

    def post(self, value: bytes | None = b"true", *, key: str = "k", message_id: str = "", **headers: str) -> Any:
        """Publish; `headers` replace those that are sent, '' leaves one out."""
        head = {
            "Message-Id": message_id or uuid4().hex,
            "Message-Key": quote(key, safe=""),
            "Message-Headers": quote(json.dumps({"iteration_index": "0"})),
            "Message-Null": "true" if value is None else "false",
        } | {name.replace("_", "-"): text for name, text in headers.items()}
        kept = {name: text for name, text in head.items() if text}
        return self.client.post(self.url, value or b"", content_type="application/octet-stream", headers=kept)

    def heads(self, query: str = "") -> Any:
        response = self.client.get(f"{self.url}{query}")
        assert response.status_code == 200, response.content
        return response.json()

    def content(self, offset: int, **headers: str) -> Any:
        return self.client.get(f"{self.url}{offset}/content/", headers=headers)


def body_of(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


def pointers(response: Any) -> list[str]:
    return sorted(fault["pointer"] for fault in response.json()["errors"])


def stored_names(folder: str = "federated") -> list[str]:
    """Return the names of all files that channels have in the storage."""
    try:
        folders, files = default_storage.listdir(folder)
    except FileNotFoundError:
        return []
    return files + [name for each in folders for name in stored_names(f"{folder}/{each}")]

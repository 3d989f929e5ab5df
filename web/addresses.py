"""Addresses that go into answers and Workflows."""

from __future__ import annotations

from django.conf import settings


def registry_url(resource: str, id: int) -> str:
    """Return the URL of something in the model registry, e.g. `registry_url("ai_models", 3)`."""
    return f"http://{settings.MAAS_API_HOSTNAME}/api/{resource}/{id}/"

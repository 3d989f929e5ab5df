"""System checks of the channel adapters' settings."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from federated.adapters.configured import get_adapter


def check_adapters(**_: Any) -> list[checks.CheckMessage]:
    """Check that each configured adapter can be created, and that the adapter for new channels is configured."""
    found: list[checks.CheckMessage] = []
    if settings.FEDERATED_ADAPTER not in settings.FEDERATED_ADAPTERS:
        words = f"FEDERATED_ADAPTER is {settings.FEDERATED_ADAPTER!r}, which is not an adapter of FEDERATED_ADAPTERS."
        found.append(checks.Error(words, id="federated.E001"))
    for alias in settings.FEDERATED_ADAPTERS:
        try:
            get_adapter(alias)
        except ImproperlyConfigured as error:
            found.append(checks.Error(str(error), id="federated.E002"))
    return found

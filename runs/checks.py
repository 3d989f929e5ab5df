"""System checks of the engines' settings."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from runs.engines import get_engine


def check_engines(**_: Any) -> list[checks.CheckMessage]:
    """Check that each configured engine can be created, and that the engine for new runs is configured."""
    found: list[checks.CheckMessage] = []
    if settings.ENGINE not in settings.ENGINES:
        found.append(checks.Error(f"ENGINE is {settings.ENGINE!r}, which is not an engine of ENGINES.", id="runs.E001"))
    for alias in settings.ENGINES:
        try:
            get_engine(alias)
        except ImproperlyConfigured as error:
            found.append(checks.Error(str(error), id="runs.E002"))
    return found

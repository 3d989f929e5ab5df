"""System checks of the engines' settings."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from runs.engines import get_engine


def check_engines(**_: Any) -> list[checks.CheckMessage]:
    """Check that each configured engine can be made, and that new runs have one to go to."""
    found: list[checks.CheckMessage] = []
    if settings.ENGINE not in settings.ENGINES:
        found.append(checks.Error(f"ENGINE names {settings.ENGINE!r}, which ENGINES does not have.", id="runs.E001"))
    for alias in settings.ENGINES:
        try:
            get_engine(alias)
        except ImproperlyConfigured as error:
            found.append(checks.Error(str(error), id="runs.E002"))
    return found

"""Objects that settings configure by alias (`{alias: {"class": …, "options": {…}}}`), created once per process."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

Made = TypeVar("Made")


class Configured(Generic[Made]):
    """The objects of one setting; `what` is their name in messages."""

    def __init__(self, setting: str, what: str) -> None:
        self._setting, self._what = setting, what
        self._made: dict[str, Made] = {}
        self._lock = threading.Lock()

    def get(self, alias: str) -> Made:
        """Return the object of an alias. Raises ImproperlyConfigured if it is not configured or cannot be created."""
        with self._lock:
            if alias not in self._made:
                self._made[alias] = self._make(alias)
            return self._made[alias]

    def forget(self) -> None:
        """Have every object created anew from the present settings."""
        with self._lock:
            self._made.clear()

    def _make(self, alias: str) -> Made:
        configuration = getattr(settings, self._setting).get(alias)
        if configuration is None:
            raise ImproperlyConfigured(f"The {self._what} {alias!r} is not configured in {self._setting}.")
        try:
            made_of = import_string(str(configuration["class"]))
        except (ImportError, KeyError) as error:
            raise ImproperlyConfigured(f"The class of {self._what} {alias!r} cannot be imported: {error}") from error
        try:
            return cast(Made, made_of(alias, configuration.get("options", {})))
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise ImproperlyConfigured(f"The options of {self._what} {alias!r} are wrong: {error}") from error

"""What settings name by alias (`{alias: {"class": …, "options": {…}}}`), made once for each process."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

Made = TypeVar("Made")


class Configured(Generic[Made]):
    """The objects of one setting; `what` is what one of them is called in messages."""

    def __init__(self, setting: str, what: str) -> None:
        self._setting, self._what = setting, what
        self._made: dict[str, Made] = {}
        self._lock = threading.Lock()

    def get(self, alias: str) -> Made:
        """Return the object of an alias. Raises ImproperlyConfigured where the setting doesn't make one of it."""
        with self._lock:
            if alias not in self._made:
                self._made[alias] = self._make(alias)
            return self._made[alias]

    def forget(self) -> None:
        """Let every object be made anew, from the settings as they are now."""
        with self._lock:
            self._made.clear()

    def _make(self, alias: str) -> Made:
        configuration = getattr(settings, self._setting).get(alias)
        if configuration is None:
            raise ImproperlyConfigured(f"settings.{self._setting} has no {self._what} {alias!r}.")
        try:
            made_of = import_string(str(configuration["class"]))
        except (ImportError, KeyError) as error:
            raise ImproperlyConfigured(f"The class of {self._what} {alias!r} cannot be imported: {error}") from error
        try:
            return cast(Made, made_of(alias, configuration.get("options", {})))
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise ImproperlyConfigured(f"The options of {self._what} {alias!r} are wrong: {error}") from error

"""The engines of this installation, made once for each process from settings.ENGINES."""

from __future__ import annotations

import threading
from typing import cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from engines.base import Engine

_engines: dict[str, Engine] = {}
_lock = threading.Lock()


def get_engine(alias: str) -> Engine:
    """Return the engine of an alias. Raises ImproperlyConfigured where settings.ENGINES doesn't make one of it."""
    with _lock:
        if alias not in _engines:
            _engines[alias] = _make(alias)
        return _engines[alias]


def forget_engines() -> None:
    """Let every engine be made anew, from the settings as they are now."""
    with _lock:
        _engines.clear()


def _make(alias: str) -> Engine:
    configuration = settings.ENGINES.get(alias)
    if configuration is None:
        raise ImproperlyConfigured(f"settings.ENGINES has no engine {alias!r}.")
    try:
        engine_class = import_string(str(configuration["class"]))
    except (ImportError, KeyError) as error:
        raise ImproperlyConfigured(f"The class of engine {alias!r} cannot be imported: {error}") from error
    return cast(Engine, engine_class(alias, configuration.get("options", {})))

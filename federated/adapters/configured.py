"""The adapters of this installation, made once for each process from settings.FEDERATED_ADAPTERS."""

from __future__ import annotations

import threading
from typing import cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from federated.adapters.base import ChannelAdapter

_adapters: dict[str, ChannelAdapter] = {}
_lock = threading.Lock()


def get_adapter(alias: str) -> ChannelAdapter:
    """Return the adapter of an alias.

    Raises ImproperlyConfigured where settings.FEDERATED_ADAPTERS doesn't make one of it.
    """
    with _lock:
        if alias not in _adapters:
            _adapters[alias] = _make(alias)
        return _adapters[alias]


def forget_adapters() -> None:
    """Let every adapter be made anew, from the settings as they are now."""
    with _lock:
        _adapters.clear()


def _make(alias: str) -> ChannelAdapter:
    configuration = settings.FEDERATED_ADAPTERS.get(alias)
    if configuration is None:
        raise ImproperlyConfigured(f"settings.FEDERATED_ADAPTERS has no adapter {alias!r}.")
    try:
        adapter_class = import_string(str(configuration["class"]))
    except (ImportError, KeyError) as error:
        raise ImproperlyConfigured(f"The class of the channel adapter {alias!r} cannot be imported: {error}") from error
    try:
        return cast(ChannelAdapter, adapter_class(alias, configuration.get("options", {})))
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"The options of the channel adapter {alias!r} are wrong: {error}") from error

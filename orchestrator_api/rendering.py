"""Answers as JSON, written by orjson: a list of a hundred executions holds thousands of patients' ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from rest_framework.renderers import JSONRenderer
from rest_framework.utils.encoders import JSONEncoder

_fallback = JSONEncoder().default


class FastJSONRenderer(JSONRenderer):
    """Writes the same as DRF's renderer; values that orjson does not know are converted as in DRF."""

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        if data is None:
            return b""
        try:
            return orjson.dumps(data, default=_fallback, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
        except TypeError:
            # Numbers beyond 64 bits and unpaired surrogates, which documents of other programs may hold.
            rendered: bytes = super().render(data, accepted_media_type, renderer_context)
            return rendered

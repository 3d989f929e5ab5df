"""Callback documents, in the form that the services take: manifests write these documents by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from executions import shapes
from executions.outcomes import UNTOLD
from web.leniency import NUMBERS_TOO, typed

_ANY_PRODUCTS = shapes.succeeded(model=True, metrics=True, file=True)
_MESSAGE = {"type": "string", NUMBERS_TOO: True}


def as_told(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a callback as it came."""
    return dict(document)


def as_failure(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a failure with a message; without a message in it, with the default message."""
    message = typed(document.get("message"), _MESSAGE)
    is_blank = message is None or (isinstance(message, str) and not message.strip())
    return {**document, "message": UNTOLD if is_blank else message}


def as_products(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a success with ids as numbers, which some manifests put between quotes."""
    products: dict[str, Any] = typed(dict(document), _ANY_PRODUCTS)
    return products

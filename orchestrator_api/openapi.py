"""What every operation of the OpenAPI document has: the problem document as its error answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import force_instance, get_doc

from orchestrator_api.problems import CONTENT_TYPE

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "The problem (RFC 9457), with a pointer for each fault of the request.",
    "required": ["type", "title", "status", "detail", "code", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "description": "A JSON pointer; `/files/<part>` names a file, "
                        "`/query/<name>` a query parameter.",
                    },
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_ANSWER = {
    "description": "A problem.",
    "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_ALWAYS = ("400", "401", "403", "404")
_WITH_BODY = ("409", "413", "415", "422", "503", "507")
_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "description": "A key of the client's choice. For a day, a repeated request with the same "
    "key and content gets the first answer again.",
}


class ProblemAwareSchema(AutoSchema):
    """Adds to each operation the problems it may answer, and the Idempotency-Key to each POST."""

    def _is_list_view(self, serializer: Any = None) -> bool:
        # The pages of lists are described as one object; the parent would make an array of them.
        instance = force_instance(serializer)  # type: ignore[no-untyped-call]
        if "results" in getattr(instance, "fields", {}):
            return False
        return bool(super()._is_list_view(serializer))

    def get_description(self) -> str:  # type: ignore[override]
        # Not the view's docstring, which the parent would take: it is for developers and about all operations.
        name = str(getattr(self.view, "action", None) or str(self.method).lower())
        return str(get_doc(getattr(self.view, name, None)))

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        method = str(self.method)
        statuses = _ALWAYS if method in ("GET", "HEAD", "DELETE") else (*_ALWAYS, *_WITH_BODY)
        for status in statuses:
            operation["responses"].setdefault(status, _ANSWER)
        operation["responses"].setdefault("default", _ANSWER)
        if method == "POST":
            operation.setdefault("parameters", []).append(_KEY_PARAMETER)
        return operation


def view_description(view: object, html: bool = False) -> str:
    """Return the description of an address in an answer to OPTIONS; DRF's VIEW_DESCRIPTION_FUNCTION.

    Not the view's docstring, as in DRF: it is for developers.
    """
    return "The API is described at /api/schema/."


def add_problem_component(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Put the problem document among the document's components; a hook of drf-spectacular."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM
    return result

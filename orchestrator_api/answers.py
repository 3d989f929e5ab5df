"""Headers of every answer: browsers keep no patients' data and run only this service's scripts."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control

from orchestrator_api.middleware import GetResponse

_NOTHING = "base-uri 'none'; frame-ancestors 'none'"
# Pages of Django's admin: scripts, styles, pictures and forms of this service alone. The favicon is an empty data: URL.
ADMIN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    f"connect-src 'self'; form-action 'self'; {_NOTHING}"
)
# Swagger UI writes style attributes, and its pictures are data: URLs.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    f"connect-src 'self'; form-action 'self'; {_NOTHING}"
)
# Everything else is data, partly from others: an SVG picture may have styles, but no script runs.
DATA_POLICY = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; {_NOTHING}"

_ROOMS = ("/api/", "/admin/")


class AnswerMiddleware:
    """Sets Cache-Control and Content-Security-Policy. Static files are answered before this middleware."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.path_info.startswith(_ROOMS):
            patch_cache_control(response, no_store=True)
        response.headers.setdefault("Content-Security-Policy", _policy(request.path_info))
        return response


def _policy(path: str) -> str:
    if path.startswith("/admin/"):
        return ADMIN_POLICY
    return DOCS_POLICY if path.startswith("/api/docs/") else DATA_POLICY

"""URLs in answers and Workflows."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest
from django.urls import get_script_prefix
from rest_framework.request import Request


def registry_url(resource: str, id: int) -> str:
    """Return the URL of a resource of the model registry, e.g. `registry_url("ai_models", 3)`."""
    return f"{settings.MAAS_API_SCHEME}://{settings.MAAS_API_ADDRESS}/api/{resource}/{id}/"


@dataclass(frozen=True)
class Addresses:
    """URLs of this API for the caller; created once for an answer, since reading the request is slow."""

    api: str

    @classmethod
    def of(cls, request: Request | HttpRequest) -> Addresses:
        return cls(request.build_absolute_uri(f"{get_script_prefix()}api"))

    def execution(self, execution_id: int) -> str:
        return f"{self.api}/executions/{execution_id}/"

    def run(self, name: str) -> str:
        return f"{self.api}/runs/{name}/"

    def schema(self, name: str) -> str:
        return f"{self.api}/schemas/{quote(name, safe='')}/"

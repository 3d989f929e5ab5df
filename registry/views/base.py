"""What the viewsets of all resources share: lists, one row, and answers with the caller's own base address."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from django.db.models import Model, QuerySet
from django.urls import get_script_prefix
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from registry.presenters import Presented, present_all
from registry.services.rows import found
from web.lists import ListQuery, StandardPagination, page_of

_M = TypeVar("_M", bound=Model)

# What a Workflow's callback token may do with what it needs, and with what it makes.
READ_ACTIONS = frozenset({"list", "retrieve"})
WRITE_ACTIONS = frozenset({"create", "destroy"})

RANGE = OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="One range of bytes.")
REFUSED = OpenApiResponse(description="The request has faults; each has a pointer.")
CONFLICT = OpenApiResponse(description="It is still used by others, which the answer names.")
GONE = OpenApiResponse(description="Deleted.")


def api_root(request: Request) -> str:
    """Return the address of the API as this caller sees it."""
    return request.build_absolute_uri(f"{get_script_prefix()}api/")


class RegistryViewSet(GenericViewSet[_M]):
    """Lists and shows the rows of `rows` as `present` has them."""

    rows: ClassVar[staticmethod[[], QuerySet[Any]]]
    present: ClassVar[staticmethod[[Any, str], Presented]]
    list_query: ClassVar[ListQuery]

    lookup_value_regex = "[0-9]{1,18}"
    parser_classes = [MultiPartParser, JSONParser]
    pagination_class = StandardPagination
    filter_backends = []

    def list(self, request: Request) -> Response:
        queryset = self.list_query.apply(request, type(self).rows())
        return page_of(request, queryset, present_all(type(self).present, api_root(request)))

    @extend_schema(responses={404: OpenApiResponse(description="There is no such row.")})
    def retrieve(self, request: Request, pk: str) -> Response:
        return self.answer(request, int(pk))

    def answer(self, request: Request, row_id: int, status: int = 200) -> Response:
        """Answer one row as it is stored now. Raises NotFound."""
        presented = type(self).present(found(type(self).rows(), row_id), api_root(request))
        return Response(presented, status, headers={"Location": presented["url"]} if status == 201 else None)

"""What the viewsets of all resources share: lists, one row, and answers with URLs for the caller."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar

from django.db.models import Model, QuerySet
from django.urls import get_script_prefix
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from registry.authors import workflow_author
from registry.presenters import Presented, present_all
from registry.services.rows import found
from web.grants import ANY_ROLE, CENTRAL_ROLES, Role, WorkflowGrant, grant_of
from web.lists import ListQuery, StandardPagination, page_of

_M = TypeVar("_M", bound=Model)

# What a Workflow's callback token may do with its inputs and with its outputs. A client's token creates nothing here,
# since models and metrics name the patients of all data partners.
Actions = dict[str, frozenset[Role]]
READ_ACTIONS: Actions = dict.fromkeys(("list", "retrieve"), ANY_ROLE)
CENTRAL_READ_ACTIONS: Actions = dict.fromkeys(READ_ACTIONS, CENTRAL_ROLES)
WRITE_ACTIONS: Actions = dict.fromkeys(("create", "destroy"), CENTRAL_ROLES)
UPSERT_ACTIONS: Actions = {"update_or_create": CENTRAL_ROLES}

RANGE = OpenApiParameter(
    "Range", str, OpenApiParameter.HEADER, description="A single range of bytes, e.g. `bytes=0-1023`."
)
REFUSED = OpenApiResponse(description="The request has faults. Each has a pointer to its place.")
CONFLICT = OpenApiResponse(description="The resource is still used. The answer names its users.")
GONE = OpenApiResponse(description="Deleted.")


def api_root(request: Request) -> str:
    """Return the API's URL for this caller."""
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
        grant = grant_of(request)
        present = type(self).present if grant is None else partial(_present_to_workflow, type(self).present, grant)
        return page_of(request, queryset, present_all(present, api_root(request)))

    @extend_schema(responses={404: OpenApiResponse(description="The resource does not exist.")})
    def retrieve(self, request: Request, pk: str) -> Response:
        row, grant = found(type(self).rows(), int(pk)), grant_of(request)
        if grant is None:
            return Response(type(self).present(row, api_root(request)))
        return Response(_present_to_workflow(type(self).present, grant, row, api_root(request)))

    def answer(self, request: Request, row_id: int, status: int = 200) -> Response:
        """Return one row as it is stored now. Raises NotFound."""
        presented = type(self).present(found(type(self).rows(), row_id), api_root(request))
        return Response(presented, status, headers={"Location": presented["url"]} if status == 201 else None)


def _present_to_workflow(
    present: Callable[[Any, str], Presented], grant: WorkflowGrant, row: Any, base: str
) -> Presented:
    """Present a row to a Workflow, with patients only if they are its own partner's or the Workflow created the row."""
    presented = present(row, base)
    patients = presented.get("data_partners_patients")
    if not patients or row.created_by == workflow_author(grant).name:
        return presented
    own = {partner: ids for partner, ids in patients.items() if grant.may_read(partner)}
    return {**presented, "data_partners_patients": own}

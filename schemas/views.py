"""The HTTP API of Schemas."""

from __future__ import annotations

from functools import partial

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from schemas import serializers as api
from schemas.models import Implementation, SchemaType
from schemas.presenters import present_schema, present_schemas
from schemas.selectors import schema_get, schema_list
from schemas.services import schema_create, schema_delete
from web.addresses import Addresses
from web.bodies import read_body
from web.downloads import file_response
from web.lists import ListQuery, choice_filter, page_of, text_filter

QUERY = ListQuery(
    sorts=("name", "type", "implementation", "created_at"),
    filters={
        "name": text_filter,
        "type": choice_filter(SchemaType),
        "implementation": choice_filter(Implementation),
    },
)
_NAME = extend_schema(parameters=[OpenApiParameter("name", str, OpenApiParameter.PATH)])


@extend_schema_view(retrieve=_NAME, destroy=_NAME, download_auxiliary_file=_NAME)
class SchemaViewSet(ViewSet):
    lookup_url_kwarg = "name"
    lookup_value_converter = "str"

    @extend_schema(parameters=QUERY.parameters(), responses=api.SchemaPage)
    def list(self, request: Request) -> Response:
        """List Schemas, the newest first."""
        present = partial(present_schemas, addresses=Addresses.of(request))
        return page_of(request, QUERY.apply(request, schema_list()), present)

    @extend_schema(
        request={"multipart/form-data": api.SchemaForm, "application/json": api.SchemaDocument},
        responses={201: api.SchemaAnswer},
    )
    def create(self, request: Request) -> Response:
        """Check a Schema with its manifest, and store it."""
        body = read_body(request)
        schema = schema_create(document=body.data, files=body.files)
        answer = present_schema(schema, Addresses.of(request))
        return Response(answer, status=status.HTTP_201_CREATED, headers={"Location": answer["url"]})

    @extend_schema(responses=api.SchemaAnswer)
    def retrieve(self, request: Request, name: str) -> Response:
        """Show a Schema."""
        return Response(present_schema(schema_get(name), Addresses.of(request)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, name: str) -> Response:
        """Delete a Schema and its executions, whose Workflows end."""
        schema_delete(name=name)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        responses={
            (200, "application/octet-stream"): OpenApiResponse(
                OpenApiTypes.BINARY, description="The file; HEAD and a single Range are honoured."
            )
        }
    )
    @action(detail=True, methods=["get"])
    def download_auxiliary_file(self, request: Request, name: str) -> HttpResponseBase:
        """Download the manifest, byte for byte as it was uploaded."""
        return file_response(request, schema_get(name).auxiliary_file, f"{name}.yaml")

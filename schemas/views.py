"""The HTTP API of Schemas."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from django.http import HttpResponseBase
from django.utils.http import parse_etags
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from schemas import serializers as api
from schemas.models import Implementation, Schema, SchemaType
from schemas.presenters import present_schema, present_schemas, present_version, present_versions
from schemas.selectors import schema_get, schema_list, schema_version, schema_versions
from schemas.services import schema_create, schema_delete, schema_tag, schema_update
from web.addresses import Addresses
from web.bodies import Body, read_body
from web.downloads import file_response
from web.errors import Fault, InvalidInput
from web.lists import ListQuery, choice_filter, page_of, text_filter
from web.standing import refuse_ended

QUERY = ListQuery(
    sorts=("name", "type", "implementation", "created_at"),
    filters={
        "name": text_filter,
        "type": choice_filter(SchemaType),
        "implementation": choice_filter(Implementation),
    },
)
_NAME = extend_schema(parameters=[OpenApiParameter("name", str, OpenApiParameter.PATH)])
_VERSION = OpenApiParameter("version", int, description="Number of a version. Default: the newest.")
_IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag of the newest version. The answer is 412 if the newest version has another ETag.",
)


@extend_schema_view(retrieve=_NAME, partial_update=_NAME, destroy=_NAME, versions=_NAME, download_auxiliary_file=_NAME)
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
        """Create a Schema with its manifest."""
        body = read_body(request)
        return _answer(request, schema_create(document=body.data, files=body.files), status.HTTP_201_CREATED)

    @extend_schema(parameters=[_VERSION], responses=api.SchemaAnswer)
    def retrieve(self, request: Request, name: str) -> Response:
        """Show a Schema, or one of its versions."""
        schema, version = schema_get(name), _version(request)
        if version is None:
            return _answer(request, schema)
        return Response(present_version(schema_version(schema, version), Addresses.of(request)))

    @extend_schema(
        parameters=[_IF_MATCH],
        request={"multipart/form-data": api.SchemaPatchForm, "application/json": api.SchemaPatch},
        responses=api.SchemaAnswer,
    )
    def partial_update(self, request: Request, name: str) -> Response:
        """Store a new description or manifest as a Schema's next version. Executions keep their version."""
        body = _patch(request)
        return _answer(request, schema_update(name=name, document=body.data, files=body.files, tags=_tags(request)))

    @extend_schema(parameters=[_IF_MATCH], responses={204: None})
    def destroy(self, request: Request, name: str) -> Response:
        """Delete a Schema with its versions and executions. Their Workflows are stopped."""
        schema_delete(name=name, tags=_tags(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        parameters=[OpenApiParameter("page", int), OpenApiParameter("page_size", int)], responses=api.SchemaVersionPage
    )
    @action(detail=True, methods=["get"])
    def versions(self, request: Request, name: str) -> Response:
        """List a Schema's versions, the newest first."""
        present = partial(present_versions, addresses=Addresses.of(request))
        return page_of(request, schema_versions(schema_get(name)), present)

    @extend_schema(
        parameters=[_VERSION],
        responses={
            (200, "application/octet-stream"): OpenApiResponse(
                OpenApiTypes.BINARY, description="The file. HEAD and a single byte range are supported."
            )
        },
    )
    @action(detail=True, methods=["get"])
    def download_auxiliary_file(self, request: Request, name: str) -> HttpResponseBase:
        """Download the manifest as it was uploaded."""
        version = schema_version(schema_get(name), _version(request))
        return file_response(request, version.auxiliary_file, f"{name}.yaml")


def _answer(request: Request, schema: Schema, status: int = status.HTTP_200_OK) -> Response:
    answer = present_schema(schema, Addresses.of(request))
    headers = {"ETag": schema_tag(schema)}
    if status == 201:
        headers["Location"] = answer["url"]
    return Response(answer, status, headers=headers)


def _patch(request: Request) -> Body:
    """Return the body of a PATCH; a form with only a manifest needs no document."""
    try:
        return read_body(request)
    except InvalidInput as error:
        if error.faults != (Fault("/data", "is missing"),) or not request.FILES:
            raise
    refuse_ended(request)
    return Body({}, dict(request.FILES.items()))


def _tags(request: Request) -> Collection[str] | None:
    given = request.headers.get("If-Match")
    return None if given is None else parse_etags(given)


def _version(request: Request) -> int | None:
    text = request.query_params.get("version")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InvalidInput(faults=[Fault("/query/version", "must be a whole number from 1")])
    return int(text)

from __future__ import annotations

from django.http import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from registry import presenters, selectors, services
from registry.authors import author_of
from registry.contents import listed_contents, member_download
from registry.models import GenericFile
from registry.serializers import BYTES, GenericFileIn, GenericFileOut, ListedContents
from registry.services.rows import found
from registry.views.base import GONE, RANGE, REFUSED, WRITE_ACTIONS, RegistryViewSet
from web.bodies import read_body
from web.downloads import download_response, file_response
from web.lists import ListQuery, text_filter

QUERY = ListQuery(sorts=("created_at",), filters={"name": text_filter})
_FILE_PATH = OpenApiParameter(
    "file_path", str, required=True, description="Path of a file in the archive, as listed by `listed_contents`."
)


@extend_schema_view(
    list=extend_schema(
        description="List generic files, the newest first.",
        parameters=QUERY.parameters(),
        responses={200: GenericFileOut(many=True), 400: REFUSED},
    ),
    retrieve=extend_schema(description="Show a generic file.", responses=GenericFileOut),
)
class GenericFileViewSet(RegistryViewSet[GenericFile]):
    queryset = GenericFile.objects.none()
    serializer_class = GenericFileOut
    rows = staticmethod(selectors.generic_files)
    present = staticmethod(presenters.present_generic_file)
    list_query = QUERY
    workflow_actions = WRITE_ACTIONS

    @extend_schema(request={"multipart/form-data": GenericFileIn}, responses={201: GenericFileOut, 400: REFUSED})
    def create(self, request: Request) -> Response:
        """Store a generic file: results of an AI engine in a zip archive."""
        body = read_body(request)
        generic_file = services.generic_file_create(data=body.data, files=body.files, author=author_of(request))
        return self.answer(request, generic_file.pk, 201)

    @extend_schema(responses={204: GONE})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a generic file."""
        services.generic_file_delete(file_id=int(pk), author=author_of(request))
        return Response(status=204)

    @extend_schema(responses=ListedContents)
    @action(detail=True, url_path="listed_contents")
    def listed_contents(self, request: Request, pk: str) -> Response:
        """List the paths of the files inside a generic file's archive."""
        return Response({"listed_contents": listed_contents(found(GenericFile.objects.all(), int(pk)).contents)})

    @extend_schema(parameters=[_FILE_PATH, RANGE], responses={**BYTES, 400: REFUSED})
    @action(detail=True)
    def individual_contents_download(self, request: Request, pk: str) -> HttpResponseBase:
        """Download one file from a generic file's archive."""
        stored = found(GenericFile.objects.all(), int(pk)).contents
        return download_response(request, member_download(stored, request.query_params.get("file_path", "")))

    @extend_schema(parameters=[RANGE], responses=BYTES)
    @action(detail=True)
    def packed_contents_download(self, request: Request, pk: str) -> HttpResponseBase:
        """Download the whole archive of a generic file."""
        return file_response(request, found(GenericFile.objects.all(), int(pk)).contents, f"generic_file_{pk}.zip")

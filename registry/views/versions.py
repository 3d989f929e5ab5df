from __future__ import annotations

from django.http import HttpResponseBase
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from registry import presenters, selectors, services
from registry.authors import author_of
from registry.models import AIEngineVersion
from registry.serializers import JSON_FILE, AIEngineVersionIn, AIEngineVersionOut
from registry.views.base import CONFLICT, GONE, RANGE, READ_ACTIONS, REFUSED, RegistryViewSet
from web.bodies import read_body
from web.downloads import json_file_response
from web.grants import ANY_ROLE
from web.lists import ListQuery, id_filter, text_filter

QUERY = ListQuery(
    sorts={
        "ai_engine": "ai_engine_id",
        "container_version": "container_version",
        "created_at": "created_at",
        "updated_at": "updated_at",
    },
    filters={"ai_engine": id_filter, "container_version": text_filter},
)
_FILES = {"multipart/form-data": AIEngineVersionIn}


@extend_schema_view(
    list=extend_schema(
        description="List the versions of AI engines, the newest first.",
        parameters=QUERY.parameters(),
        responses={200: AIEngineVersionOut(many=True), 400: REFUSED},
    ),
    retrieve=extend_schema(description="Show a version of an AI engine.", responses=AIEngineVersionOut),
)
class AIEngineVersionViewSet(RegistryViewSet[AIEngineVersion]):
    queryset = AIEngineVersion.objects.none()
    serializer_class = AIEngineVersionOut
    rows = staticmethod(selectors.ai_engine_versions)
    present = staticmethod(presenters.present_ai_engine_version)
    list_query = QUERY
    workflow_actions = READ_ACTIONS | dict.fromkeys(
        ("download_default_user_vars", "download_user_vars_config_merging_models"), ANY_ROLE
    )

    @extend_schema(request=_FILES, responses={201: AIEngineVersionOut, 400: REFUSED})
    def create(self, request: Request) -> Response:
        """Register a version of an AI engine, with its default user variables for each functionality."""
        body = read_body(request)
        version = services.ai_engine_version_create(data=body.data, files=body.files, author=author_of(request))
        return self.answer(request, version.pk, 201)

    @extend_schema(request=_FILES, responses={200: AIEngineVersionOut, 400: REFUSED})
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change fields of a version of an AI engine, or its default user variables."""
        body = read_body(request)
        services.ai_engine_version_update(version_id=int(pk), data=body.data, files=body.files)
        return self.answer(request, int(pk))

    @extend_schema(responses={204: GONE, 409: CONFLICT})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a version of an AI engine. No model may have been trained with it."""
        services.ai_engine_version_delete(version_id=int(pk))
        return Response(status=204)

    @extend_schema(parameters=[RANGE], responses=JSON_FILE)
    @action(detail=True, url_path=r"download_default_user_vars_(?P<functionality>[A-Za-z0-9_-]{1,100})")
    def download_default_user_vars(self, request: Request, pk: str, functionality: str) -> HttpResponseBase:
        """Download a version's default user variables for one functionality."""
        return _user_vars(request, int(pk), functionality)

    @extend_schema(parameters=[RANGE], responses=JSON_FILE)
    @action(detail=True)
    def download_user_vars_config_merging_models(self, request: Request, pk: str) -> HttpResponseBase:
        """Download a version's default user variables for merging models."""
        return _user_vars(request, int(pk), "merging_models")


def _user_vars(request: Request, version_id: int, functionality: str) -> HttpResponseBase:
    stored = selectors.default_user_vars(version_id=version_id, functionality=functionality).contents
    return json_file_response(request, stored, f"default_user_vars_{functionality}.json")

from __future__ import annotations

from django.http import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from registry import presenters, selectors, services
from registry.authors import author_of
from registry.models import AIModel
from registry.serializers import BYTES, JSON_FILE, AIModelIn, AIModelOut
from registry.views.base import (
    CENTRAL_READ_ACTIONS,
    CONFLICT,
    GONE,
    RANGE,
    REFUSED,
    UPSERT_ACTIONS,
    WRITE_ACTIONS,
    RegistryViewSet,
)
from web.bodies import read_body
from web.downloads import file_response, json_file_response
from web.errors import Fault, InvalidInput
from web.grants import ANY_ROLE
from web.lists import ListQuery, id_filter, on, text_filter

QUERY = ListQuery(
    sorts={
        "ai_engine_version": "ai_engine_version_id",
        "name": "name",
        "merge_type": "merge_type",
        "parent_ai_model": "parent_ai_model_id",
        "created_at": "created_at",
        "updated_at": "updated_at",
    },
    filters={
        "ai_engine": on("ai_engine_version__ai_engine", id_filter),
        "ai_engine_version": id_filter,
        "name": text_filter,
        "merge_type": text_filter,
        "parent_ai_model": id_filter,
    },
)
_VERSION = OpenApiParameter("version", int, description="Version of the model's files. Default: the newest.")
_FILES = {"multipart/form-data": AIModelIn}
_DOWNLOADS = dict.fromkeys(("download_contents", "download_ai_model", "download_ai_engine_version_user_vars"), ANY_ROLE)


@extend_schema_view(
    list=extend_schema(
        description="List AI models, the newest first.",
        parameters=QUERY.parameters(),
        responses={200: AIModelOut(many=True), 400: REFUSED},
    ),
    retrieve=extend_schema(description="Show an AI model.", responses=AIModelOut),
)
class AIModelViewSet(RegistryViewSet[AIModel]):
    queryset = AIModel.objects.none()
    serializer_class = AIModelOut
    rows = staticmethod(selectors.ai_models)
    present = staticmethod(presenters.present_ai_model)
    list_query = QUERY
    workflow_actions = CENTRAL_READ_ACTIONS | WRITE_ACTIONS | UPSERT_ACTIONS | _DOWNLOADS

    @extend_schema(request=_FILES, responses={201: AIModelOut, 400: REFUSED})
    def create(self, request: Request) -> Response:
        """Store an AI model: its data, its contents and the user variables it was trained with."""
        body = read_body(request)
        model = services.ai_model_create(data=body.data, files=body.files, author=author_of(request))
        return self.answer(request, model.pk, 201)

    @extend_schema(request=_FILES, responses={200: AIModelOut, 201: AIModelOut, 400: REFUSED})
    @action(detail=False, methods=["post"])
    def update_or_create(self, request: Request) -> Response:
        """Store an AI model, or replace the one with the same key. The earlier files are kept as a version."""
        body = read_body(request)
        model, created = services.ai_model_update_or_create(data=body.data, files=body.files, author=author_of(request))
        return self.answer(request, model.pk, 201 if created else 200)

    @extend_schema(request=_FILES, responses={200: AIModelOut, 400: REFUSED})
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change fields of an AI model, or store a new version of its files."""
        body = read_body(request)
        services.ai_model_update(model_id=int(pk), data=body.data, files=body.files, author=author_of(request))
        return self.answer(request, int(pk))

    @extend_schema(responses={204: GONE, 409: CONFLICT})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete an AI model with its evaluation metrics. It must not be the parent of another model."""
        services.ai_model_delete(model_id=int(pk), author=author_of(request))
        return Response(status=204)

    @extend_schema(parameters=[RANGE, _VERSION], responses=BYTES)
    @action(detail=True)
    def download_contents(self, request: Request, pk: str) -> HttpResponseBase:
        """Download the contents of an AI model as a zip archive."""
        return _contents(request, int(pk))

    @extend_schema(exclude=True)
    @action(detail=True)
    def download_ai_model(self, request: Request, pk: str) -> HttpResponseBase:
        """Download the contents of an AI model, under a path that some existing manifests use."""
        return _contents(request, int(pk))

    @extend_schema(parameters=[RANGE, _VERSION], responses=JSON_FILE)
    @action(detail=True)
    def download_ai_engine_version_user_vars(self, request: Request, pk: str) -> HttpResponseBase:
        """Download the user variables that an AI model was trained with."""
        files = selectors.files_of_model(model_id=int(pk), version=_version(request))
        return json_file_response(request, files.ai_engine_version_user_vars, f"ai_model_{pk}_user_vars.json")


def _contents(request: Request, model_id: int) -> HttpResponseBase:
    files = selectors.files_of_model(model_id=model_id, version=_version(request))
    return file_response(request, files.contents, f"ai_model_{model_id}.zip")


def _version(request: Request) -> int | None:
    text = request.query_params.get("version")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InvalidInput(faults=[Fault("/query/version", "must be a whole number")])
    return int(text)

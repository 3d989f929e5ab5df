from __future__ import annotations

from django.db.models import Q
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from registry import presenters, selectors, services
from registry.authors import author_of
from registry.models import AIEngine
from registry.serializers import AIEngineIn, AIEngineOut
from registry.views.base import CONFLICT, GONE, READ_ACTIONS, REFUSED, RegistryViewSet
from web.bodies import read_body
from web.lists import ListQuery, text_filter


def _holds_data_type(_field: str, value: str) -> Q:
    return Q(data_type__has_item=value)


QUERY = ListQuery(
    sorts=("name", "container_name", "owner", "data_type", "role_type", "created_at", "updated_at"),
    filters={
        "name": text_filter,
        "container_name": text_filter,
        "owner": text_filter,
        "data_type": _holds_data_type,
        "role_type": text_filter,
    },
)


@extend_schema_view(
    list=extend_schema(
        description="List AI engines, the newest first.",
        parameters=QUERY.parameters(),
        responses={200: AIEngineOut(many=True), 400: REFUSED},
    ),
    retrieve=extend_schema(description="Show an AI engine.", responses=AIEngineOut),
)
class AIEngineViewSet(RegistryViewSet[AIEngine]):
    queryset = AIEngine.objects.none()
    serializer_class = AIEngineOut
    rows = staticmethod(selectors.ai_engines)
    present = staticmethod(presenters.present_ai_engine)
    list_query = QUERY
    workflow_actions = READ_ACTIONS

    @extend_schema(request=AIEngineIn, responses={201: AIEngineOut, 400: REFUSED})
    def create(self, request: Request) -> Response:
        """Register an AI engine. Its versions are registered afterwards."""
        body = read_body(request)
        engine = services.ai_engine_create(data=body.data, files=body.files, author=author_of(request))
        return self.answer(request, engine.pk, 201)

    @extend_schema(request=AIEngineIn, responses={200: AIEngineOut, 400: REFUSED})
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change fields of an AI engine."""
        body = read_body(request)
        services.ai_engine_update(engine_id=int(pk), data=body.data, files=body.files)
        return self.answer(request, int(pk))

    @extend_schema(responses={204: GONE, 409: CONFLICT})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete an AI engine. It must have no versions."""
        services.ai_engine_delete(engine_id=int(pk))
        return Response(status=204)

from __future__ import annotations

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from registry import presenters, selectors, services
from registry.authors import author_of
from registry.models import EvaluationMetric
from registry.serializers import EvaluationMetricIn, EvaluationMetricOut
from registry.views.base import GONE, REFUSED, UPSERT_ACTIONS, WRITE_ACTIONS, RegistryViewSet
from web.bodies import read_body
from web.lists import ListQuery, id_filter, number_filter, text_filter

QUERY = ListQuery(
    sorts={
        "ai_model": "ai_model_id",
        "name": "name",
        "value": "value",
        "created_at": "created_at",
        "updated_at": "updated_at",
    },
    filters={"ai_model": id_filter, "name": text_filter, "value": number_filter},
)


@extend_schema_view(
    list=extend_schema(
        description="List evaluation metrics, the newest first.",
        parameters=QUERY.parameters(),
        responses={200: EvaluationMetricOut(many=True), 400: REFUSED},
    ),
    retrieve=extend_schema(description="Show an evaluation metric.", responses=EvaluationMetricOut),
)
class EvaluationMetricViewSet(RegistryViewSet[EvaluationMetric]):
    queryset = EvaluationMetric.objects.none()
    serializer_class = EvaluationMetricOut
    rows = staticmethod(selectors.evaluation_metrics)
    present = staticmethod(presenters.present_evaluation_metric)
    list_query = QUERY
    workflow_actions = WRITE_ACTIONS | UPSERT_ACTIONS

    @extend_schema(request=EvaluationMetricIn, responses={201: EvaluationMetricOut, 400: REFUSED})
    def create(self, request: Request) -> Response:
        """Store an evaluation metric of an AI model."""
        body = read_body(request)
        metric = services.evaluation_metric_create(data=body.data, files=body.files, author=author_of(request))
        return self.answer(request, metric.pk, 201)

    @extend_schema(
        request=EvaluationMetricIn, responses={200: EvaluationMetricOut, 201: EvaluationMetricOut, 400: REFUSED}
    )
    @action(detail=False, methods=["post"])
    def update_or_create(self, request: Request) -> Response:
        """Store an evaluation metric, or replace the one with the same key."""
        body = read_body(request)
        metric, created = services.evaluation_metric_update_or_create(
            data=body.data, files=body.files, author=author_of(request)
        )
        return self.answer(request, metric.pk, 201 if created else 200)

    @extend_schema(request=EvaluationMetricIn, responses={200: EvaluationMetricOut, 400: REFUSED})
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change fields of an evaluation metric."""
        body = read_body(request)
        services.evaluation_metric_update(metric_id=int(pk), data=body.data, files=body.files)
        return self.answer(request, int(pk))

    @extend_schema(responses={204: GONE})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete an evaluation metric."""
        services.evaluation_metric_delete(metric_id=int(pk), author=author_of(request))
        return Response(status=204)

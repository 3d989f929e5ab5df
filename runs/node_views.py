"""`/api/nodes/`: the cluster nodes that Workflows run on, as their engines last reported them."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from runs import serializers as api
from runs.models import Node
from runs.presenters import present_cluster_nodes
from web.lists import ListQuery, boolean_filter, page_of, text_filter

QUERY = ListQuery(
    sorts=("engine", "name", "partner", "ready", "seen_at"),
    filters={"engine": text_filter, "name": text_filter, "partner": text_filter, "ready": boolean_filter},
    order=("engine", "name"),
)


class ClusterNodeViewSet(ViewSet):
    @extend_schema(parameters=QUERY.parameters(), responses=api.ClusterNodePage)
    def list(self, request: Request) -> Response:
        """List the engines' cluster nodes, each with its data partner and whether it is ready."""
        return page_of(request, QUERY.apply(request, Node.objects.all()), present_cluster_nodes)

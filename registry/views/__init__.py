"""The registry's HTTP API, one viewset for each resource."""

from registry.views.ai_engines import AIEngineViewSet
from registry.views.ai_models import AIModelViewSet
from registry.views.evaluation_metrics import EvaluationMetricViewSet
from registry.views.generic_files import GenericFileViewSet
from registry.views.versions import AIEngineVersionViewSet

__all__ = [
    "AIEngineVersionViewSet",
    "AIEngineViewSet",
    "AIModelViewSet",
    "EvaluationMetricViewSet",
    "GenericFileViewSet",
]

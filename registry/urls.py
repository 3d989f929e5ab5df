from django.urls import URLPattern, URLResolver, include, path
from rest_framework.routers import SimpleRouter

from registry import views

router = SimpleRouter()
router.register("ai_engines", views.AIEngineViewSet)
router.register("ai_engines_versions", views.AIEngineVersionViewSet)
router.register("ai_models", views.AIModelViewSet)
router.register("evaluation_metrics", views.EvaluationMetricViewSet)
router.register("generic_files", views.GenericFileViewSet)

urlpatterns: list[URLPattern | URLResolver] = [path("", include(router.urls))]

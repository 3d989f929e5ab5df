from django.urls import path
from rest_framework.routers import SimpleRouter

from executions.round_views import RoundViewSet
from executions.views import ExecutionViewSet

router = SimpleRouter(use_regex_path=False)
router.register("executions", ExecutionViewSet, basename="execution")

_ONE = "executions/<int:execution_id>"

urlpatterns = [
    *router.urls,
    path(f"{_ONE}/progress/", RoundViewSet.as_view({"post": "progress"}), name="execution-progress"),
    path(
        f"{_ONE}/update_role_to_failed/",
        RoundViewSet.as_view({"patch": "update_role_to_failed"}),
        name="execution-update-role-to-failed",
    ),
    path(f"{_ONE}/rounds/", RoundViewSet.as_view({"get": "rounds"}), name="execution-rounds"),
    path(f"{_ONE}/rounds/plot/", RoundViewSet.as_view({"get": "plot"}), name="execution-rounds-plot"),
]

from rest_framework.routers import SimpleRouter

from runs.node_views import ClusterNodeViewSet
from runs.views import RunViewSet

router = SimpleRouter(use_regex_path=False)
router.register("runs", RunViewSet, basename="run")
router.register("nodes", ClusterNodeViewSet, basename="node")

urlpatterns = router.urls

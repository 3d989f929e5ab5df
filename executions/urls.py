from rest_framework.routers import SimpleRouter

from executions.views import ExecutionViewSet

router = SimpleRouter(use_regex_path=False)
router.register("executions", ExecutionViewSet, basename="execution")

urlpatterns = router.urls

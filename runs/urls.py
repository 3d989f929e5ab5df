from rest_framework.routers import SimpleRouter

from runs.views import RunViewSet

router = SimpleRouter(use_regex_path=False)
router.register("runs", RunViewSet, basename="run")

urlpatterns = router.urls

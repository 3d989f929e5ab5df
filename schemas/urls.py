from rest_framework.routers import SimpleRouter

from schemas.views import SchemaViewSet

router = SimpleRouter(use_regex_path=False)
router.register("schemas", SchemaViewSet, basename="schema")

urlpatterns = router.urls

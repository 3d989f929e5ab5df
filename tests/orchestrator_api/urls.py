"""Views that fail in every way a view can, for the tests of what answers them."""

import errno

from django.core import exceptions
from django.db import DataError, IntegrityError, OperationalError
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import include, path
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import APIView

from engines.base import EngineUnavailable, ManifestRejected, WorkflowConflict, WorkflowNotFound
from web.bodies import read_body
from web.errors import Fault, InvalidInput, NotAllowedInState
from web.grants import ANY_ROLE

ERRORS = {
    "invalid": InvalidInput(faults=[Fault("/data/a", "is missing"), Fault("/files/b", "is missing")]),
    "state": NotAllowedInState("It has ended."),
    "engine": EngineUnavailable("connection to 10.0.0.7 refused"),
    "manifest": ManifestRejected("knows no `http` template", "/spec/templates/0/http"),
    "conflict": WorkflowConflict("x"),
    "missing": WorkflowNotFound("x"),
    "row": exceptions.ObjectDoesNotExist("SELECT secret"),
    "integrity": IntegrityError("DETAIL: Key (name)=(patient) exists"),
    "data": DataError("integer out of range"),
    "locked": OperationalError("database is locked"),
    "full": OSError(errno.ENOSPC, "No space left on device", "/secret/path"),
    "large": exceptions.RequestDataTooBig("x"),
    "number": OverflowError("Python int too large"),
    "validation": drf.ValidationError({"a": {"b": ["is wrong"]}, "list": [{}, {"x/y": "no"}]}),
    "throttled": drf.Throttled(wait=7),
    "fault": RuntimeError("secret"),
}


class Failing(APIView):
    def get(self, request, name):
        raise ERRORS[name]


class Counting(APIView):
    """Counts how often it really does something; the test reads and resets the count."""

    calls = 0
    fails_with = None
    workflow_actions = {"post": ANY_ROLE}

    def post(self, request):
        type(self).calls += 1
        if self.fails_with:
            raise self.fails_with
        body = read_body(request)
        files = {name: upload.read().decode() for name, upload in body.files.items()}
        return Response({"call": self.calls, "data": body.data, "files": files}, status=201)


class Streaming(APIView):
    def post(self, request):
        Counting.calls += 1
        return StreamingHttpResponse([b"a", b"b"])


class Whoami(APIView):
    workflow_actions = {"get": ANY_ROLE}

    def get(self, request, execution_id=None):
        return Response({"user": request.user.username, "workflow": getattr(request.auth, "owner_id", None)})

    def post(self, request):
        return Response({"user": request.user.username})


def touching(request):
    """Change the session, which is stored once the page is there."""
    request.session["touched"] = True
    return HttpResponse()


urlpatterns = [
    path("touching/", touching),
    path("api/failing/<str:name>/", Failing.as_view()),
    path("api/counting/", Counting.as_view()),
    path("api/streaming/", Streaming.as_view()),
    path("api/whoami/", Whoami.as_view()),
    path("api/executions/<int:execution_id>/whoami/", Whoami.as_view()),
    path("", include("orchestrator_api.urls")),
]

handler400 = "orchestrator_api.problems.handler400"
handler403 = "orchestrator_api.problems.handler403"
handler404 = "orchestrator_api.problems.handler404"
handler500 = "orchestrator_api.problems.handler500"

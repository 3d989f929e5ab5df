"""The rounds of a federated training: reports of its roles, and answers to callers."""

from __future__ import annotations

import importlib
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from executions import round_serializers as api
from executions.callbacks import as_failure
from executions.permissions import check_grant, client_of
from executions.presenters import present_execution_to
from executions.progress import progress_reported, role_to_failed
from executions.round_presenters import metric_names, present_training
from executions.rounds import Training, training_of
from executions.selectors import execution_bare
from executions.serializers import ExecutionAnswer, FailedForm, FailedInput
from web.bodies import read_callback
from web.errors import Fault, InvalidInput, TooLarge
from web.grants import ANY_ROLE, Role
from web.lists import FORMAT, JSON

MAX_PROGRESS_BYTES = 1024 * 1024
_FORMATS = {"svg": "image/svg+xml", "png": "image/png"}
_ATTEMPT = OpenApiParameter("attempt", int, description="Number of an attempt. Default: the present attempt.")
_IMAGE = OpenApiResponse(OpenApiTypes.BINARY, description="The plot as an image.")


class RoundViewSet(ViewSet):
    """A federated training's rounds; a role may call the actions in `workflow_actions`, and report for itself only."""

    workflow_actions = {
        "progress": ANY_ROLE - {Role.MAIN},
        "update_role_to_failed": ANY_ROLE,
    }

    @extend_schema(operation_id="executions_progress", request=api.ProgressDocument, responses={204: None})
    def progress(self, request: Request, execution_id: int) -> Response:
        """Report the progress of a role of the federated training."""
        attempt = check_grant(request, execution_id)
        document = _document(request)
        _refuse_anothers(request, str(document.get("client") or "") if document.get("role") == "client" else None)
        progress_reported(execution_id=execution_id, document=document, attempt=attempt)
        return Response(status=204)

    @extend_schema(
        operation_id="executions_update_role_to_failed",
        parameters=[
            OpenApiParameter(
                "data_partner", str, description="The data partner whose client failed. Default: the server failed."
            )
        ],
        request={"multipart/form-data": FailedForm, "application/json": FailedInput},
        responses=ExecutionAnswer,
    )
    def update_role_to_failed(self, request: Request, execution_id: int) -> Response:
        """Report that a role of the federated training failed."""
        attempt = check_grant(request, execution_id)
        partner = _query(request, "data_partner").get("data_partner")
        _refuse_anothers(request, partner)
        execution = role_to_failed(
            execution_id=execution_id, partner=partner, document=as_failure(_document(request)), attempt=attempt
        )
        return Response(present_execution_to(request, execution))

    @extend_schema(operation_id="executions_rounds", parameters=[_ATTEMPT], responses=api.TrainingAnswer)
    def rounds(self, request: Request, execution_id: int) -> Response:
        """Show the progress of the federated training, round by round."""
        return Response(present_training(_training(execution_id, _query(request, "attempt"))))

    @extend_schema(
        operation_id="executions_rounds_plot",
        parameters=[
            _ATTEMPT,
            OpenApiParameter("format", str, enum=list(_FORMATS), description="Format of the image. Default: svg."),
            OpenApiParameter("metric", str, description="Name of the only metric to draw. Default: all metrics."),
        ],
        responses={(200, media_type): _IMAGE for media_type in _FORMATS.values()},
    )
    def plot(self, request: Request, execution_id: int) -> HttpResponseBase:
        """Draw the data partners' metrics over the rounds."""
        query = _query(request, "attempt", "format", "metric")
        wanted = query.get("format", "svg")
        if wanted not in _FORMATS:
            raise InvalidInput(faults=[Fault("/query/format", "must be one of: " + ", ".join(_FORMATS))])
        training = _training(execution_id, query)
        metrics = metric_names(training)
        if "metric" in query:
            if query["metric"] not in metrics:
                detail = "has not been reported; reported metrics: " + (", ".join(metrics) or "none")
                raise InvalidInput(faults=[Fault("/query/metric", detail)])
            metrics = [query["metric"]]
        # The plot's libraries are large, and most processes never draw one.
        plots: Any = importlib.import_module("executions.plots")
        drawn = plots.metrics_plot(training, metrics, wanted)
        return HttpResponse(drawn, content_type=_FORMATS[wanted], headers={"Cache-Control": "no-store"})


def _refuse_anothers(request: Request, partner: str | None) -> None:
    """Raise PermissionDenied if a client reports for another role; `partner` is None for the server."""
    client = client_of(request)
    if client is not None and partner != client:
        raise PermissionDenied("This token belongs to another role of the federated training.")


def _training(execution_id: int, query: dict[str, str]) -> Training:
    execution = execution_bare(execution_id)
    text = query.get("attempt", str(execution.attempt))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= execution.attempt):
        raise InvalidInput(faults=[Fault("/query/attempt", f"must be from 1 to {execution.attempt}")])
    return training_of(execution, int(text))


def _document(request: Request) -> dict[str, Any]:
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_PROGRESS_BYTES:
        raise TooLarge(f"The report of a role may have at most {MAX_PROGRESS_BYTES} bytes.")
    body = read_callback(request)
    if body.files:
        raise InvalidInput(
            faults=[Fault(f"/files/{name}", "is not expected: this request takes no files") for name in body.files]
        )
    return body.data


def _query(request: Request, *names: str) -> dict[str, str]:
    """Return the query's parameters. Raises InvalidInput for an unknown or a repeated one."""
    faults = []
    for name, values in request.query_params.lists():
        if name == FORMAT and values == [JSON] and FORMAT not in names:
            continue
        if name not in names:
            faults.append(
                Fault(f"/query/{name}", "is not a parameter of this request; its parameters are: " + ", ".join(names))
            )
        elif len(values) > 1:
            faults.append(Fault(f"/query/{name}", "is given more than once"))
    if faults:
        raise InvalidInput(faults=faults)
    return {name: request.query_params[name] for name in request.query_params if name in names}

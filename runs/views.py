"""`/api/runs/`: every Workflow of this service; its owner controls it, callers only let it go on where it waits."""

from __future__ import annotations

from functools import partial

from django.conf import settings
from django.http import StreamingHttpResponse
from django.urls import get_script_prefix
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from runs import serializers as api
from runs.following import FollowedLog, Writer
from runs.kept_logs import is_kept
from runs.log_query import MOST_LINES, STREAMS, LogQuery, read_query
from runs.logs import as_json, as_text, engine_of, log_lines
from runs.models import RunPhase, RunReason, WorkflowRun
from runs.presenters import present_events, present_nodes, present_run, present_runs
from runs.resuming import run_resume
from runs.selectors import run_named, run_with_everything
from runs.step_names import StepNames
from web.bodies import read_optional_body
from web.errors import Fault, InvalidInput
from web.lists import (
    FORMAT,
    JSON,
    ListQuery,
    boolean_filter,
    choice_filter,
    integer_filter,
    moment_filter,
    on,
    page_of,
    text_filter,
)
from web.standing import GrantedTurns, while_granted
from web.turns import InTurns

QUERY = ListQuery(
    sorts=("name", "phase", "created_at", "updated_at", "finished_at"),
    filters={
        "phase": choice_filter(RunPhase),
        "reason": choice_filter(RunReason),
        "owner_kind": text_filter,
        "owner_id": integer_filter,
        "attempt": integer_filter,
        "engine": text_filter,
        "created_at_after": on("created_at__gte", moment_filter),
        "created_at_before": on("created_at__lte", moment_filter),
    },
)
_LOG_PARAMETERS = ("node", "container", "stream", "since", "grep", "tail", "prefix", "download", "follow")
_JSON_TYPES = ("application/json", "application/x-ndjson")


class RunViewSet(ViewSet):
    lookup_url_kwarg = "name"
    lookup_value_converter = "str"

    @extend_schema(parameters=QUERY.parameters(), responses=api.RunPage)
    def list(self, request: Request) -> Response:
        """List runs, the newest first."""
        runs = QUERY.apply(request, WorkflowRun.objects.all())
        return page_of(request, runs, partial(present_runs, base_url=_base_url(request)))

    @extend_schema(responses=api.RunAnswer)
    def retrieve(self, request: Request, name: str) -> Response:
        """Show a run with its nodes and events."""
        return Response(present_run(run_with_everything(name), _base_url(request)))

    @extend_schema(request=api.ResumeDocument, responses=api.RunAnswer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, name: str) -> Response:
        """Let a suspended run go on, from one node or from all that it waits at."""
        run = run_resume(name=name, document=read_optional_body(request).data)
        return Response(present_run(run_with_everything(run.name), _base_url(request)))

    @extend_schema(responses=OpenApiTypes.OBJECT)
    @action(detail=True)
    def manifest(self, request: Request, name: str) -> Response:
        """Show the Workflow as it is submitted to the engine."""
        return Response(run_named(name).manifest)

    @extend_schema(
        parameters=[OpenApiParameter("page", int), OpenApiParameter("page_size", int)], responses=api.RunEventPage
    )
    @action(detail=True)
    def events(self, request: Request, name: str) -> Response:
        """List the events of a run, the oldest first."""
        _refuse_other_than(request, "page", "page_size")
        return page_of(request, run_named(name).events.order_by("id"), present_events)

    @extend_schema(responses=api.RunNodeList)
    @action(detail=True)
    def nodes(self, request: Request, name: str) -> Response:
        """List a run's nodes in the order of their tree."""
        nodes = present_nodes(run_named(name).nodes)
        return Response({"count": len(nodes), "results": nodes})

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "node", str, description="Id or name of a node, with all its attempts. Default: all nodes."
            ),
            OpenApiParameter("container", str, description="Name of a container. Default: all containers."),
            OpenApiParameter(
                "stream", str, enum=STREAMS, description="One of the two outputs of a container. Default: both."
            ),
            OpenApiParameter(
                "since",
                str,
                description="Only lines since a time (RFC 3339), or of the last `90s`, `10m`, `2h` or `1d`.",
            ),
            OpenApiParameter("grep", str, description="Only lines that contain this text. It is not a pattern."),
            OpenApiParameter("tail", int, description=f"Only this number of last lines, at most {MOST_LINES}."),
            OpenApiParameter(
                "prefix", bool, description="Begin each line of text with time, step and stream. Default: true."
            ),
            OpenApiParameter("download", bool, description="Send the log as a file to save."),
            OpenApiParameter("follow", bool, description="Send new lines until the run ends."),
        ],
        responses={
            (200, "text/plain"): OpenApiTypes.STR,
            (200, "application/x-ndjson"): api.LogLineAnswer,
        },
    )
    @action(detail=True)
    def logs(self, request: Request, name: str) -> StreamingHttpResponse:
        """Stream the log of a run, as text, or as JSON lines if the request accepts JSON."""
        _refuse_other_than(request, *_LOG_PARAMETERS)
        run, follow, download = run_named(name), _flag(request, "follow"), _flag(request, "download")
        query = read_query(run.nodes, request.query_params, timezone.now())
        _refuse_stream_of_one(run, query)
        accepted = request.headers.get("Accept", "")
        steps = StepNames(run)
        written: Writer = partial(as_text, steps=steps, prefix=_flag(request, "prefix", "true"))
        content_type, ending = "text/plain; charset=utf-8", "log"
        if any(kind in accepted for kind in _JSON_TYPES):
            written, content_type, ending = partial(as_json, steps=steps), "application/x-ndjson", "jsonl"
        response: StreamingHttpResponse
        if follow and not is_kept(run) and run.workflow_ended_at is None:
            turns = GrantedTurns(request, FollowedLog(run, query, written))
            response = InTurns(turns, content_type=content_type)
        else:
            lines = while_granted(request, log_lines(run, query))
            response = StreamingHttpResponse(written(lines), content_type=content_type)
        if download:
            response.headers["Content-Disposition"] = f'attachment; filename="{run.name}.{ending}"'
        response.headers["Cache-Control"] = "no-store"
        # A proxy that buffers lines would delay them for followers.
        response.headers["X-Accel-Buffering"] = "no"
        return response


def _base_url(request: Request) -> str:
    return request.build_absolute_uri(f"{get_script_prefix()}api/runs/")


def _refuse_other_than(request: Request, *known: str) -> None:
    faults = [
        Fault(f"/query/{name}", "is not a parameter of this request; its parameters are: " + ", ".join(known))
        for name in request.query_params
        if name not in known and (name, request.query_params[name]) != (FORMAT, JSON)
    ]
    if faults:
        raise InvalidInput(faults=faults)


def _refuse_stream_of_one(run: WorkflowRun, query: LogQuery) -> None:
    """Refuse to choose an output of a container if the engine does not tell the two apart."""
    if query.stream and run.engine in settings.ENGINES and not engine_of(run).tells_streams:
        detail = f"cannot be chosen: the engine {run.engine} does not tell a container's two outputs apart"
        raise InvalidInput(faults=[Fault("/query/stream", detail)])


def _flag(request: Request, name: str, default: str = "false") -> bool:
    value = request.query_params.get(name, default)
    try:
        boolean_filter(name, value)
    except ValueError as error:
        raise InvalidInput(faults=[Fault(f"/query/{name}", str(error))]) from error
    return value.lower() == "true"

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.db.models import QuerySet
from django.db.models.fields.files import FieldFile
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from executions import serializers as api
from executions.attempts import execution_retry
from executions.callbacks import as_failure, as_products, as_told
from executions.fetched_parameters import PATIENTS
from executions.models import Execution, ExecutionAIEngine, ExecutionDataPartner, ExecutionState
from executions.outcomes import execution_to_failed, execution_to_running, execution_to_succeeded
from executions.permissions import check_grant, check_partner, client_of
from executions.presenters import (
    present_execution,
    present_execution_to,
    present_executions,
    present_rendering,
    present_shown,
)
from executions.progress import role_to_failed
from executions.selectors import execution_bare, parameter_values
from executions.services import execution_delete, execution_post, execution_preview, execution_stop
from web.addresses import Addresses
from web.bodies import read_body, read_callback
from web.downloads import file_response, json_file_response
from web.errors import CallbackNotAllowedInState, Fault, InvalidInput, NotAllowedInState
from web.grants import ANY_ROLE, CENTRAL_ROLES, Role, grant_of
from web.lists import FORMAT, JSON, ListQuery, choice_filter, moment_filter, on, page_of, search_filter, text_filter

QUERY = ListQuery(
    sorts={"schema": "schema__name", "created_at": "created_at", "updated_at": "updated_at"},
    filters={
        "schema": on("schema__name", text_filter),
        "state": choice_filter(ExecutionState),
        "created_at_after": on("created_at__gte", moment_filter),
        "created_at_before": on("created_at__lte", moment_filter),
        "q": search_filter("schema__name", "output_model_name", "message"),
        "search": search_filter("schema__name", "output_model_name", "message"),
    },
)

_FILE = OpenApiResponse(OpenApiTypes.BINARY, description="The file. HEAD and a single byte range are supported.")
_JSON_FILE = OpenApiResponse(OpenApiTypes.ANY, description="The file. HEAD and a single byte range are supported.")

_CALLBACKS = ("update_to_running", "update_to_failed", "update_to_succeeded")


class ExecutionViewSet(ViewSet):
    """Executions; a Workflow may call the actions in `workflow_actions` for its role, on its own execution only."""

    lookup_url_kwarg = "execution_id"
    lookup_value_converter = "int"
    workflow_actions = {
        "download_external_data": CENTRAL_ROLES,
        "download_report_metadata": CENTRAL_ROLES,
        "download_user_vars": ANY_ROLE,
        "retrieve_data_partner_information": ANY_ROLE - {Role.SERVER},
        "retrieve_workflow_parameter": ANY_ROLE,
        "update_to_running": ANY_ROLE,
        # From a client it means that this client failed.
        "update_to_failed": ANY_ROLE,
        "update_to_succeeded": CENTRAL_ROLES,
    }

    def handle_exception(self, exc: Exception) -> Response:
        """Answer an error; NotAllowedInState in the form that the senders of callbacks know."""
        if isinstance(exc, NotAllowedInState) and self.action in _CALLBACKS:
            exc = CallbackNotAllowedInState(exc.detail)
        return super().handle_exception(exc)

    @extend_schema(parameters=QUERY.parameters(), responses=api.ExecutionPage)
    def list(self, request: Request) -> Response:
        """List executions, the newest first."""
        present = partial(present_executions, addresses=Addresses.of(request))
        return page_of(request, QUERY.apply(request, Execution.objects.all()), present)

    @extend_schema(
        parameters=[
            OpenApiParameter("debug", bool, description="Store the execution and start nothing."),
            OpenApiParameter(
                "dry_run", bool, description="Return the Workflow that would be started, and store nothing."
            ),
        ],
        request={"multipart/form-data": api.ExecutionForm, "application/json": api.ExecutionDocument},
        responses={201: api.ExecutionAnswer, 200: api.DryRunAnswer},
    )
    def create(self, request: Request) -> Response:
        """Create an execution and start it."""
        flags = _flags(request, "debug", "dry_run")
        body = read_body(request)
        if flags["dry_run"]:
            return Response(present_rendering(execution_preview(document=body.data, files=body.files)))
        shown = execution_post(document=body.data, files=body.files, start=not flags["debug"])
        return _begun(present_shown(shown, Addresses.of(request)))

    @extend_schema(responses=api.ExecutionAnswer)
    def retrieve(self, request: Request, execution_id: int) -> Response:
        """Show an execution."""
        return _shown(request, execution_bare(execution_id))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, execution_id: int) -> Response:
        """Delete an execution and stop its Workflow."""
        execution_delete(execution_id=execution_id)
        return Response(status=204)

    @extend_schema(request=None, responses=api.ExecutionAnswer)
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, execution_id: int) -> Response:
        """Stop an execution and keep its record."""
        return _shown(request, execution_stop(execution_id=execution_id))

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "schema_version",
                int,
                description="Another version of the Schema with the same elements. Default: the execution's version.",
            )
        ],
        request=None,
        responses={201: api.ExecutionAnswer},
    )
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, execution_id: int) -> Response:
        """Retry a failed execution: begin its next attempt. Earlier attempts are kept.

        The attempt uses the execution's version of the Schema, unless `schema_version` names another one. The answer's
        `schema_version` is the version used.
        """
        execution = execution_retry(execution_id=execution_id, version=_schema_version(request))
        return _begun(present_execution(execution, Addresses.of(request)))

    @extend_schema(responses={(200, "application/octet-stream"): _FILE, (206, "application/octet-stream"): _FILE})
    @action(detail=True)
    def download_external_data(self, request: Request, execution_id: int) -> HttpResponseBase:
        """Download the external data."""
        check_grant(request, execution_id)
        file = _input_file(execution_bare(execution_id).external_data, "external data")
        return file_response(request, file, "external_data.zip")

    @extend_schema(responses={200: _JSON_FILE, 206: _JSON_FILE})
    @action(detail=True)
    def download_report_metadata(self, request: Request, execution_id: int) -> HttpResponseBase:
        """Download the report metadata."""
        check_grant(request, execution_id)
        file = _input_file(execution_bare(execution_id).report_metadata, "report metadata")
        return json_file_response(request, file, "report_metadata.json")

    @extend_schema(
        parameters=[OpenApiParameter("descriptor", str, required=True, description="The AI engine's descriptor.")],
        responses={200: _JSON_FILE, 206: _JSON_FILE},
    )
    @action(detail=True)
    def download_user_vars(self, request: Request, execution_id: int) -> HttpResponseBase:
        """Download the user variables of one AI engine."""
        check_grant(request, execution_id)
        engines = {engine.descriptor: engine for engine in _engines(execution_bare(execution_id))}
        engine = engines[_one_of(request, "descriptor", engines)]
        return json_file_response(request, engine.user_vars, f"{engine.descriptor}_user_vars.json")

    @extend_schema(
        parameters=[OpenApiParameter("data_partner", str, required=True, description="The data partner's name.")],
        responses=api.PartnerInput,
    )
    @action(detail=True)
    def retrieve_data_partner_information(self, request: Request, execution_id: int) -> Response:
        """Return the posted entry of one data partner, with its clinical data."""
        check_grant(request, execution_id)
        execution = execution_bare(execution_id)
        partners = ExecutionDataPartner.objects.filter(execution=execution)
        names = list(partners.values_list("name", flat=True))
        if not names:
            raise InvalidInput("The Schema of this execution takes no platform data.")
        name = _one_of(request, "data_partner", names)
        check_partner(request, name)
        return Response(partners.get(name=name).entry)

    @extend_schema(
        parameters=[OpenApiParameter("name", str, required=True, description="The parameter's name.")],
        responses=api.ParameterAnswer,
    )
    @action(detail=True)
    def retrieve_workflow_parameter(self, request: Request, execution_id: int) -> Response:
        """Return a parameter of the Workflow that is too long for arguments. A client gets only its own patients."""
        check_grant(request, execution_id)
        values = parameter_values(execution_bare(execution_id))
        name = _one_of(request, "name", values)
        grant = grant_of(request)
        if name == PATIENTS and grant is not None and grant.role is Role.CLIENT:
            return Response({"value": {each: ids for each, ids in values[name].items() if grant.may_read(each)}})
        return Response({"value": values[name]})

    @extend_schema(
        request={"multipart/form-data": api.RunningForm, "application/json": api.RunningInput},
        responses=api.ExecutionAnswer,
    )
    @action(detail=True, methods=["patch"])
    def update_to_running(self, request: Request, execution_id: int) -> Response:
        """Report that the Workflow has begun. The body is optional."""
        return _called_back(request, execution_id, execution_to_running, as_told)

    @extend_schema(
        request={"multipart/form-data": api.FailedForm, "application/json": api.FailedInput},
        responses=api.ExecutionAnswer,
    )
    @action(detail=True, methods=["patch"])
    def update_to_failed(self, request: Request, execution_id: int) -> Response:
        """Report that the Workflow failed or, with a client's token, that this client failed."""
        partner = client_of(request)
        if partner is not None:
            return _called_back(request, execution_id, partial(role_to_failed, partner=partner), as_failure)
        return _called_back(request, execution_id, execution_to_failed, as_failure)

    @extend_schema(
        request={"multipart/form-data": api.SucceededForm, "application/json": api.SucceededInput},
        responses=api.ExecutionAnswer,
    )
    @action(detail=True, methods=["patch"])
    def update_to_succeeded(self, request: Request, execution_id: int) -> Response:
        """Report that the Workflow succeeded, with what it produced."""
        return _called_back(request, execution_id, execution_to_succeeded, as_products)


def _shown(request: Request, execution: Execution) -> Response:
    return Response(present_execution_to(request, execution))


def _begun(shown: Mapping[str, Any]) -> Response:
    return Response(shown, status=201, headers={"Location": shown["url"]})


def _engines(execution: Execution) -> QuerySet[ExecutionAIEngine]:
    return ExecutionAIEngine.objects.filter(execution=execution).defer("snapshot")


def _called_back(
    request: Request,
    execution_id: int,
    service: Callable[..., Execution],
    read: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> Response:
    attempt = check_grant(request, execution_id)
    body = read_callback(request)
    if body.files:
        raise InvalidInput(
            faults=[Fault(f"/files/{name}", "is not expected: this request takes no files") for name in body.files]
        )
    return _shown(request, service(execution_id=execution_id, document=read(body.data), attempt=attempt))


def _input_file(file: FieldFile, what: str) -> FieldFile:
    if not file:
        raise InvalidInput(f"The Schema of this execution takes no {what}.")
    return file


def _one_of(request: Request, name: str, known: Mapping[str, Any] | list[str]) -> str:
    """Return a mandatory query parameter that must be one of `known`. Raises InvalidInput."""
    values = request.query_params.getlist(name)
    if len(values) != 1:
        raise InvalidInput(faults=[Fault(f"/query/{name}", "is given more than once" if values else "is missing")])
    if values[0] not in known:
        raise InvalidInput(
            faults=[Fault(f"/query/{name}", "is not known in this execution; must be one of: " + ", ".join(known))]
        )
    return values[0]


def _schema_version(request: Request) -> int | None:
    """Return the query's only parameter. Raises InvalidInput for any other."""
    for name in request.query_params:
        if name not in ("schema_version", "format"):
            raise InvalidInput(
                faults=[
                    Fault(f"/query/{name}", "is not a parameter of this request; its only parameter is: schema_version")
                ]
            )
    text = request.query_params.get("schema_version")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InvalidInput(faults=[Fault("/query/schema_version", "must be a whole number from 1")])
    return int(text)


def _flags(request: Request, *names: str) -> dict[str, bool]:
    """Return the query's flags. Unknown names are refused: a misspelt `dryrun=true` would start the execution."""
    faults = []
    for name in request.query_params:
        value = str(request.query_params[name])
        if name == FORMAT and value == JSON:
            continue
        if name not in names:
            faults.append(
                Fault(f"/query/{name}", "is not a parameter of this request; its parameters are: " + ", ".join(names))
            )
        elif value.lower() not in ("true", "false"):
            faults.append(Fault(f"/query/{name}", "must be true or false"))
    if faults:
        raise InvalidInput(faults=faults)
    return {name: str(request.query_params.get(name, "")).lower() == "true" for name in names}

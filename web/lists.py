"""Lists: pages, sorting and filters; unknown parameters are refused by name.

A list declares its query once::

    QUERY = ListQuery(
        sorts=("name", "created_at"),
        filters={"name": text_filter, "created_after": on("created_at__gte", moment_filter)},
    )
    page_of(request, QUERY.apply(request, queryset), present_schemas)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Choices, F, JSONField, Model, Q, QuerySet, TextField
from django.db.models.expressions import OrderBy
from django.db.models.functions import Cast
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound as PageNotFound
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response

from web.errors import Fault, InvalidInput

if TYPE_CHECKING:
    from rest_framework.views import APIView

MAX_ID = 2**63 - 1
# Some senders ask for the only format of answers.
FORMAT, JSON = "format", "json"
_M = TypeVar("_M", bound=Model)

Filter = Callable[[str, str], Q]
"""Turns a field and the text of a query parameter into a condition; raises ValueError with the expected form."""


def text_filter(field: str, value: str) -> Q:
    """Match a field that equals the text."""
    return Q(**{field: value})


def integer_filter(field: str, value: str) -> Q:
    """Match a whole number."""
    return Q(**{field: _integer(value)})


def id_filter(field: str, value: str) -> Q:
    """Match the id of a relation; an id beyond the database's integers matches nothing."""
    return Q(**{f"{field}__in": [number] if 0 < (number := _integer(value)) <= MAX_ID else []})


def number_filter(field: str, value: str) -> Q:
    """Match a number."""
    try:
        number = float(value)
    except ValueError as error:
        raise ValueError("must be a number") from error
    if not math.isfinite(number):
        raise ValueError("must be a number")
    return Q(**{field: number})


def boolean_filter(field: str, value: str) -> Q:
    """Match `true` or `false`."""
    if value.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return Q(**{field: value.lower() == "true"})


def moment_filter(field: str, value: str) -> Q:
    """Match a time (RFC 3339; UTC without an offset) or the beginning of a day: `on("created_at__gte", …)`."""
    # A plus sign that was not escaped arrives as a space.
    for text in (value, value.replace(" ", "+")):
        try:
            moment = parse_datetime(text)
            if moment is not None:
                return Q(**{field: moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)})
        except (ValueError, OverflowError):
            continue
    raise ValueError("must be a time such as 2026-11-21T09:00:00Z, or a day such as 2026-11-21")


@dataclass(frozen=True)
class _ChoiceFilter:
    """Matches any of several words, separated by commas or in repeated parameters."""

    choices: tuple[str, ...]

    @property
    def words(self) -> str:
        return "one of: " + ", ".join(filter(None, self.choices)) + "; or several, separated by commas"

    def __call__(self, field: str, value: str) -> Q:
        wanted = [word.strip() for word in value.split(",")]
        if not set(wanted) <= set(self.choices):
            raise ValueError(f"must be {self.words}")
        return Q(**{f"{field}__in": wanted})


def choice_filter(choices: type[Choices] | Iterable[str]) -> Filter:
    """Return a filter for some of the given words."""
    return _ChoiceFilter(tuple(str(value) for value in (choices.values if isinstance(choices, type) else choices)))


def search_filter(*fields: str) -> Filter:
    """Return a filter for text that any of the fields contains, ignoring case."""
    return _SearchFilter(fields)


@dataclass(frozen=True)
class _SearchFilter:
    fields: tuple[str, ...]

    def __call__(self, _field: str, value: str) -> Q:
        condition = Q()
        for field in self.fields:
            condition |= Q(**{f"{field}__icontains": value})
        return condition


def on(lookup: str, inner: Filter) -> Filter:
    """Return a filter on another field (or lookup) than the name of its parameter."""
    return _OnFilter(lookup, inner)


@dataclass(frozen=True)
class _OnFilter:
    lookup: str
    inner: Filter

    def __call__(self, _field: str, value: str) -> Q:
        return self.inner(self.lookup, value)


def _of_filter(given: Filter) -> Filter:
    return given.inner if isinstance(given, _OnFilter) else given


def _described(given: Filter) -> str:
    """Return the description of a filter for the OpenAPI document."""
    inner = _of_filter(given)
    if isinstance(inner, _ChoiceFilter):
        return f"{inner.words[0].upper()}{inner.words[1:]}."
    if isinstance(inner, _SearchFilter):
        return "A text. Only entries that contain it, ignoring case."
    return _DESCRIPTIONS.get(inner, "Only entries with this value.")


_DESCRIPTIONS: dict[Filter, str] = {
    boolean_filter: "`true` or `false`.",
    integer_filter: "A whole number. Only entries with this value.",
    id_filter: "An id. Only entries that belong to this resource.",
    moment_filter: "A time (RFC 3339; UTC without an offset), or a day, which means its beginning.",
}


def _integer(value: str) -> int:
    if not value.lstrip("-").isdecimal() or not value.isascii() or len(value) > 30:
        raise ValueError("must be a whole number")
    try:
        number = int(value)
    except ValueError as error:
        raise ValueError("must be a whole number") from error
    if abs(number) > MAX_ID:
        raise ValueError("is out of range")
    return number


class ListQuery:
    """The sorts and filters of one list.

    `sorts` lists fields, or maps names in the query to fields. `filters` maps names to filters. `order` is the default
    order.
    """

    def __init__(
        self,
        *,
        sorts: Sequence[str] | Mapping[str, str] = (),
        filters: Mapping[str, Filter] | None = None,
        order: Sequence[str] = ("-created_at",),
    ):
        self.order = tuple(order)
        self.sorts = {**(sorts if isinstance(sorts, Mapping) else {name: name for name in sorts}), "id": "id"}
        self.filters = dict(filters or {})

    def apply(self, request: Request, queryset: QuerySet[_M]) -> QuerySet[_M]:
        """Return the rows that match a request's query, in its order. Raises InvalidInput at `/query/<name>`."""
        faults: list[Fault] = []
        conditions: list[Q] = []
        order = [*self.order]
        for name in request.query_params:
            values = request.query_params.getlist(name)
            try:
                if name not in self._names():
                    raise ValueError(
                        "is not a parameter of this request; its parameters are: " + ", ".join(self._names())
                    )
                several = isinstance(_of_filter(self.filters.get(name, text_filter)), _ChoiceFilter)
                if len(values) > 1 and not several:
                    raise ValueError("is given more than once")
                if name == FORMAT and values[0] != JSON:
                    raise ValueError("must be json, the only format of answers")
                if "\x00" in values[0]:
                    raise ValueError("holds a NUL character")
                if name == "sort":
                    order = self._order(values[0])
                elif name in self.filters:
                    conditions.append(self.filters[name](name, ",".join(values)))
            except ValueError as error:
                faults.append(Fault(f"/query/{name}", str(error)))
        if faults:
            raise InvalidInput(faults=faults)
        order += [] if {"id", "-id"} & set(order) else ["-id"]
        return queryset.filter(*conditions).order_by(*(_ordering(queryset.model, name) for name in order))

    def parameters(self) -> list[OpenApiParameter]:
        """Return the query parameters of this list for the OpenAPI document."""
        result = [OpenApiParameter(name, str, description=_described(each)) for name, each in self.filters.items()]
        words = ", ".join(self.sorts)
        result.append(
            OpenApiParameter("sort", str, description=f"Field to sort by: {words}. A leading `-` reverses the order.")
        )
        result.append(OpenApiParameter("page", str, description="Number of the page, from 1, or `last`. Default: 1."))
        result.append(
            OpenApiParameter("page_size", int, description="Number of entries on a page, at most 500. Default: 100.")
        )
        return result

    def _names(self) -> list[str]:
        return [*self.filters, "sort", "page", "page_size", FORMAT]

    def _order(self, value: str) -> list[str]:
        order = []
        for word in map(str.strip, value.split(",")):
            sign, name = ("-", word[1:]) if word.startswith("-") else ("", word)
            if name not in self.sorts:
                raise ValueError("must be one of: " + ", ".join(self.sorts))
            order.append(sign + self.sorts[name])
        return order


def _ordering(model: type[Model], name: str) -> str | OrderBy:
    """Return an ordering that is the same in every database."""
    field = name.removeprefix("-")
    try:
        column = model._meta.get_field(field)
    except FieldDoesNotExist:
        return name  # of a related row, or computed
    is_json, may_be_nothing = isinstance(column, JSONField), bool(getattr(column, "null", False))
    if not is_json and not may_be_nothing:
        return name
    # PostgreSQL orders JSON by its length first; here JSON is ordered as text.
    expression = Cast(field, TextField()) if is_json else F(field)
    # Null comes before all values; PostgreSQL's default is the opposite.
    if name.startswith("-"):
        return expression.desc(nulls_last=True if may_be_nothing else None)
    return expression.asc(nulls_first=True if may_be_nothing else None)


class StandardPagination(PageNumberPagination):
    """Pages of `page_size` entries, 100 by default and 500 at most."""

    page_size = 100
    max_page_size = 500
    page_size_query_param = "page_size"
    invalid_page_message = "Page {page_number} does not exist: the list has fewer pages."

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any] | None:
        faults = []
        for name in ("page", "page_size"):
            value = request.query_params.get(name)
            if name == "page" and value in self.last_page_strings:
                continue
            if value is not None and not (value.isascii() and value.isdecimal() and value.strip("0")):
                faults.append(Fault(f"/query/{name}", "must be a whole number from 1"))
            elif value is not None and len(value) > 18:
                raise PageNotFound("The page does not exist.")
        if faults:
            raise InvalidInput(faults=faults)
        return super().paginate_queryset(queryset, request, view)


def page_of(
    request: Request, rows: QuerySet[_M] | Sequence[_M], present: Callable[[Sequence[_M]], list[dict[str, Any]]]
) -> Response:
    """Answer one page of a list, its rows as `present` shows them."""
    paginator = StandardPagination()
    rows = paginator.paginate_queryset(rows, request) or []
    return paginator.get_paginated_response(present(rows))

"""Lists: pages, sorting and filters, refused by name where they are not known.

A list names what it can do once::

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
# Some senders ask for the only format of answers there is.
FORMAT, JSON = "format", "json"
_M = TypeVar("_M", bound=Model)

Filter = Callable[[str, str], Q]
"""Turns a field and the text of a query parameter into a condition; raises ValueError saying what it must be."""


def text_filter(field: str, value: str) -> Q:
    """Match a field that equals the text."""
    return Q(**{field: value})


def integer_filter(field: str, value: str) -> Q:
    """Match a whole number."""
    return Q(**{field: _integer(value)})


def id_filter(field: str, value: str) -> Q:
    """Match the id of a relation; one that no database could hold matches nothing."""
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
    """Match a time (RFC 3339; UTC unless it says otherwise) or a day's first moment: `on("created_at__gte", …)`."""
    # A plus sign that nobody escaped arrives as a space.
    for text in (value, value.replace(" ", "+")):
        try:
            moment = parse_datetime(text)
            if moment is not None:
                return Q(**{field: moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)})
        except (ValueError, OverflowError):
            continue
    raise ValueError("must be a time such as 2026-11-21T09:00:00Z, or a day")


@dataclass(frozen=True)
class _ChoiceFilter:
    """Matches any of several words, given with commas between them or one by one."""

    choices: tuple[str, ...]

    @property
    def words(self) -> str:
        return "one of: " + ", ".join(self.choices) + "; or several, with commas between them"

    def __call__(self, field: str, value: str) -> Q:
        wanted = [word.strip() for word in value.split(",")]
        if not set(wanted) <= set(self.choices):
            raise ValueError(f"must be {self.words}")
        return Q(**{f"{field}__in": wanted})


def choice_filter(choices: type[Choices] | Iterable[str]) -> Filter:
    """Return a filter for some of the given words."""
    return _ChoiceFilter(tuple(str(value) for value in (choices.values if isinstance(choices, type) else choices)))


def search_filter(*fields: str) -> Filter:
    """Return a filter for text that any of the fields contains, whatever its case."""

    def matches(_field: str, value: str) -> Q:
        condition = Q()
        for field in fields:
            condition |= Q(**{f"{field}__icontains": value})
        return condition

    return matches


def on(lookup: str, inner: Filter) -> Filter:
    """Return a filter that looks at another field (or lookup) than the one its parameter is named after."""
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
    """Return what the OpenAPI document says of a filter."""
    inner = _of_filter(given)
    if isinstance(inner, _ChoiceFilter):
        return f"{inner.words[0].upper()}{inner.words[1:]}."
    return _DESCRIPTIONS.get(inner, "Equality filter.")


_DESCRIPTIONS: dict[Filter, str] = {
    boolean_filter: "`true` or `false`.",
    integer_filter: "A whole number that is equal.",
    id_filter: "The id of what it belongs to.",
    moment_filter: "A time (RFC 3339; UTC unless it says otherwise), or a day's first moment.",
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

    `sorts` names fields, or maps the name in the query to the field. `filters` maps names to filters. `order` is the
    order where no other is asked for.
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
        """Return the rows that a request's query asks for, in its order. Raises InvalidInput at `/query/<name>`."""
        faults: list[Fault] = []
        conditions: list[Q] = []
        order = [*self.order]
        for name in request.query_params:
            values = request.query_params.getlist(name)
            try:
                if name not in self._names():
                    raise ValueError("is not known here; known are: " + ", ".join(self._names()))
                several = isinstance(_of_filter(self.filters.get(name, text_filter)), _ChoiceFilter)
                if len(values) > 1 and not several:
                    raise ValueError("is given more than once")
                if name == FORMAT and values[0] != JSON:
                    raise ValueError("must be json: answers have no other format")
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
        """Return what the OpenAPI document says of this list's query."""
        result = [OpenApiParameter(name, str, description=_described(each)) for name, each in self.filters.items()]
        words = ", ".join(self.sorts)
        result.append(OpenApiParameter("sort", str, description=f"Any of {words}; `-` before it turns it round."))
        result.append(OpenApiParameter("page", str, description="A whole number from 1, or `last`."))
        result.append(OpenApiParameter("page_size", int, description="Default 100, at most 500."))
        return result

    def _names(self) -> list[str]:
        return [*self.filters, "sort", "page", "page_size", FORMAT]

    def _order(self, value: str) -> list[str]:
        order = []
        for word in map(str.strip, value.split(",")):
            sign, name = ("-", word[1:]) if word.startswith("-") else ("", word)
            if name not in self.sorts:
                raise ValueError("knows only: " + ", ".join(self.sorts))
            order.append(sign + self.sorts[name])
        return order


def _ordering(model: type[Model], name: str) -> str | OrderBy:
    """Return an ordering that every database understands alike."""
    field = name.removeprefix("-")
    try:
        column = model._meta.get_field(field)
    except FieldDoesNotExist:
        return name  # of a related row, or computed
    is_json, may_be_nothing = isinstance(column, JSONField), bool(getattr(column, "null", False))
    if not is_json and not may_be_nothing:
        return name
    # PostgreSQL orders JSON by its length first; here it is ordered as the text that it is.
    expression = Cast(field, TextField()) if is_json else F(field)
    # Nothing is less than anything: by itself PostgreSQL has it the other way round.
    if name.startswith("-"):
        return expression.desc(nulls_last=True if may_be_nothing else None)
    return expression.asc(nulls_first=True if may_be_nothing else None)


class StandardPagination(PageNumberPagination):
    """Pages of 100 unless `page_size` says otherwise, of 500 at most."""

    page_size = 100
    max_page_size = 500
    page_size_query_param = "page_size"
    invalid_page_message = "There is no page {page_number}: the list ends before it."

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any] | None:
        faults = []
        for name in ("page", "page_size"):
            value = request.query_params.get(name)
            if name == "page" and value in self.last_page_strings:
                continue
            if value is not None and not (value.isascii() and value.isdecimal() and value.strip("0")):
                faults.append(Fault(f"/query/{name}", "must be a whole number from 1"))
            elif value is not None and len(value) > 18:
                raise PageNotFound("That page does not exist.")
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

"""A column for a list of strings, with a lookup for one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import JSONField, Lookup
from django.db.models.sql.compiler import SQLCompiler

if TYPE_CHECKING:
    _Lookup = Lookup[bool]
else:
    _Lookup = Lookup


class StringListField(JSONField):
    """Store a list of strings as JSON; the lookup `has_item` finds the rows that hold a given string."""


@StringListField.register_lookup
class HasItem(_Lookup):
    """Compare whole items, on SQLite and on PostgreSQL; Django's own `contains` does not work on SQLite."""

    lookup_name = "has_item"
    prepare_rhs = False

    def get_db_prep_lookup(self, value: Any, connection: BaseDatabaseWrapper) -> tuple[str, tuple[str, ...]]:
        return "%s", (str(value),)

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[str | int, ...]]:
        column, column_params = self.process_lhs(compiler, connection)
        item, item_params = self.process_rhs(compiler, connection)
        sql = f"EXISTS (SELECT 1 FROM json_each({column}) AS item WHERE item.value = {item})"  # noqa: S608 - a column
        return sql, (*column_params, *item_params)

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str | int, ...]]:
        column, column_params = self.process_lhs(compiler, connection)
        item, item_params = self.process_rhs(compiler, connection)
        return f"{column} @> jsonb_build_array({item}::text)", (*column_params, *item_params)

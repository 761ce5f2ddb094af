"""A statement for one set of values made into one for many sets, which PostgreSQL answers in one go.

The values travel as one document that the server takes apart, as rows do in `engine.store.bulk`: a statement
costs both sides more than a row does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Executable,
    Integer,
    Select,
    TableValuedAlias,
    Update,
    bindparam,
    column,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import visitors
from sqlalchemy.types import NullType, TypeEngine

PLACE = "#"
"""Beside the values of one of many: its place among them. No parameter has such a name."""


def for_many(statement: Executable, names: tuple[str, ...]) -> Executable:
    """The statement over many sets of values of these names, which are its parameter `asked`.

    A SELECT answers them one after the other and adds the place of each to its rows. An UPDATE sets what is
    not named in it to the value of its name.
    """
    assert isinstance(statement, Select | CompoundSelect | Update)
    if isinstance(statement, Update):
        columns, told = statement.table.c, _binds(statement)
        more = {name: bindparam(name, type_=columns[name].type) for name in names if name not in told}
        statement = statement.values(more)
    types = {name: bind.type for name, bind in _binds(statement).items() if name in names}
    assert not any(isinstance(type_, NullType) for type_ in types.values()), "parameters state their types"
    given = _given(types)

    def in_update(element: Any, **_: Any) -> Any:
        is_asked = isinstance(element, BindParameter) and element.key in types
        return given.c[element.key] if is_asked else None

    def in_select(element: Any, **_: Any) -> Any:
        # By its name alone: as a column it would bring its table along into every part of a union.
        is_asked = isinstance(element, BindParameter) and element.key in types
        return literal_column(f'given."{element.key}"', types[element.key]) if is_asked else None

    if isinstance(statement, Update):
        return cast("Update", visitors.replacement_traverse(statement, {}, in_update))
    inner = cast("Select[Any]", visitors.replacement_traverse(statement, {}, in_select))
    found = inner.lateral("found")
    return select(*found.c, given.c[PLACE].label("place_of_one")).select_from(given.join(found, true()))


def _binds(statement: Any) -> dict[str, BindParameter[Any]]:
    found = (each for each in visitors.iterate(statement) if isinstance(each, BindParameter))
    return {bind.key: bind for bind in found}


def _given(columns: Mapping[str, TypeEngine[Any]]) -> TableValuedAlias:
    document = func.jsonb_to_recordset(bindparam("asked", type_=postgresql.JSONB))
    named = (column(name, type_) for name, type_ in columns.items())
    return document.table_valued(*named, column(PLACE, Integer)).render_derived("given", with_types=True)

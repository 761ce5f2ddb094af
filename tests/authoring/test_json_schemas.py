"""Schemas of events that are seen through without the library are schemas for the library too."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engine.authoring.checking.json_schemas import fault_of_schema, is_plainly_one

_KEYWORDS = (
    *("type", "title", "description", "required", "minimum", "maximum", "exclusiveMinimum"),
    *("exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems", "enum", "examples"),
    *("properties", "items", "additionalProperties", "pattern", "format", "const", "$ref"),
)
_SCALARS = st.one_of(
    st.sampled_from(["string", "number", "object", "array", "null", "text", "("]),
    st.integers(-2, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS | st.lists(_SCALARS, max_size=3),
    lambda inner: (
        st.dictionaries(st.sampled_from(_KEYWORDS), inner, max_size=4)
        | st.fixed_dictionaries(
            {"properties": st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)}
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(_KEYWORDS), _VALUES, max_size=5))
def test_what_plainly_is_a_schema_is_one(schema: dict[str, Any]) -> None:
    if is_plainly_one(schema):
        Draft202012Validator.check_schema(schema)


def test_an_ordinary_event_is_plain_and_a_wrong_type_is_told_with_its_place() -> None:
    amount = {"type": "number", "title": "金额", "minimum": 0}
    plain = {"type": "object", "required": ["amount"], "properties": {"amount": amount}}
    assert is_plainly_one(plain)
    wrong = {**plain, "properties": {"amount": {**amount, "type": "decimal"}}}
    fault = fault_of_schema(wrong)
    assert fault is not None
    assert fault.at == ("properties", "amount", "type")

"""Properties against the schema of their event type."""

from __future__ import annotations

from typing import Any

import pytest

from engine.authoring.bundle import EventType
from engine.intake.schemas import EventSchemas

SCHEMA = {
    "type": "object",
    "required": ["order_id", "amount"],
    "properties": {
        "order_id": {"type": "string", "minLength": 1},
        "amount": {"type": "number", "minimum": 0},
        "items": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}},
    },
}
SCHEMAS = EventSchemas({"order_paid": EventType("order_paid", "", SCHEMA, "order")})


@pytest.mark.parametrize(
    ("properties", "fault"),
    [
        ({"order_id": "o1", "amount": 3}, None),
        ({"amount": 3}, "properties: order_id missing"),
        ({"order_id": "o1", "amount": "13812345678"}, "properties.amount: wanted number"),
        ({"order_id": "o1", "amount": -1}, "properties.amount: does not satisfy minimum 0"),
        (
            {"order_id": "o1", "amount": 1, "items": [{"sku": "a"}, {"sku": 7}]},
            "properties.items[1].sku: wanted string",
        ),
    ],
)
def test_a_fault_names_the_path_and_the_wish_but_no_value(
    properties: dict[str, Any], fault: str | None
) -> None:
    assert SCHEMAS.fault("order_paid", properties) == fault


def test_a_type_without_a_schema_takes_anything() -> None:
    assert SCHEMAS.fault("identify", {"x": [1]}) is None

"""Money: which currencies a workspace counts in, and how finely."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from engine.authoring.models.part import Part
from engine.authoring.models.refusing import refuse


def _currency(raw: object) -> str:
    if isinstance(raw, str) and re.fullmatch(r"[A-Z]{3}", raw):
        return raw
    hint = f"as {raw.upper()}" if isinstance(raw, str) and re.fullmatch(r"[a-z]{3}", raw) else "as CNY or EUR"
    raise refuse("RS029", f"'{raw}' is not a currency: three capital letters, as ISO 4217 has them", hint)


Currency = Annotated[
    str,
    BeforeValidator(_currency),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["CNY", "EUR"]}),
]
Amount = Annotated[float, Field(gt=0, le=1_000_000_000_000)]


class CurrencyEntry(Part):
    """How finely a currency is counted."""

    decimals: int = Field(
        title="小数位",
        description=(
            "Decimals of the smallest amount that is counted: 2 counts cents; more where one message costs "
            "less than a cent.\n"
            "计到小数点后几位：2 表示计到分；单条不足一分时写得更多。"
        ),
        ge=0,
        le=6,
        examples=[2],
    )

"""How a model reports a problem with a code and a way out of its own."""

from __future__ import annotations

from pydantic_core import PydanticCustomError

from engine.rules.condition import YamlPath


def refuse(code: str, message: str, hint: str = "", *, at: YamlPath = ()) -> PydanticCustomError:
    """The error for a validator to raise; `at` leads further down from the place that is validated."""
    return PydanticCustomError("wayline", code, {"message": message, "hint": hint, "at": at})

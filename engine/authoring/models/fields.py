"""The values that occur everywhere in the files: ids, durations, clock times, shares, lists, conditions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, Strict, WithJsonSchema

from engine.authoring.models.refusing import refuse
from engine.journeys.numbers import countries
from engine.rules.duration import parse_duration

Item = TypeVar("Item")

Items = Annotated[tuple[Item, ...], Strict(False)]
"""A YAML list, kept as a tuple; only the list is converted, its items stay strict."""


_SHOWN_AS_NOTHING = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0")
"""Letters and signs of blank space."""


def _wording(text: str) -> str:
    if not any(
        letter not in _SHOWN_AS_NOTHING and (letter.isalnum() or unicodedata.category(letter)[0] in "LNPS")
        for letter in text
    ):
        # A check cannot look for nothing: it would fail, and block every message.
        raise refuse("RS005", "holds no word that could be looked for", "write one, or remove it")
    return text


Wording = Annotated[str, AfterValidator(_wording), Field(json_schema_extra={"pattern": r"\S"})]
"""A text that is looked for in messages."""


def from_text(convert: Callable[[str], Any], noun: str, example: str, code: str) -> Callable[[Any], Any]:
    """A validator of texts; a number, a list or null is answered with an example of what is wanted."""

    def validate(raw: Any) -> Any:
        if isinstance(raw, str):
            return convert(raw)
        shown = raw if isinstance(raw, int | float) and not isinstance(raw, bool) else "something else"
        raise refuse(code, f"must be {noun}; this is {shown}", f"as {example}")

    return validate


def _id(text: str) -> str:
    if re.fullmatch(r"[a-z][a-z0-9_]{0,63}", text):
        return text
    fixed = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:64]
    hint = (
        f"as '{fixed}'"
        if re.fullmatch(r"[a-z][a-z0-9_]*", fixed)
        else "as 'welcome_2'; the title may be in any language"
    )
    message = f"'{text}' is not an id: lower case letters, digits and _, beginning with a letter, at most 64"
    raise refuse("RS029", message, hint)


_UNITS = {
    **dict.fromkeys(("秒", "秒钟", "second", "sec"), "s"),
    **dict.fromkeys(("分", "分钟", "minute", "min"), "m"),
    **dict.fromkeys(("小时", "个小时", "时", "hour", "hr"), "h"),
    **dict.fromkeys(("天", "日", "day"), "d"),
    **dict.fromkeys(("周", "星期", "个星期", "week"), "w"),
}
_SPOKEN = re.compile(rf"([1-9][0-9]*) ?({'|'.join(_UNITS)})s?", re.IGNORECASE)
"""A length of time as people say it, in Chinese or English."""


def _duration(text: str) -> timedelta:
    try:
        duration = parse_duration(text)
    except ValueError as error:
        message, _, hint = str(error).partition("; ")
        if (meant := _SPOKEN.fullmatch(text)) is not None:
            hint = f"write {meant[1]}{_UNITS[meant[2].lower()]}"
        raise refuse("RS026", message, hint) from None
    if not duration:
        raise refuse("RS026", f"'{text}' is no time at all", "a duration is longer than nothing")
    return duration


def _clock_time(text: str) -> time:
    if re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        return time.fromisoformat(text)
    hint = f'as "0{text}"' if re.fullmatch(r"[0-9]:[0-5][0-9]", text) else 'as "09:30" or "22:00"'
    if re.fullmatch(r"24:00?", text):
        hint = 'the end of a day is the beginning of the next: write "00:00"'
    raise refuse("RS027", f"'{text}' is not a time of day: two digits, ':', two digits, up to 23:59", hint)


def _share(text: str) -> float:
    if re.fullmatch(r"(0|[1-9][0-9]{0,2})(\.[0-9]{1,4})?%", text):
        share = Decimal(text[:-1]) / 100
        if share <= 1:
            return float(share)
    raise refuse("RS028", f"'{text}' is not a percentage from 0% to 100%", "as 5% or 0.5%")


class Percent(float):
    """A figure that was written as a percentage."""


def _measure(raw: Any) -> Any:
    if isinstance(raw, Percent) or (isinstance(raw, int | float) and not isinstance(raw, bool)):
        return raw
    if isinstance(raw, str):
        return Percent(_share(raw))
    raise refuse("RS028", "must be a percentage or a number", "as 15% or 70")


def _date(text: str) -> str:
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    hint = 'as "2026-03-01", in quotes'
    parts = re.fullmatch(r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?", text)
    if parts is not None:
        plain = f"{parts[1]}-{int(parts[2]):02}-{int(parts[3]):02}"
        hint = f'write "{plain}", in quotes' if plain != text else "there is no such day"
    raise refuse("RS031", f"'{text}' is not a date of the calendar", hint)


def _locale(text: str) -> str:
    if re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", text):
        return text
    raise refuse("RS029", f"'{text}' is not a language tag", "as zh, en or zh-Hant")


def _country(text: str) -> str:
    if text in countries():
        return text
    upper = {"UK": "GB"}.get(text.upper(), text.upper())
    hint = f'as "{upper}"' if upper in countries() else 'its two capital letters in ISO 3166, as "CN" or "GB"'
    raise refuse("RS006", f"'{text}' is not a country code", hint)


def _region(text: str) -> str:
    country, dash, part = text.partition("-")
    if country not in countries():
        return _country(text)
    if not dash or re.fullmatch(r"[A-Z0-9]{1,3}", part):
        return text
    raise refuse("RS006", f"'{part}' is not the part of a country", 'in ISO 3166-2, as "US-FL"')


def _scalar(raw: Any) -> Any:
    if isinstance(raw, str | int | float | bool):
        return raw
    raise refuse("RS005", "must be a text, a number, true or false", "lists and mappings cannot stand here")


def _one_or_more(raw: Any) -> Any:
    return (raw,) if isinstance(raw, str) else raw


def _condition(raw: Any) -> Any:
    if raw is None:
        raise refuse("RS005", "must be a condition, not null", "as {contact.tags: {has: vip}}")
    return raw


def text_schema(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


Id = Annotated[
    str,
    BeforeValidator(from_text(_id, "an id", "welcome_2", "RS029")),
    text_schema("^[a-z][a-z0-9_]{0,63}$", "welcome_2"),
]
Locale = Annotated[
    str,
    BeforeValidator(from_text(_locale, "a language tag", "zh or en", "RS029")),
    text_schema("^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", "zh", "en"),
]
Duration = Annotated[
    timedelta,
    BeforeValidator(from_text(_duration, "a duration", "90s, 15m, 2h, 3d or 2w", "RS026")),
    text_schema("^[1-9][0-9]*(s|m|h|d|w)$", "90s", "15m", "2h", "3d", "2w"),
]
ClockTime = Annotated[
    time,
    BeforeValidator(from_text(_clock_time, "a time of day", '"10:00"', "RS027")),
    text_schema("^([01][0-9]|2[0-3]):[0-5][0-9]$", "10:00"),
]
Share = Annotated[
    float,
    BeforeValidator(from_text(_share, "a percentage", "5%", "RS028")),
    text_schema(r"^(0|[1-9][0-9]{0,2})(\.[0-9]{1,4})?%$", "5%"),
]
Measure = Annotated[
    float,
    PlainValidator(_measure),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,2})(\.[0-9]{1,4})?%$"},
                {"type": "number"},
            ]
        }
    ),
]
"""A percentage (`Percent`) or a plain number."""
Date = Annotated[
    str,
    BeforeValidator(from_text(_date, "a date", '"2026-03-01"', "RS031")),
    text_schema("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "2026-03-01"),
]
Country = Annotated[
    str,
    BeforeValidator(from_text(_country, "a country code", '"CN"', "RS006")),
    text_schema("^[A-Z]{2}$", "CN", "GB"),
]
Region = Annotated[
    str,
    BeforeValidator(from_text(_region, "a country, or a part of one", '"CN" or "US-FL"', "RS006")),
    text_schema("^[A-Z]{2}(-[A-Z0-9]{1,3})?$", "CN", "US", "US-FL"),
]


Scalar = Annotated[
    int | float | str | bool,
    BeforeValidator(_scalar),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
_ONE_OR_MORE = WithJsonSchema(
    {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
)
OneOrMore = Annotated[Items[Id], BeforeValidator(_one_or_more), _ONE_OR_MORE]
"""An id, or a list of them."""
Texts = Annotated[Items[str], BeforeValidator(_one_or_more), _ONE_OR_MORE]
"""A text, or a list of them."""
Condition = Annotated[
    Any,
    BeforeValidator(_condition),
    WithJsonSchema({"anyOf": [{"type": "object", "minProperties": 1}, {"type": "array", "minItems": 1}]}),
]
"""A condition as written; `engine.authoring.compiling.conditions` reads it."""

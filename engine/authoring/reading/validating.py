"""One file's data against the model of its kind; what pydantic finds is said in an operator's words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from engine.authoring.models.kinds import KINDS
from engine.authoring.models.part import Head, Part
from engine.authoring.models.steps import STEP_KINDS
from engine.authoring.reading.anatomy import keys_of, part_at
from engine.authoring.reading.source import Source, dotted
from engine.errors import Problem
from engine.rules.condition import YamlPath
from engine.rules.spelling import only_meant
from engine.rules.wanted import number_hint

Model = TypeVar("Model", bound=Part)

_MOST_KEYS = 8
_WEEKDAYS = dict(
    zip("一二三四五六日天", ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "sun"), strict=True)
)
_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys and values",
    "model_type": "a mapping of keys and values",
    "model_attributes_type": "a mapping of keys and values",
}


def validate(source: Source) -> tuple[Head | None, list[Problem]]:
    """The file as its model, or None and every problem. The source itself must be free of problems."""
    if not isinstance(source.data, dict):
        return None, [
            _problem(source, (), "RS005", "must be a mapping of keys and values", "begin with 'kind: …'")
        ]
    kind = source.data.get("kind")
    if "kind" not in source.data:
        return None, [_problem(source, (), "RS004", "'kind' is missing", f"one of {', '.join(KINDS)}")]
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        return None, [_unknown_kind(source, kind)]
    return validate_as(model, source)


def validate_as(model: type[Model], source: Source) -> tuple[Model | None, list[Problem]]:
    """The file as a model that is settled already, or None and every problem."""
    if not isinstance(source.data, dict):
        return None, [_problem(source, (), "RS005", "must be a mapping of keys and values")]
    try:
        return model.model_validate(source.data), []
    except ValidationError as error:
        items = error.errors(include_url=False)
        meant = {_meant(model, item) for item in items if item["type"] == "extra_forbidden"}
        # A misspelt key is one mistake, not one too many and one too few.
        told = (item for item in items if item["type"] != "missing" or tuple(item["loc"]) not in meant)
        found = (_translate(source, model, item) for item in told)
        return None, [problem for problem in found if problem is not None]


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint "did you mean …?", or "" when nothing is close."""
    close = _closest(word, known)
    return f"did you mean '{close}'?" if close is not None else ""


def _closest(word: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def known_list(known: Iterable[str], limit: int = 12) -> str:
    """The known words as a hint, cut when there are many."""
    words = sorted(known)
    if not words:
        return "there are none yet"
    more = f" and {len(words) - limit} more" if len(words) > limit else ""
    return f"known are {', '.join(words[:limit])}{more}"


def _problem(
    source: Source,
    path: YamlPath,
    code: str,
    message: str,
    hint: str = "",
    *,
    key: bool = False,
    swap: tuple[str, ...] = (),
) -> Problem:
    place = source.key_place(path) if key else source.place(path)
    return Problem(place, code, dotted(path), message, hint, swap)


def _swap(word: str, known: Iterable[str]) -> tuple[str, ...]:
    """The word and the only known one that can be meant by it; empty when there is none such."""
    meant = only_meant(word, known)
    return (word, meant) if meant is not None else ()


def _unknown_kind(source: Source, kind: Any) -> Problem:
    hint = nearest(str(kind), KINDS) or known_list(KINDS)
    message = f"'{kind}' is not a kind of file"
    return _problem(source, ("kind",), "RS023", message, hint, swap=_swap(str(kind), KINDS))


def _translate(source: Source, model: type[Part], item: Mapping[str, Any]) -> Problem | None:
    """One pydantic error as a problem; None when it only follows from another one."""
    loc: tuple[str | int, ...] = tuple(item["loc"])
    is_key = bool(loc) and loc[-1] == "[key]"
    # Tags of unions stand in angle brackets and exist in the location only, not in the file.
    path: YamlPath = tuple(part for part in loc if not (isinstance(part, str) and part[:1] in {"<", "["}))
    kind, raw, context = str(item["type"]), item["input"], item.get("ctx") or {}
    if kind == "wayline":
        path = (*path, *context["at"])
        return _problem(source, path, item["msg"], context["message"], context["hint"], key=is_key)
    if kind == "missing":
        part = part_at(model, loc[:-1])
        described = keys_of(part).get(str(loc[-1]), "") if part is not None else ""
        hint = f"{loc[-1]}: {described}" if described else ""
        return Problem(source.place(path[:-1]), "RS004", dotted(path), f"'{loc[-1]}' is missing", hint)
    if kind == "extra_forbidden":
        return _unknown_key(source, model, loc, path)
    if kind == "wayline_step":
        return _not_a_step(source, path, raw)
    if kind == "literal_error":
        choices = [choice.strip(" '") for choice in context["expected"].replace(" or ", ",").split(",")]
        message = f"must be one of {', '.join(choices)}; this is {_shown(raw)}"
        hint, swap = nearest(str(raw), choices) or _other_word(str(raw), choices), _swap(str(raw), choices)
        return _problem(source, path, "RS006", message, hint, key=is_key, swap=swap)
    if kind in _WANTED:
        if loc[-1:] == ("int",):
            return None  # told of the number that it may be instead
        path = path[:-1] if loc[-1:] == ("float",) else path
        return _wrong_type(source, path, kind, raw, _shape(model, loc))
    return _out_of_bounds(source, path, kind, raw, context)


def _other_word(raw: str, choices: Sequence[str]) -> str:
    """A hint for a weekday in Chinese or in full, and for a length of time where `{after: …}` was meant."""
    day = _WEEKDAYS.get(raw[-1:] if raw[:-1] in {"周", "星期", "礼拜"} else "", raw[:3].lower())
    if day in choices and "mon" in choices:
        return f"write {day}"
    if "always" in choices and raw[:1].isdigit():
        return f"write {{after: {raw}}} for a while after the last run"
    return ""


def _meant(model: type[Part], item: Mapping[str, Any]) -> tuple[str | int, ...]:
    """The location of the key that an unknown one is most like; its own when it is like none."""
    *above, name = item["loc"]
    part = part_at(model, tuple(above))
    close = _closest(str(name), keys_of(part)) if part is not None else None
    return (*above, close or name)


def _unknown_key(source: Source, model: type[Part], loc: tuple[str | int, ...], path: YamlPath) -> Problem:
    name, part = str(loc[-1]), part_at(model, loc[:-1])
    known = keys_of(part) if part is not None else {}
    return _problem(
        source,
        path,
        "RS003",
        f"'{name}' is not a known key",
        nearest(name, known) or known_list(known),
        key=True,
        swap=_swap(name, known),
    )


def _not_a_step(source: Source, path: YamlPath, raw: Any) -> Problem:
    if not isinstance(raw, dict):
        return _problem(
            source, path, "RS005", f"must be a step, not {_shown(raw)}", "as {wait: overnight, for: 1d}"
        )
    found = [kind for kind in raw if kind in STEP_KINDS]
    if len(found) > 1:
        message = f"this step has two kinds: '{found[0]}' and '{found[1]}'"
        return _problem(
            source, (*path, found[1]), "RS023", message, "begin each step with '- ' on its own", key=True
        )
    first = next(iter(raw), "")
    hint = nearest(first, STEP_KINDS) or known_list(STEP_KINDS)
    swap = _swap(first, STEP_KINDS)
    return _problem(source, path, "RS023", "this step does not say what kind it is", hint, swap=swap)


def _shape(model: type[Part], loc: tuple[str | int, ...]) -> str:
    """The keys that a part is written with, for a hint; "" for what has no keys of its own."""
    part = part_at(model, loc)
    keys = list(keys_of(part))[:_MOST_KEYS] if part is not None else []
    return f"its keys are {', '.join(keys)}" if keys else ""


def _wrong_type(source: Source, path: YamlPath, kind: str, raw: Any, shape: str) -> Problem:
    wanted = _WANTED[kind]
    hint = ""
    swap: tuple[str, ...] = ()
    if isinstance(raw, bool | int | float) and wanted == "text":
        text = str(raw).lower() if isinstance(raw, bool) else str(raw)
        hint = f'put it in quotes: "{text}"'
        swap = (text, f'"{text}"')
    elif isinstance(raw, str) and wanted.startswith("a mapping") and ":" in raw:
        before, _, after = raw.partition(":")
        hint = f"put a space after the colon: {{{before.strip()}: {after.strip()}}}"
    elif wanted.startswith("a mapping"):
        hint = shape
    elif wanted == "a list":
        hint = "as [one, two], or each on a line of its own after '- '"
    elif isinstance(raw, str) and wanted in {"a number", "a whole number"}:
        hint = number_hint(raw)
    elif isinstance(raw, str) and wanted == "true or false":
        hint = "take the quotes away" if raw in {"true", "false"} else "write true or false"
    return _problem(source, path, "RS005", f"must be {wanted}; this is {_shown(raw)}", hint, swap=swap)


def _out_of_bounds(
    source: Source, path: YamlPath, kind: str, raw: Any, context: Mapping[str, Any]
) -> Problem | None:
    match kind:
        case "too_short" | "string_too_short":
            if isinstance(raw, list | dict | tuple) and raw:
                least = context["min_length"]
                if len(raw) >= least:
                    return None  # its items were refused one by one; it only looks short without them
                return _problem(source, path, "RS005", f"needs {least} entries at least; this is {len(raw)}")
            return _problem(source, path, "RS005", "must not be empty")
        case "string_too_long" | "too_long":
            of = "characters" if kind == "string_too_long" else "entries"
            return _problem(
                source, path, "RS030", f"is longer than {context['max_length']} {of}", "shorten it"
            )
        case "greater_than":
            return _problem(
                source, path, "RS030", f"must be more than {context['gt']}; this is {_shown(raw)}"
            )
        case "greater_than_equal":
            return _problem(source, path, "RS030", f"must be {context['ge']} or more; this is {_shown(raw)}")
        case "less_than_equal":
            return _problem(source, path, "RS030", f"must be {context['le']} or less; this is {_shown(raw)}")
        case "string_pattern_mismatch":
            message = f"{_shown(raw)} is not a name: letters, digits and _ only"
            return _problem(source, path, "RS029", message, "as SMTP_HOST")
        case _:
            return _problem(source, path, "RS005", f"{_shown(raw)} cannot stand here")


def _shown(raw: Any) -> str:
    """What stands in the file, in a few words."""
    match raw:
        case None:
            return "null"
        case bool():
            return str(raw).lower()
        case str():
            return f"'{raw}'" if len(raw) <= 60 else f"'{raw[:57]}…'"
        case int() | float():
            return str(raw)
        case list() | tuple():
            return "a list"
        case _:
            return "a mapping"

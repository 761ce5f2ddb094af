"""YAML text to plain data, with every value's place beside it; refuses what a person would read differently.

The only module that knows PyYAML. It walks parser events instead of letting YAML construct values, so that
anchors, tags and odd scalars can be refused one by one, each with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import yaml

from engine.authoring.reading import scalars
from engine.authoring.reading.faults import breakage, lookalike, straightened
from engine.authoring.reading.lookalikes import lookalike_near
from engine.errors import Place, Problem
from engine.rules.condition import YamlPath

MAX_CHARACTERS = 5_000_000
MAX_DEPTH = 40
MOST_VALUES = 200_000
"""Of one file, keys left out: a word list of 40,000 entries fits."""
MOST_PROBLEMS = 100
"""Of one file; what is listed beyond that helps nobody, and a hostile file could make millions."""

# The C parser reads a large lexicon in well under a second; the Python one is the same grammar, only slower.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Control characters, line breaks that only YAML 1.1 honours (editors would count lines differently),
# zero-width spaces, direction overrides (they show a text in another order than it is read), halves of
# surrogate pairs.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069"
    "\ufeff\ud800-\udfff\ufffe\uffff]"
)


Spot = tuple[int, int]
"""Line and column, counted from 1; a `Place` is made of it only where one is needed."""


_NOTHING = frozenset("\u200b\u200e\u200f\u2060\ufeff")
"""Of these, those that say nothing: without them a text reads the same."""


@dataclass(frozen=True)
class Source:
    """One file: its plain data (dict, list, text, number, boolean, None) and where all of it stands."""

    file: str
    data: Any
    places: Mapping[YamlPath, Spot] = field(default_factory=dict)
    keys: Mapping[YamlPath, Spot] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def place(self, path: YamlPath) -> Place:
        """Where the value at `path` begins; of the nearest part that exists when `path` itself does not."""
        for length in range(len(path), -1, -1):
            if (found := self.places.get(path[:length])) is not None:
                return Place(self.file, *found)
        return Place(self.file)

    def key_place(self, path: YamlPath) -> Place:
        """Where the key that leads to `path` stands; the value's place for list items."""
        found = self.keys.get(path)
        return Place(self.file, *found) if found is not None else self.place(path)

    def at(self, path: YamlPath) -> Any:
        """The value at a path; None when there is none."""
        value = self.data
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def dotted(path: YamlPath) -> str:
    """A path as people write it: `steps[0].channels[1]`; `(file)` for the file as a whole."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text or "(file)"


def read(text: str, file: str) -> Source:
    """The data of one YAML file; every mistake found is in `problems`, and only without them data count."""
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_CHARACTERS:
        problem = Problem(
            Place(file),
            "RS015",
            "(file)",
            f"{len(text):,} characters are more than the {MAX_CHARACTERS:,} a file may have",
            "split it into several files; all of them are read",
        )
        return Source(file, None, problems=(problem,))
    early = [*islice(_invisible(text, file), MOST_PROBLEMS), *islice(_tabs(text, file), MOST_PROBLEMS)]
    if any(problem.code == "RS020" for problem in early):
        return Source(file, None, problems=_counted(early, file))
    reader = _Reader(text, file)
    data = reader.document()
    noted = [*early, *reader.problems]
    problems = [*early, *(problem for problem in reader.problems if not _only_follows(problem, noted))]
    if any(problem.code in _STUMBLED for problem in problems):
        lines = _lines(text)
        problems = list(dict.fromkeys(_explained(problem, lines) for problem in problems))
    return Source(file, data, reader.places, reader.keys, _counted(problems, file))


def _counted(problems: list[Problem], file: str) -> tuple[Problem, ...]:
    """The problems in order; of too many, the first ones and a word about the rest."""
    ordered = sorted(problems)
    if len(ordered) <= MOST_PROBLEMS:
        return tuple(ordered)
    last = ordered[MOST_PROBLEMS - 1].place
    message = f"there are more than {MOST_PROBLEMS} mistakes in this file; the rest is not shown"
    more = Problem(Place(file, last.line, last.column), "RS064", "(file)", message, "mend these first")
    return (*ordered[:MOST_PROBLEMS], more)


def _only_follows(problem: Problem, noted: list[Problem]) -> bool:
    """Whether a syntax error is what became of a mistake that is named already, here or one line up."""
    causes = (each.place.line for each in noted if each.code in {"RS012", "RS014", "RS021"})
    return problem.code == "RS001" and any(line <= problem.place.line <= line + 1 for line in causes)


_STUMBLED = {"RS001", "RS013", "RS021"}


def _explained(problem: Problem, lines: list[str]) -> Problem:
    """What made the parser stumble, where something nearby only looks like YAML; else the problem itself."""
    if problem.code not in _STUMBLED:
        return problem
    found = lookalike_near(lines, problem.place.line)
    if found is None:
        return problem
    place = Place(problem.place.file, found.line, found.column)
    return Problem(place, found.code, "(file)", found.message, found.hint, found.swap)


def _lines(text: str) -> list[str]:
    return re.split(r"\r\n|\r|\n", text)


def _invisible(text: str, file: str) -> Iterator[Problem]:
    if _INVISIBLE.search(text) is None:
        return
    for number, line in enumerate(_lines(text), 1):
        for found in _INVISIBLE.finditer(line):
            code = f"U+{ord(found[0]):04X}"
            yield Problem(
                Place(file, number, found.start() + 1),
                "RS020",
                "(file)",
                f"there is an invisible character here ({code})",
                "delete it; it usually comes in by copying from a document or a web page",
                (found[0], "") if found[0] in _NOTHING else (),
            )


def _tabs(text: str, file: str) -> Iterator[Problem]:
    if "\t" not in text:
        return
    for number, line in enumerate(_lines(text), 1):
        if (column := line.find("\t")) >= 0:
            yield Problem(
                Place(file, number, column + 1),
                "RS012",
                "(file)",
                "there is a tab here",
                'use spaces; inside a text in double quotes write "\\t"',
            )


class _UnreadableError(Exception):
    """The rest of the file cannot be read; what is wrong has been noted."""


class _Reader:
    """Builds plain data from the events of one file and notes places and problems on the way."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._events: Iterator[Any] = _events(text)
        self.places: dict[YamlPath, Spot] = {}
        self.keys: dict[YamlPath, Spot] = {}
        self.problems: list[Problem] = []

    def document(self) -> Any:
        """The one document of the file; None when there is none or it cannot be read to its end."""
        data: Any = None
        documents = 0
        try:
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        self._note(
                            event, "RS011", (), "a second document begins here", "one file holds one document"
                        )
                        break
                    data = self._value(next(self._events), (), flow=False)
        except _UnreadableError:
            return None
        except yaml.YAMLError as error:
            self.problems.append(breakage(error, _lines(self._text), self._file))
            return None
        if documents == 0:
            problem = Problem(
                Place(self._file), "RS017", "(file)", "the file is empty", "begin with 'kind: …'"
            )
            self.problems.append(problem)
        return data

    def _value(self, event: Any, path: YamlPath, *, flow: bool) -> Any:
        self.places[path] = _spot(event)
        if len(path) > MAX_DEPTH:
            self._note(
                event, "RS016", path[:1], f"this is nested more than {MAX_DEPTH} levels deep", "flatten it"
            )
            raise _UnreadableError
        if len(self.places) > MOST_VALUES:
            message = f"there are more than {MOST_VALUES:,} values in this file"
            self._note(event, "RS015", path[:1], message, "split it into several files; all of them are read")
            raise _UnreadableError
        if isinstance(event, yaml.AliasEvent):
            self._note(
                event,
                "RS008",
                path,
                f"'*{event.anchor}' repeats another part of the file",
                "write the part out",
            )
            return None
        self._refuse_extras(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, path)
        return self._scalar(event, path, flow=flow)

    def _refuse_extras(self, event: Any, path: YamlPath) -> None:
        if event.anchor is not None:
            self._note(
                event,
                "RS008",
                path,
                f"'&{event.anchor}' marks a part to be repeated",
                "write the part out where needed",
            )
        if event.tag is not None:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            self._note(
                event, "RS010", path, f"the tag '{tag}' would change how the value is read", "remove it"
            )

    def _sequence(self, start: Any, path: YamlPath) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items)), flow=bool(start.flow_style)))
        return items

    def _mapping(self, start: Any, path: YamlPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        flow = bool(start.flow_style)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path, flow=flow)
            following = next(self._events)
            if key is None:
                self._value(following, (*path, "?"), flow=flow)
                continue
            here = (*path, key)
            if key in data:
                first = self.keys[here]
                message = f"'{key}' stands here twice; the first is in line {first[0]}"
                self._note(event, "RS002", here, message, "keep one of them")
                # The second value is still looked at, but must not move the places of the first.
                kept, (self.places, self.keys) = (self.places, self.keys), ({}, {})
                self._value(following, here, flow=flow)
                self.places, self.keys = kept
                continue
            self.keys[here] = _spot(event)
            data[key] = None
            if _is_absent(following):
                self._without_value(event, here, key)
                self.places[here] = self.keys[here]
                continue
            data[key] = self._value(following, here, flow=flow)
        return data

    def _without_value(self, event: Any, path: YamlPath, key: str) -> None:
        if not event.style and (found := re.fullmatch(r"([\w.]+):(\S.*)", key)):
            hint = f"write '{found[1]}: {found[2]}'"
            swap = (key, f"{found[1]}: {found[2]}")
            self._note(event, "RS013", path, "a space is missing after the colon", hint, swap)
            return
        self._note(event, "RS022", path, f"'{key}' has no value", "give it one, or remove the key")

    def _key(self, event: Any, path: YamlPath, *, flow: bool) -> str | None:
        """The key as text, or None (noted) when it cannot be one."""
        if not isinstance(event, yaml.ScalarEvent):
            hint = "quote a text that begins with [ { or *"
            self._note(event, "RS018", path, "a key must be a word", hint)
            if not isinstance(event, yaml.AliasEvent):
                self._value(event, (*path, "?"), flow=flow)
            return None
        text = str(event.value)
        if not event.style and text == "<<":
            self._note(
                event,
                "RS009",
                path,
                "'<<' merges another part of the file into this one",
                "write the keys out",
            )
            return None
        here = (*path, text)
        self._refuse_extras(event, here)
        value = self._scalar(event, here, flow=flow)
        if isinstance(value, str):
            return value
        if not event.style:
            message, hint = f"the key '{text}' is not text", f'put it in quotes: "{text}"'
            self._note(event, "RS018", here, message, hint, (text, f'"{text}"'))
        return text

    def _scalar(self, event: Any, path: YamlPath, *, flow: bool) -> Any:
        text = str(event.value)
        if event.style:
            return text
        if event.start_mark.line != event.end_mark.line:
            message = "a text without quotes runs on over several lines"
            self._note(
                event,
                "RS021",
                path,
                message,
                "if it is one text, put it in quotes or begin it with |; else check the indentation",
            )
            return text
        if (hint := lookalike(text, flow=flow)) is not None:
            meant = straightened(text, flow=flow)
            swap = (text, meant) if meant is not None else ()
            self._note(event, "RS014", path, f"full-width punctuation in '{_short(text)}'", hint, swap)
            return text
        if (reason := scalars.surprise(text)) is not None:
            hint = f'put it in quotes: "{_short(text)}"'
            self._note(event, "RS007", path, f"'{_short(text)}' {reason}", hint, (text, f'"{text}"'))
            return text
        return scalars.value_of(text)

    def _note(
        self, event: Any, code: str, path: YamlPath, message: str, hint: str, swap: tuple[str, ...] = ()
    ) -> None:
        place = Place(self._file, *_spot(event))
        self.problems.append(Problem(place, code, dotted(path), message, hint, swap))
        if len(self.problems) > MOST_PROBLEMS:
            raise _UnreadableError


def _events(text: str) -> Iterator[Any]:
    """As `yaml.parse`, which asks whether there is a next event before it takes one: twice the calls."""
    loader = _LOADER(text)
    try:
        while not isinstance(event := loader.get_event(), yaml.StreamEndEvent):
            yield event
    finally:
        loader.dispose()


def _spot(event: Any) -> Spot:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1


def _is_absent(event: Any) -> bool:
    """Whether a key was written with nothing after it."""
    return (
        isinstance(event, yaml.ScalarEvent)
        and not event.style
        and event.value == ""
        and event.tag is None
        and event.anchor is None
    )


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"

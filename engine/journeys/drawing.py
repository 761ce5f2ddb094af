"""A program drawn as SVG: every step a box, every way out a line with its name and, if given, a count.

The picture stands alone: no script, no style sheet, no font but those of whoever looks at it. Text in boxes
is broken into lines, never cut; a condition of more than three lines is told in full when the pointer rests
on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from unicodedata import east_asian_width

from engine.journeys.graph import exits, words_of
from engine.journeys.layout import BETWEEN_LAYERS, Box, Layout, Size, lay_out
from engine.journeys.program import Branch, Program, Send, Step, StepId

_FONT = "system-ui, 'Noto Sans', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"
_TEXT, _SMALL, _TITLE = 13.0, 12.0, 18.0
_LINE = 17.0
_BOLDER = 1.18
"""By how much bold text is wider."""
_INSIDE = 204.0
"""Widest line in a box."""
_PADDING = 11.0
_LABEL, _ROWS = 150.0, 3
"""How wide and how many lines the name of a way is at most; in full it is told to the pointer."""
_MARGIN = 24.0
_BACK = 34.0
"""How far to the side a way back goes."""

_COLOURS = {
    "enter": ("#e8f0fe", "#1a56b0"),
    "send": ("#e6f4ea", "#1e7d3c"),
    "wait": ("#fff7e0", "#a36a00"),
    "wait for": ("#fff7e0", "#a36a00"),
    "branch": ("#f3e8fd", "#7627bb"),
    "ask": ("#fde8ef", "#b3134f"),
    "stop": ("#eeeeee", "#555555"),
}
_PLAIN = ("#eef2f5", "#44546a")
_ENTER, _END = "\0enter", "\0end of "

Count = Callable[[StepId | None, StepId | None], int]


@dataclass(frozen=True)
class Counts:
    """How many came by where, to be shown in a picture."""

    visits: Mapping[StepId, int]
    went: Mapping[tuple[StepId | None, StepId | None], int]
    """(from, to); None is the way in, or the end."""
    cases: Mapping[tuple[StepId, int | None], int] = field(default_factory=dict)
    """Of a branch: the number of a case, None for `else`."""
    left: Mapping[str, int] = field(default_factory=dict)
    """`goal`, `leave <id>` or another end that can come anywhere."""


def to_svg(
    program: Program,
    *,
    contents: Mapping[str, str] | None = None,
    conditions: Mapping[str, str] | None = None,
    counts: Counts | None = None,
) -> str:
    """The journey as an SVG document.

    `contents` says what a content is about, `conditions` what a rule asks, both by id. With `counts` ways
    that nobody took are dashed and grey.
    """
    return _Picture(program, contents or {}, conditions or {}, counts).drawn()


@dataclass(frozen=True)
class _Line:
    """All ways from one box to another."""

    names: tuple[str, ...]
    count: int | None


class _Picture:
    def __init__(
        self,
        program: Program,
        contents: Mapping[str, str],
        conditions: Mapping[str, str],
        counts: Counts | None,
    ) -> None:
        self._program = program
        self._contents = contents
        self._conditions = conditions
        self._counts = counts
        self._texts: dict[str, list[str]] = {}
        self._kinds: dict[str, str] = {}
        self._lines: dict[tuple[str, str], _Line] = {}
        self._taken: list[tuple[float, float, float, float]] = []
        """Where names of ways stand already: left, top, right, bottom."""
        self._arriving: Counter[str] = Counter()
        self._leaving: Counter[str] = Counter()
        self._most = 0
        """What the thickest way counts."""

    def drawn(self) -> str:
        sizes = self._boxes()
        self._arriving = Counter(to for _, to in self._lines)
        self._leaving = Counter(origin for origin, _ in self._lines)
        self._most = max((each.count or 0 for each in self._lines.values()), default=0)
        layout = lay_out(sizes, list(self._lines))
        head = _wrapped(self._program.title or self._program.journey, 640.0, _TITLE)
        top = _MARGIN + len(head) * 24.0 + 14.0
        foot = list(self._endings())
        widest = max([layout.size.width, *(_width(line, _SMALL) for line in foot), *map(_wide, head)])
        aside = _BACK + 14.0 * len(layout.back) + 24.0 if layout.back else 0.0
        width = widest + 2 * _MARGIN + 2 * aside
        height = top + layout.size.height + (len(foot) * _LINE + 22.0 if foot else 0.0) + _MARGIN
        left = _MARGIN + aside + max(0.0, (widest - layout.size.width) / 2)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" font-family="{escape(_FONT)}" font-size="{_TEXT:g}" '
            f'role="img"><title>{escape(self._program.title or self._program.journey)}</title>',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="#5f6b7a"/></marker></defs>',
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
            *(
                f'<text x="{_MARGIN:g}" y="{_MARGIN + 14 + number * 24:g}" font-size="{_TITLE:g}" '
                f'font-weight="600" fill="#1b2430">{escape(line)}</text>'
                for number, line in enumerate(head)
            ),
            f'<g transform="translate({left:.1f} {top:.1f})">',
        ]
        named: list[str] = []
        for way, line in self._lines.items():
            path, at = self._course(layout, way)
            parts.append(self._stroke(path, line))
            named += self._named(line, at)
        parts += [self._box(name, box) for name, box in layout.boxes.items()]
        parts += [*named, "</g>"]
        y = top + layout.size.height + 30.0
        for said in foot:
            parts.append(
                f'<text x="{_MARGIN:g}" y="{y:.1f}" font-size="{_SMALL:g}" fill="#44546a">'
                f"{escape(said)}</text>"
            )
            y += _LINE
        return "\n".join([*parts, "</svg>"]) + "\n"

    # What there is

    def _boxes(self) -> dict[str, Size]:
        program = self._program
        entered = program.entry.words or " or ".join(program.entry.events)
        self._add_box(_ENTER, "enter", ["enter", entered])
        sizes = {_ENTER: self._size(_ENTER)}
        self._add_way(_ENTER, program.first, "", None)
        for step in program.steps.values():
            kind, detail = words_of(step)
            lines = [f"{kind} {step.id}", detail]
            if isinstance(step, Send) and step.content in self._contents:
                lines.append(f"“{self._contents[step.content]}”")
            self._add_box(step.id, kind, lines)
            sizes[step.id] = self._size(step.id)
            for number, (name, to) in enumerate(exits(step), 1):
                if to is None and kind == "stop":
                    continue
                self._add_way(step.id, to, self._way_name(step, number, name), self._case(step, number))
                if to is None:
                    sizes[_END + step.id] = Size(16.0, 16.0)
        return sizes

    def _add_box(self, name: str, kind: str, lines: Sequence[str]) -> None:
        if self._counts is not None:
            visits = self._counts.went.get((None, self._program.first), 0)
            visits = visits if name == _ENTER else self._counts.visits.get(name, 0)
            lines = [f"{lines[0]} · {visits:,}", *lines[1:]]
        self._kinds[name] = kind
        self._texts[name] = [part for line in lines if line for part in _wrapped(line, _INSIDE, _TEXT)]

    def _size(self, name: str) -> Size:
        lines = self._texts[name]
        width = max(_width(line, _TEXT) * (1.06 if number else _BOLDER) for number, line in enumerate(lines))
        return Size(max(width + 2 * _PADDING, 96.0), len(lines) * _LINE + 2 * _PADDING - 4)

    def _add_way(self, one: str, to: StepId | None, name: str, case: int | str | None) -> None:
        other = to if to is not None else _END + one
        count = None
        known = self._lines.get((one, other))
        if self._counts is not None:
            if case != "":
                assert not isinstance(case, str), "the empty text alone stands for no case"
            origin = None if one == _ENTER else one
            count = self._counts.went.get((origin, to), 0)
        names = (*known.names, name) if known is not None else (name,)
        self._lines[one, other] = _Line(tuple(each for each in names if each), count)

    def _case(self, step: Step, number: int) -> int | str | None:
        if not isinstance(step, Branch):
            return ""
        return number if number <= len(step.cases) else None

    def _way_name(self, step: Step, number: int, name: str) -> str:
        case = step.cases[number - 1][0] if isinstance(step, Branch) and number <= len(step.cases) else ""
        said = self._conditions.get(case, name)
        taken = ""
        if self._counts is not None and isinstance(step, Branch):
            told = self._counts.cases.get((step.id, number if case else None), 0)
            taken = f" {told:,}" if sum(to == step.cases[0][1] for _, to in exits(step)) > 1 else ""
        return f"{said}{taken}"

    def _endings(self) -> Iterator[str]:
        program = self._program
        told = self._counts.left if self._counts is not None else None
        ends = []
        for leave in program.leaves:
            what = " or ".join(leave.events)
            asked = self._conditions.get(leave.rule or "", "condition" if leave.rule and not what else "")
            ends.append((f"leave {leave.id}", ", ".join(part for part in (what, asked) if part)))
        if program.goal is not None:
            ends.append(("goal", " or ".join(program.goal.events)))
        known = {name for name, _ in ends}
        ends += [(name, "") for name in sorted(told or ()) if name not in known]
        for name, what in ends:
            number = f" · {told.get(name, 0):,}" if told is not None else ""
            yield f"at any time: {name}{': ' if what else ''}{what}{number}"

    # How it looks

    def _box(self, name: str, box: Box) -> str:
        if name.startswith(_END):
            return (
                f'<g transform="translate({box.x:.1f} {box.top + 8:.1f})" fill="#5f6b7a">'
                '<circle r="7" fill="#fff" stroke="#5f6b7a" stroke-width="1.5"/><circle r="3.5"/></g>'
            )
        kind = self._kinds[name]
        fill, ink = _COLOURS.get(kind, _PLAIN)
        never = self._counts is not None and name != _ENTER and not self._counts.visits.get(name, 0)
        if never:
            fill, ink = "#fafafa", "#8a8f98"
        left = box.x - box.size.width / 2
        round_ = (
            box.size.height / 2 if kind in ("enter", "stop") else 14.0 if kind.startswith("wait") else 5.0
        )
        dashes = ' stroke-dasharray="5 4"' if never else ""
        lines = "".join(
            f'<tspan x="{box.x:.1f}" dy="{_LINE if number else 0:g}"{"" if number else _BOLD}>'
            f"{escape(line)}</tspan>"
            for number, line in enumerate(self._texts[name])
        )
        return (
            f'<g><rect x="{left:.1f}" y="{box.top:.1f}" width="{box.size.width:.1f}" '
            f'height="{box.size.height:.1f}" rx="{min(round_, box.size.height / 2):g}" fill="{fill}" '
            f'stroke="{ink}" stroke-width="1.3"{dashes}/>'
            f'<text x="{box.x:.1f}" y="{box.top + _PADDING + 10:.1f}" text-anchor="middle" '
            f'fill="{ink if never else "#1b2430"}">{lines}</text></g>'
        )

    def _course(self, layout: Layout, way: tuple[str, str]) -> tuple[str, tuple[float, float]]:
        """The path of a way, and where its name stands best."""
        if way in layout.back or way[0] == way[1]:
            return self._course_back(layout, way)
        points = layout.ways[way]
        path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
        for number in range(0, len(points) - 1, 2):
            (x1, y1), (x2, y2) = points[number], points[number + 1]
            bend = (y2 - y1) * 0.5
            path += f"C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
            if number + 2 < len(points):
                path += f"L{points[number + 2][0]:.1f} {points[number + 2][1]:.1f}"
        arriving, leaving = self._arriving[way[1]], self._leaving[way[0]]
        share = 0.3 if arriving > leaving else 0.66 if leaving > 1 else 0.45
        (x1, y1), (x2, y2) = points[0], points[1]
        smooth = share * share * (3 - 2 * share)
        return path, (x1 + (x2 - x1) * smooth, y1 + (y2 - y1) * share)

    def _course_back(self, layout: Layout, way: tuple[str, str]) -> tuple[str, tuple[float, float]]:
        """Round all boxes, on the side where fewer of them are in the way."""
        ends = [layout.boxes[name] for name in way]
        rows = [box for end in ends for box in layout.boxes.values() if box.top == end.top and box != end]
        to_right = sum(any(box.x > end.x for end in ends if end.top == box.top) for box in rows)
        side = 1 if to_right * 2 <= len(rows) else -1
        number = sorted(layout.back).index(way) if way in layout.back else 0
        lane = -_BACK if side < 0 else layout.size.width + _BACK
        lane += side * number * 14
        (x1, y1), (x2, y2) = (
            (end.x + side * end.size.width / 2, end.top + end.size.height / 2) for end in ends
        )
        y2 += 5 * number
        bend = 9 * side
        path = (
            f"M{x1:.1f} {y1:.1f}H{lane - bend:.1f}Q{lane:.1f} {y1:.1f} {lane:.1f} {y1 - 9:.1f}"
            f"V{y2 + 9:.1f}Q{lane:.1f} {y2:.1f} {lane - bend:.1f} {y2:.1f}H{x2:.1f}"
        )
        return path, (lane - side * 20, y1 - 20)

    def _stroke(self, path: str, line: _Line) -> str:
        if line.count is None or line.count:
            width = 1.4 if line.count is None else 1.2 + 3.8 * line.count / max(self._most, 1)
            return (
                f'<path d="{path}" fill="none" stroke="#5f6b7a" stroke-opacity=".75" '
                f'stroke-width="{width:.1f}"{_TIP if width < 2 else ""}/>'
            )
        return (
            f'<path d="{path}" fill="none" stroke="#a9afb8" stroke-width="1.2" stroke-dasharray="4 4"{_TIP}/>'
        )

    def _named(self, line: _Line, at: tuple[float, float]) -> list[str]:
        whole = " / ".join(line.names)
        rows = _wrapped(whole, _LABEL, _SMALL)
        if len(rows) > _ROWS:
            rows = [*rows[: _ROWS - 1], f"{rows[_ROWS - 1]} …"]
        if line.count is not None:
            rows.append(f"{line.count:,}" if line.count else "never")
        if not rows:
            return []
        width = max(_width(row, _SMALL) for row in rows) + 8
        height = len(rows) * 14.0 + 3
        x, y = at[0], self._free(at[0], at[1], width, height)
        colour = "#a0404a" if line.count == 0 else "#44546a"
        spans = "".join(
            f'<tspan x="{x:.1f}" dy="{14 if number else 0}"'
            f"{_BOLD if line.count and number == len(rows) - 1 else ''}>{escape(row)}</tspan>"
            for number, row in enumerate(rows)
        )
        told = f"<title>{escape(whole)}</title>" if whole else ""
        return [
            f'<g>{told}<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" rx="3" fill="#fff" fill-opacity=".88"/><text x="{x:.1f}" '
            f'y="{y - height / 2 + 12:.1f}" text-anchor="middle" font-size="{_SMALL:g}" fill="{colour}">'
            f"{spans}</text></g>"
        ]

    def _free(self, x: float, y: float, width: float, height: float) -> float:
        """The height nearest to `y` at which a name covers no other one."""
        for shift in (0, -12, 12, -20, 20, -28, 28):
            if abs(shift) > BETWEEN_LAYERS / 2:
                break
            left, top = x - width / 2, y + shift - height / 2
            box = (left, top, left + width, top + height)
            if all(not _overlap(box, other) for other in self._taken):
                self._taken.append(box)
                return y + shift
        return y


_BOLD = ' font-weight="600"'
_TIP = ' marker-end="url(#tip)"'


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _wide(line: str) -> float:
    return _width(line, _TITLE)


def _width(text: str, size: float) -> float:
    """About how wide a text is; fonts differ by a few in a hundred."""
    return sum(size if east_asian_width(letter) in "WF" else size * _of_latin(letter) for letter in text)


def _of_latin(letter: str) -> float:
    if letter in "il.,:;'|! ":
        return 0.3
    return 0.66 if letter.isupper() or letter in "mw—…%" else 0.56


def _wrapped(text: str, width: float, size: float) -> list[str]:
    """The text in lines of at most this width: broken between words, Chinese anywhere, long names where they
    must be."""
    lines: list[str] = []
    line = ""
    for piece in _pieces(text):
        if _width(line + piece, size) > width and line.strip():
            lines.append(line.strip())
            line = ""
        line = (line + piece) if line else piece.lstrip()
        while _width(line, size) > width:
            fits = next(n for n in range(1, len(line) + 1) if _width(line[:n], size) > width) - 1
            lines.append(line[: max(fits, 1)])
            line = line[max(fits, 1) :]
    return [*lines, line.strip()] if line.strip() else lines


def _pieces(text: str) -> Iterator[str]:
    """Words with the space before them, Chinese letters one by one; `_` and `/` end a piece."""
    piece = ""
    for letter in text.replace("\n", " "):
        if east_asian_width(letter) in "WF":
            if piece:
                yield piece
            yield letter
            piece = ""
        elif letter == " ":
            if piece:
                yield piece
            piece = " "
        else:
            piece += letter
            if letter in "_/":
                yield piece
                piece = ""
    if piece:
        yield piece

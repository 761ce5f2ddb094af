"""Texts from templates: Jinja2 in a sandbox, cut down to what a message needs, with bounded work.

Allowed are output, `if`, `for`, comparisons, arithmetic and the filters below. A fact that is not known is a
failure that names the fact, never an empty gap in a message.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import jinja2
from jinja2 import nodes
from jinja2.filters import do_round
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from engine.plugin import (
    ContentSpec,
    Draft,
    GenerateRequest,
    Generator,
    GeneratorFailed,
    Provenance,
    hookimpl,
)

MOST_OUTPUT = 100_000
MOST_DIGITS = 15
MOST_SOURCE = 100_000
MOST_KNOWN = 2_048
"""Sources kept compiled."""
PARTS = ("body", "subject", "call_to_action")
MOST_ROUNDS = 1_000
"""Rounds of all loops of one text together."""

KEPT_FILTERS = (
    *("abs", "capitalize", "count", "d", "default", "first", "float", "int", "join", "last", "length"),
    *("lower", "round", "title", "trim", "truncate", "upper", "wordcount"),
)
KEPT_TESTS = (
    *("defined", "undefined", "none", "number", "string", "even", "odd", "in", "true", "false"),
    *("==", "!=", "<", "<=", ">", ">=", "eq", "ne", "lt", "le", "gt", "ge", "mapping", "sequence"),
)
LOOP_FACTS = frozenset({"index", "index0", "first", "last", "length", "revindex"})

# Without assignment, macros and calls a text can only grow with its source and its loops, which are counted.
KEPT_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For),
    *(nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.List, nodes.Tuple),
    *(nodes.Filter, nodes.Keyword, nodes.Test, nodes.Compare, nodes.Operand, nodes.CondExpr, nodes.Concat),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod),
)
ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "//": "divide", "%": "divide"}
INNER_NAMES = frozenset({"self", "super", "caller"})
BUDGET = "rounds left"  # no template can spell a name with a space

SYMBOLS = {"CNY": "¥", "USD": "$", "EUR": "€", "GBP": "£", "HKD": "HK$", "JPY": "¥"}
WHOLE_UNITS = frozenset({"JPY", "KRW", "VND"})


class _Facts(Mapping[str, Any]):
    """Facts that know their path, so that a missing one can be named; one without a value is missing."""

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self._values = values
        self.path = path

    def __getitem__(self, key: str) -> Any:
        value = self._values[key]
        if value is None:
            raise KeyError(key)
        return _with_path(value, self.path_of(key))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __str__(self) -> str:
        raise GeneratorFailed(f"{self.path or 'that'} is a group of facts, not a text")

    def present(self) -> dict[str, Any]:
        return {name: self[name] for name, value in self._values.items() if value is not None}

    def path_of(self, key: object) -> str:
        return f"{self.path}.{key}" if self.path else str(key)


class _List(tuple[Any, ...]):
    path: str = ""

    def __str__(self) -> str:
        raise GeneratorFailed(f"{self.path or 'that'} is a list, not a text; use |join")


def _with_path(value: Any, path: str) -> Any:
    if isinstance(value, Mapping):
        return _Facts(value, path)
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        ordered = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        items = _List(_with_path(item, f"{path}[{number}]") for number, item in enumerate(ordered))
        items.path = path
        return items
    return value


def _whole(value: Any) -> Any:
    """20.0 reads 20: whether a whole number came as 20 or 20.0 is the sender's accident."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


class _Sandbox(ImmutableSandboxedEnvironment):
    """Facts are reached by name only; no attribute and no method of any value is."""

    intercepted_binops = frozenset(ARITHMETIC)

    def __init__(self) -> None:
        super().__init__(undefined=jinja2.StrictUndefined, autoescape=False, finalize=_whole)
        self.globals = {}
        self.filters = {name: self.filters[name] for name in KEPT_FILTERS}
        self.filters.update(money=money, date=date, bounded=_bounded, round=_rounded)
        self.tests = {name: self.tests[name] for name in KEPT_TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext) and attribute in LOOP_FACTS:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, _Facts) and isinstance(argument, str):
            return obj[argument] if obj.get(argument) is not None else self._missing(obj.path_of(argument))
        if isinstance(obj, _List | tuple | list) and isinstance(argument, int):
            in_range = -len(obj) <= argument < len(obj)
            return obj[argument] if in_range else self._missing(f"{getattr(obj, 'path', 'list')}[{argument}]")
        if isinstance(obj, Undefined):
            return obj[argument]  # raises, and names what was missing first
        return self._missing(f"{argument} of a {type(obj).__name__}")

    def _missing(self, path: str) -> Undefined:
        return self.undefined(hint=f"{path} is not known", name=path)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        # "x" * 10**9 and "%999999999d" % 1 would be answered with all the memory there is.
        for operand in (left, right):
            if isinstance(operand, Undefined):
                str(operand)  # raises, and names it
            if isinstance(operand, bool) or not isinstance(operand, int | float | Decimal):
                raise GeneratorFailed(
                    f"cannot {ARITHMETIC[operator]} a {type(operand).__name__}; use ~ to join"
                )
        if isinstance(left, Decimal) != isinstance(right, Decimal):
            left, right = Decimal(str(left)), Decimal(str(right))
        return super().call_binop(context, operator, left, right)


@jinja2.pass_context
def _bounded(context: Context, value: Any) -> list[Any]:
    """What a loop runs over, paid for from the text's budget of rounds."""
    if isinstance(value, Undefined):
        str(value)  # raises, and names it
    if not isinstance(value, tuple | list):
        raise GeneratorFailed(f"cannot loop over a {type(value).__name__}")
    budget = context.parent[BUDGET]
    budget[0] -= len(value)
    if budget[0] < 0:
        raise GeneratorFailed(f"its loops take more than {MOST_ROUNDS} rounds")
    return list(value)


def _rounded(value: Any, precision: Any = 0, method: Any = "common") -> Any:
    """As Jinja rounds; of many digits it would be answered with all the time there is."""
    if not isinstance(precision, int) or abs(precision) > MOST_DIGITS:
        raise GeneratorFailed(f"round: not a number of digits up to {MOST_DIGITS}")
    return do_round(value, precision, method)


def money(value: Any, currency: str = "CNY") -> str:
    """`1234.5|money` is ¥1,234.50; currencies without a symbol here stand behind the amount."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise GeneratorFailed("money: not an amount") from None
    if not amount.is_finite() or abs(amount) >= Decimal(10) ** 15:
        raise GeneratorFailed("money: not an amount")
    text = f"{abs(amount):,.{0 if currency in WHOLE_UNITS else 2}f}"
    sign = "-" if amount < 0 and text.strip("0.,") else ""
    return f"{sign}{SYMBOLS[currency]}{text}" if currency in SYMBOLS else f"{sign}{text} {currency}"


def date(value: Any, pattern: str = "%Y-%m-%d", zone: str = "UTC") -> str:
    """`event.at|date("%m月%d日", contact.timezone)`: an instant or ISO text as the day and hour of a zone."""
    try:
        moment = value if isinstance(value, dt.date) else dt.datetime.fromisoformat(str(value))
        if isinstance(moment, dt.datetime):
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=dt.UTC)
            moment = moment.astimezone(ZoneInfo(zone))
        return moment.strftime(pattern[:100])
    except (ValueError, TypeError, OverflowError, KeyError, OSError):
        raise GeneratorFailed("date: not a moment, or not a time zone") from None


SANDBOX = _Sandbox()

MOST_QUICK_SOURCE = 4_000
MOST_QUICK_PARTS = 200
QUICK_FILTERS = frozenset(
    {"abs", "capitalize", "d", "date", "default", "first", "float", "last", "length", "lower", "money"}
    | {"title", "trim", "upper"}
)
"""Filters that take no longer than it takes to read what they are given; `int` can make long numbers."""
_QUICK: dict[str, bool] = {}
"""Sources that were filled in here before -> whether that takes no time."""


def _is_quick(source: str, tree: nodes.Template) -> bool:
    """Whether the text grows with nothing but its facts: it inserts them and chooses between parts."""
    found = list(tree.find_all(nodes.Node))
    return (
        len(source) <= MOST_QUICK_SOURCE
        and len(found) <= MOST_QUICK_PARTS
        and not any(isinstance(node, nodes.For) for node in found)
        and all(node.name in QUICK_FILTERS for node in found if isinstance(node, nodes.Filter))
    )


class _Read(NamedTuple):
    """A source that was read."""

    template: jinja2.Template
    is_quick: bool
    """Whether it is filled in no time."""
    plain: str | None
    """Its text, where that is the same whatever the facts are."""


def _plain(tree: nodes.Template) -> str | None:
    inserted = [
        part for node in tree.body for part in (node.nodes if isinstance(node, nodes.Output) else [node])
    ]
    texts = [part.data for part in inserted if isinstance(part, nodes.TemplateData)]
    return "".join(texts) if len(texts) == len(inserted) else None


@lru_cache(maxsize=MOST_KNOWN)
def _compiled(source: str) -> _Read:
    """The template, ready to be filled."""
    if len(source) > MOST_SOURCE:
        raise GeneratorFailed(f"the template is longer than {MOST_SOURCE} characters")
    try:
        tree = SANDBOX.parse(source)
        for node in tree.find_all(nodes.Node):
            if not isinstance(node, KEPT_NODES):
                raise GeneratorFailed(
                    f"line {node.lineno}: {type(node).__name__.lower()} is not allowed here"
                )
            if isinstance(node, nodes.Name) and node.name in INNER_NAMES:
                raise GeneratorFailed(f"line {node.lineno}: {node.name} is not allowed here")
        is_quick, plain = _is_quick(source, tree), _plain(tree)
        for loop in tree.find_all(nodes.For):
            if loop.recursive:
                raise GeneratorFailed(f"line {loop.lineno}: a recursive loop is not allowed here")
            loop.iter = nodes.Filter(loop.iter, "bounded", [], [], None, None, lineno=loop.lineno)
        template = SANDBOX.template_class.from_code(SANDBOX, SANDBOX.compile(tree), {})
        return _Read(template, is_quick, plain)
    except jinja2.TemplateSyntaxError as error:
        raise GeneratorFailed(f"line {error.lineno}: {error.message}") from None
    except RecursionError:
        raise GeneratorFailed("the template is nested too deeply") from None


def render(source: str, facts: Mapping[str, Any]) -> str:
    """The text; GeneratorFailed names what is wrong, and never a value."""
    written, size = [], 0
    try:
        template, is_quick, plain = _compiled(source)
        if len(_QUICK) >= MOST_KNOWN and source not in _QUICK:
            _QUICK.clear()
        _QUICK[source] = is_quick
        if plain is not None and len(plain) <= MOST_OUTPUT:
            return plain
        names = _Facts(facts)
        for piece in template.generate({**names.present(), BUDGET: [MOST_ROUNDS]}):
            size += len(piece)
            if size > MOST_OUTPUT:
                raise GeneratorFailed(f"the text is longer than {MOST_OUTPUT} characters")
            written.append(piece)
    except jinja2.UndefinedError as error:
        raise GeneratorFailed(str(error).replace("is undefined", "is not known")) from None
    except (
        jinja2.TemplateError,
        ArithmeticError,
        TypeError,
        ValueError,
        LookupError,
        RecursionError,
    ) as error:
        # Their texts may quote a value.
        raise GeneratorFailed(f"{type(error).__name__} while filling in") from None
    return "".join(written)


class TemplateGenerator:
    """Fills the content's texts with facts."""

    name = "template"

    def immediate(self, content: ContentSpec) -> bool:
        """Whether its texts are known to be filled in no time: they have been read before, and none loops."""
        return all(_QUICK.get(getattr(content, part), False) for part in PARTS)

    def generate(self, request: GenerateRequest) -> Draft:
        content = request.content
        return Draft(
            body=_part(content, "body", request.facts),
            subject=_part(content, "subject", request.facts),
            call_to_action=_part(content, "call_to_action", request.facts),
            locale=content.locale,
            provenance=Provenance(self.name),
        )


def _part(content: ContentSpec, part: str, facts: Mapping[str, Any]) -> str:
    try:
        return render(getattr(content, part), facts)
    except GeneratorFailed as error:
        raise GeneratorFailed(f"content {content.id!r} ({content.locale}), {part}: {error}") from None


@hookimpl
def register_generators() -> Iterable[Generator]:
    return [TemplateGenerator()]

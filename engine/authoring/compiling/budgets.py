"""Compiles budgets: amounts become whole numbers of the smallest unit that is counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction

from engine.authoring.checking.references import References
from engine.authoring.compiling.calendars import WEEKDAYS
from engine.authoring.compiling.catalogues import Catalogues
from engine.authoring.compiling.conditions import Rulebook
from engine.authoring.compiling.returns import check_returns, compile_returns
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.budgets import BudgetEntry, ShareEntry
from engine.authoring.models.channels import ChannelEntry
from engine.authoring.models.contents import ContentEntry
from engine.authoring.models.generators import GeneratorEntry
from engine.authoring.models.limits import CalendarEntry
from engine.authoring.models.workspace import WorkspaceFile
from engine.authoring.reading.validating import known_list, nearest
from engine.errors import Problem
from engine.gate.budgets import WHOLE, Budget, Pace, Scope, Share
from engine.gate.model import CalendarUnit, CalendarWindow, WhenFull
from engine.gate.pacing import slots_in, span_of
from engine.journeys.localtime import MIDNIGHT, clock_moment, zone_of
from engine.rules.condition import YamlPath
from engine.rules.duration import format_duration


def compile_budgets(found: Definitions, catalogues: Catalogues, rulebook: Rulebook) -> tuple[Budget, ...]:
    """The budgets in the order of their files; the rulebook notes what is wrong with their conditions."""
    assert found.workspace is not None, "a bundle has a workspace"
    workspace = found.workspace.item
    return tuple(_budget(each, found, workspace, catalogues, rulebook) for each in found.budgets.values())


def check_budgets(found: Definitions, references: References) -> Iterator[Problem]:
    """Names that lead nowhere, amounts that cannot be counted, and shares that are more than there is."""
    for budget in found.budgets.values():
        entry = budget.item
        for noun, key in (("purpose", "purposes"), ("channel", "channels"), ("journey", "journeys")):
            for number, name in enumerate(getattr(entry.pays_for, key)):
                yield from references.check(noun, name, budget, ("pays_for", key, number))
        for place, share in enumerate(entry.shares):
            for number, name in enumerate(share.journeys):
                yield from references.check("journey", name, budget, ("shares", place, "journeys", number))
        yield from _exempt(budget, found)
        yield from _parts(budget)
        yield from _slots(budget, found)
        timed = _timed(entry, found.workspace.item) if found.workspace is not None else None
        yield from check_returns(budget, timed, found, references)
        yield from _return_money(budget, found)
        if entry.currency is not None:
            yield from _money(found, budget, entry.currency, ("currency",), {"limit": entry.limit})
            if entry.cost is not None:
                yield from _money(found, budget, entry.currency, (), {"cost": entry.cost})
    users: list[Defined[ChannelEntry] | Defined[ContentEntry]]
    users = [*found.channels.values(), *found.contents.values()]
    for user in users:
        for currency, amount in user.item.costs.items():
            yield from _money(found, user, currency, ("costs", currency), {"": amount})
    for generator in found.generators.values():
        # Of its amounts there are more decimals than any currency has: a text costs next to nothing.
        if (price := generator.item.price) is not None:
            yield from _money(found, generator, price.currency, ("price", "currency"), {})


def units(amount: float, decimals: int) -> int | None:
    """The amount in smallest units; None when it is finer than that."""
    exact = Decimal(str(amount)).scaleb(decimals)
    return int(exact) if exact == exact.to_integral_value() else None


def _return_money(budget: Defined[BudgetEntry], found: Definitions) -> Iterator[Problem]:
    entry = budget.item.return_
    if entry is None:
        return
    if entry.currency is not None and entry.currency != budget.item.currency:
        yield from _money(found, budget, entry.currency, ("return", "currency"), {})
    if entry.least_spent is not None and budget.item.currency is not None:
        at: YamlPath = ("return", "least_spent")
        yield from _money(found, budget, budget.item.currency, at, {"": entry.least_spent}, is_named=False)


def _exempt(budget: Defined[BudgetEntry], found: Definitions) -> Iterator[Problem]:
    for number, name in enumerate(budget.item.pays_for.purposes):
        purpose = found.purposes.get(name)
        if purpose is not None and purpose.item.kind in {"transactional", "legal"}:
            message = f"'{name}' is {purpose.item.kind}: such messages are paid from no budget"
            at: YamlPath = ("pays_for", "purposes", number)
            yield budget.problem("RS055", message, "name a marketing purpose", at=at)


def _parts(budget: Defined[BudgetEntry]) -> Iterator[Problem]:
    total = sum(_millionths(share) for share in budget.item.shares)
    if total > WHOLE:
        message = f"the shares are {Decimal(total) / (WHOLE // 100):f}% together"
        yield budget.problem("RS222", message, "let them be 100% at the most", at=("shares",))


def _slots(budget: Defined[BudgetEntry], found: Definitions) -> Iterator[Problem]:
    if found.workspace is None:
        return
    compiled = _timed(budget.item, found.workspace.item)
    zone = zone_of(compiled.zone, compiled.zone)
    starts = compiled.starts or date(2026, 1, 1)
    span = span_of(compiled, clock_moment(starts, MIDNIGHT, zone))
    if span is not None and slots_in(compiled, *span) < 2:
        every = format_duration(budget.item.every)
        message = f"the window is no longer than {every}, so nothing is spread over it"
        yield budget.problem("RS223", message, "use a shorter 'every'", at=("every",))


def _money(
    found: Definitions,
    user: Defined[BudgetEntry] | Defined[ChannelEntry] | Defined[ContentEntry] | Defined[GeneratorEntry],
    currency: str,
    at: YamlPath,
    amounts: Mapping[str, float],
    *,
    is_named: bool = True,
) -> Iterator[Problem]:
    if found.workspace is None:
        return
    known = found.workspace.item.currencies
    declared = known.get(currency)
    if declared is None:
        if at and is_named:
            hint = nearest(currency, known) or (
                known_list(known)
                if known
                else f"add to wayline.yaml: currencies: {{{currency}: {{decimals: 2}}}}"
            )
            yield user.problem("RS220", f"'{currency}' is not a currency of this workspace", hint, at=at)
        return
    for key, amount in amounts.items():
        if units(amount, declared.decimals) is None:
            message = f"{amount} has more decimals than {currency} is counted with ({declared.decimals})"
            hint = "round it, or let the currency in wayline.yaml have more 'decimals'"
            yield user.problem("RS221", message, hint, at=(key,) if key else at)


def _millionths(share: ShareEntry) -> int:
    return int(Decimal(str(share.share)) * WHOLE)


def _timed(entry: BudgetEntry, workspace: WorkspaceFile) -> Budget:
    """The budget as far as it is about time."""
    window, zone = entry.window, workspace.timezone
    if window is not None and window.timezone != "workspace":
        zone = window.timezone
    return Budget(
        id=entry.id,
        limit=0,
        zone=zone,
        window=_window(window, zone) if window is not None else None,
        starts=date.fromisoformat(entry.starts) if entry.starts is not None else None,
        ends=date.fromisoformat(entry.ends) if entry.ends is not None else None,
        every=entry.every,
    )


def _window(entry: CalendarEntry, zone: str) -> CalendarWindow:
    starts = WEEKDAYS.index(entry.week_starts or "mon") + 1
    return CalendarWindow(CalendarUnit(entry.calendar), zone, starts)


def _budget(
    budget: Defined[BudgetEntry],
    found: Definitions,
    workspace: WorkspaceFile,
    catalogues: Catalogues,
    rulebook: Rulebook,
) -> Budget:
    entry, place, timed = budget.item, budget.place(), _timed(budget.item, workspace)
    currency = entry.currency
    declared = workspace.currencies.get(currency) if currency is not None else None
    decimals = declared.decimals if declared is not None else 0

    def counted(amount: float | None) -> int:
        return (units(amount, decimals) or 0) if amount is not None else 0

    def costs(
        defined: Mapping[str, Defined[ChannelEntry]] | Mapping[str, Defined[ContentEntry]],
    ) -> dict[str, int]:
        if currency is None:
            return {}
        found_costs = {name: counted(each.item.costs.get(currency)) for name, each in defined.items()}
        return {name: cost for name, cost in found_costs.items() if cost}

    return Budget(
        id=entry.id,
        limit=counted(entry.limit),
        zone=timed.zone,
        pays_for=Scope(entry.pays_for.purposes, entry.pays_for.channels, entry.pays_for.journeys),
        currency=currency,
        decimals=decimals,
        cost=1 if currency is None else counted(entry.cost),
        channel_costs=costs(found.channels),
        content_costs=costs(found.contents),
        window=timed.window,
        starts=timed.starts,
        ends=timed.ends,
        pace=Pace(entry.pace),
        every=entry.every,
        shares=tuple(
            share
            for number, each in enumerate(entry.shares)
            if (share := _share(each, budget, number, catalogues, rulebook)) is not None
        ),
        when_ahead=WhenFull(entry.when_ahead),
        when_spent=WhenFull(entry.when_spent),
        returns=compile_returns(entry, counted(_least(entry)), _decimals(entry, workspace)),
        file=place.file,
        line=place.line,
    )


def _least(entry: BudgetEntry) -> float | None:
    return entry.return_.least_spent if entry.return_ is not None else None


def _decimals(entry: BudgetEntry, workspace: WorkspaceFile) -> int:
    """Of the currency in which what is spent comes back."""
    own = entry.return_.currency if entry.return_ is not None else None
    declared = workspace.currencies.get(own or entry.currency or "")
    return declared.decimals if declared is not None else 0


def _share(
    entry: ShareEntry,
    budget: Defined[BudgetEntry],
    number: int,
    catalogues: Catalogues,
    rulebook: Rulebook,
) -> Share | None:
    condition = None
    if entry.when is not None:
        at: YamlPath = ("shares", number, "when")
        condition = rulebook.read(budget, at, entry.when, catalogues.contact)
        if condition is None:
            return None
        # Three answers are asked of it, which the matcher does not give: it is no rule.
        rulebook.note(budget, at, condition, catalogues.contact, "budget")
    weight = Fraction(str(entry.weight))
    return Share(entry.id, _millionths(entry), weight, entry.journeys, condition)

"""What operators do during a test: to plans, breakers and budgets, and to contacts who are one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from engine.authoring.models.acts import ActEntry
from engine.authoring.models.rule_test import RuleTestEntry
from engine.authoring.rule_tests.ground import Ground
from engine.authoring.rule_tests.tests import Act, Halting, Join, Trip, Turn
from engine.gate.budgets import OTHERS
from engine.risk.model import Breaker
from engine.rules.condition import YamlPath

IMPOSSIBLE = "RS134"


@dataclass
class _Board:
    """Which plans are on while the acts of one test go by."""

    on: dict[str, datetime] = field(default_factory=dict)
    """Plan -> when it ends by itself."""
    turns: list[Act] = field(default_factory=list)

    def pass_time(self, moment: datetime) -> None:
        """Let plans end that are over by then."""
        for name, ends in sorted(self.on.items(), key=lambda item: (item[1], item[0])):
            if ends <= moment:
                self.switch_off(name, ends)

    def switch_on(self, name: str, at: datetime, ends: datetime) -> None:
        self.on[name] = ends
        self._turn(at)

    def switch_off(self, name: str, at: datetime) -> None:
        del self.on[name]
        self._turn(at)

    def _turn(self, at: datetime) -> None:
        self.turns.append(Turn(at, tuple(sorted(self.on))))


def read_acts(
    ground: Ground,
    entry: RuleTestEntry,
    at: YamlPath,
    start: datetime,
    until: datetime,
    people: Collection[str],
) -> tuple[Act, ...]:
    """What is done, in order, the ends that plans come to by themselves included; problems go to the ground.

    Operators live by the workspace's clock. An act that cannot be done is left out.
    """
    zone = ground.bundle.workspace.timezone
    timed = []
    for number, act in enumerate(entry.acts):
        here = (*at, "acts", number)
        moment = ground.moment(act.at, start, zone)
        if not start <= moment <= until:
            message = f"'{act.at.text}' lies outside the test, so it is never done"
            ground.note(
                "RS089", message, "say a moment within the test, or let it last longer", (*here, "at")
            )
            continue
        timed.append((moment, number, act, here))
    board = _Board()
    for moment, _, act, here in sorted(timed, key=lambda item: item[:2]):
        board.pass_time(moment)
        if act.plan_on is not None:
            _switch_on(ground, board, act, act.plan_on, moment, start, here)
        elif act.plan_off is not None:
            _switch_off(ground, board, act.plan_off, moment, here)
        elif act.merge is not None:
            board.turns += _joined(ground, act.merge, moment, people, (*here, "merge"))
        elif act.halt is not None or act.resume is not None:
            board.turns += _halted(ground, act, moment, here)
        else:
            board.turns += _tripped(ground, act, moment, here)
    board.pass_time(until)
    return tuple(board.turns)


def _switch_on(
    ground: Ground,
    board: _Board,
    act: ActEntry,
    name: str,
    moment: datetime,
    start: datetime,
    here: YamlPath,
) -> None:
    plan = ground.bundle.plans.get(name)
    if plan is None:
        _unknown(ground, "plan", name, ground.bundle.plans, (*here, "plan_on"))
        return
    zone = ground.bundle.workspace.timezone
    latest = plan.latest_end(moment, ZoneInfo(zone))
    ends = ground.moment(act.until, start, zone) if act.until is not None else latest
    beside = sorted(set(board.on) - plan.together_with - {name})
    if latest <= moment:
        message = f"'{name}' was made for a time that is over by then ({plan.until})"
        ground.note(IMPOSSIBLE, message, "let the test begin earlier: 'start'", (*here, "at"))
    elif beside:
        message = f"'{beside[0]}' is on by then, and '{name}' may not be on beside it"
        hint = f"switch it off first, or write 'together_with: [{beside[0]}]' into the plan"
        ground.note(IMPOSSIBLE, message, hint, (*here, "plan_on"))
    elif act.until is not None and not moment < ends <= latest:
        message = f"'{name}' cannot be on from '{act.at.text}' until '{act.until.text}'"
        hint = (
            "like 'at' it counts from the start of the test; 'at_most' of the plan says how long it may be on"
        )
        ground.note(IMPOSSIBLE, message, hint, (*here, "until"))
    else:
        board.switch_on(name, moment, ends)


def _switch_off(ground: Ground, board: _Board, name: str, moment: datetime, here: YamlPath) -> None:
    if name not in ground.bundle.plans:
        _unknown(ground, "plan", name, ground.bundle.plans, (*here, "plan_off"))
    elif name not in board.on:
        message = f"'{name}' is not on by then, so there is nothing to switch off"
        ground.note(IMPOSSIBLE, message, "remove this, or switch it on earlier", (*here, "plan_off"))
    else:
        board.switch_off(name, moment)


def _joined(
    ground: Ground, names: Sequence[str], moment: datetime, people: Collection[str], at: YamlPath
) -> Iterator[Join]:
    unknown = [
        name for number, name in enumerate(names) if not ground.has_contact(name, people, (*at, number))
    ]
    if not unknown:
        one, other = names
        yield Join(moment, one, other)


def _tripped(ground: Ground, act: ActEntry, moment: datetime, here: YamlPath) -> Iterator[Trip]:
    key, name = ("trip", act.trip) if act.trip is not None else ("reset", act.reset or "")
    breakers = {breaker.id: breaker for breaker in ground.bundle.breakers}
    breaker = breakers.get(name)
    if breaker is None:
        _unknown(ground, "breaker", name, breakers, (*here, key))
        return
    scope = _scope(ground, act, breaker, here)
    if scope is not None:
        level = (act.level or "red") if key == "trip" else None
        yield Trip(moment, name, scope, level)


def _halted(ground: Ground, act: ActEntry, moment: datetime, here: YamlPath) -> Iterator[Halting]:
    key, name = ("halt", act.halt) if act.halt is not None else ("resume", act.resume or "")
    budgets = {budget.id: budget for budget in ground.bundle.budgets}
    budget = budgets.get(name)
    if budget is None:
        _unknown(ground, "budget", name, budgets, (*here, key))
        return
    shares = [*(share.id for share in budget.shares), OTHERS]
    share = act.share or OTHERS
    if budget.returns is None:
        message = f"'{name}' does not say what comes back, so none of its shares is ever halted"
        ground.note(IMPOSSIBLE, message, "add 'return' to the budget", (*here, key))
    elif share not in shares:
        ground.unknown(f"the budget '{name}' has no share '{share}'", share, shares, (*here, "share"))
    else:
        yield Halting(moment, name, share, key == "halt")


def _scope(ground: Ground, act: ActEntry, breaker: Breaker, here: YamlPath) -> str | None:
    """As `channel:email`; None, and a problem, when the act does not say which one."""
    for kind in ("channel", "journey", "content"):
        if getattr(act, kind) is not None and kind != breaker.scope:
            message = f"the breaker '{breaker.id}' watches each {breaker.scope}, not each {kind}"
            ground.note(IMPOSSIBLE, message, f"say which {breaker.scope}", (*here, kind))
            return None
    if breaker.scope not in {"channel", "journey", "content"}:
        return breaker.scope
    name = getattr(act, breaker.scope)
    if name is None:
        key = "trip" if act.trip is not None else "reset"
        known: Mapping[str, Collection[str]] = {
            "channel": ground.bundle.channels,
            "journey": ground.bundle.programs,
            "content": ground.bundle.contents,
        }
        example = next(iter(sorted(known[breaker.scope])), "email")
        message = f"the breaker '{breaker.id}' watches each {breaker.scope}, and this does not say which one"
        ground.note(IMPOSSIBLE, message, f"add '{breaker.scope}: {example}'", (*here, key))
        return None
    return f"{breaker.scope}:{name}" if ground.refer(breaker.scope, name, (*here, breaker.scope)) else None


def _unknown(ground: Ground, noun: str, name: str, known: Collection[str], at: YamlPath) -> None:
    ground.unknown(f"this workspace has no {noun} '{name}'", name, known, at)

"""A back-test told to people and to programs: what was sent, held and refused, what nobody came by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.gate.reasons import describe
from engine.journeys.drawing import Counts
from engine.journeys.program import Ask, Call, Program
from engine.simulation.backtesting import Backtest
from engine.simulation.differing import Differences
from engine.simulation.tallying import Tally
from engine.simulation.traffic import coverage_of


@dataclass(frozen=True)
class Source:
    """Where the contacts and their events came from, as a report says it."""

    words: str
    unusable: dict[str, int] = field(default_factory=dict)
    """Code -> lines of files that could not be used."""
    seed: int | None = None
    """Of a sample."""


def assumptions(done: Backtest, source: Source) -> list[str]:
    """What the figures rest on beside the record; a reader must know it to use them."""
    here = done.here
    refused = f" {here.recorded_refusals:,} failed as the record says that providers refused them."
    lines = [
        "People do what they did, whatever they are sent: an answer to a message that was never sent still "
        "comes, and none is made up.",
        f"A message that passes the gate is taken by its provider at once.{refused}",
        "Texts are neither made nor checked; breakers are closed and the kill switch is off.",
        f"Runs begin with {here.period.begin:%Y-%m-%d %H:%M}Z; what came before counts for profiles only. "
        f"The figures begin with {here.period.since:%Y-%m-%d %H:%M}Z.",
    ]
    if source.words.startswith("the database"):
        lines.append(
            "Addresses, attributes and tags are those of today: how they were is not on record. Tags that "
            "steps of runs since then can have set are left out."
        )
    lines += _of_budgets(done, source)
    kinds = {type(step) for each in here.bundle.programs.values() for step in each.steps.values()}
    if Call in kinds:
        lines.append("No action is called: each counts as done at once, and says nothing.")
    if Ask in kinds:
        lines.append("Nobody answers a task: each goes the way it goes when its time is up.")
    return lines


def _of_budgets(done: Backtest, source: Source) -> list[str]:
    budgets = sorted({each.id for tally in (done.here, done.there) if tally for each in tally.bundle.budgets})
    if not budgets:
        return []
    named = ", ".join(budgets)
    if not done.shares_budgets:
        return [
            f"not simulated: that contacts spend of the same budgets ({named}). They are too many to live "
            "side by side, so each lives alone and finds every budget whole; a smaller --sample shares them."
        ]
    whole = " The contacts of a sample have the budgets to themselves." if source.seed is not None else ""
    return [
        f"All contacts spend of the same budgets ({named}), in the order of time; nothing was spent of them "
        f"before, and nobody else spends anything.{whole}"
    ]


def counts_of(program: Program, tally: Tally) -> Counts:
    """How many went where in one journey."""
    journey, traffic = program.journey, tally.traffic
    return Counts(
        visits={step: traffic.visits(journey, step) for step in program.steps},
        went={(one, to): count for (name, one, to), count in traffic.went.items() if name == journey},
        cases={(step, case): count for (name, step, case), count in traffic.cases.items() if name == journey},
        left={what: count for (name, what), count in traffic.left.items() if name == journey},
    )


# For programs


def as_data(done: Backtest, source: Source) -> dict[str, Any]:
    """The whole report."""
    return {
        "source": source.words,
        "seed": source.seed,
        "unusable": source.unusable,
        "assumptions": assumptions(done, source),
        "here": _tally_data(done.here),
        "there": _tally_data(done.there) if done.there is not None else None,
        "differences": _differences_data(done.differences) if done.differences is not None else None,
    }


def _tally_data(tally: Tally) -> dict[str, Any]:
    return {
        "bundle": tally.bundle.hash,
        "since": tally.period.since,
        "until": tally.period.until,
        "contacts": tally.contacts,
        "reached": tally.reached,
        "events": tally.events,
        "sends": sum(tally.sends.values()),
        "sends_by_day": [
            {"day": day, "journey": journey, "channel": channel, "count": count}
            for (day, journey, channel), count in sorted(tally.sends.items())
        ],
        "caps": [
            {"cap": cap.id, "refused": _of(tally.capped, cap.id), "held": _held_by(tally, cap.id)}
            for cap in tally.bundle.caps
        ],
        "held_hours": round(tally.held_for.total_seconds() / 3600, 1),
        "journeys": {name: _journey_data(program, tally) for name, program in tally.bundle.programs.items()},
    }


def _journey_data(program: Program, tally: Tally) -> dict[str, Any]:
    name = program.journey
    covered = coverage_of(program, tally.traffic)
    counts = counts_of(program, tally)
    return {
        "title": program.title,
        "entered": tally.entered[name],
        "not_entered": _with_first(tally.refused, name),
        "outcomes": _with_first(tally.outcomes, name),
        "sends": sum(count for (_, journey, _), count in tally.sends.items() if journey == name),
        "held": [
            {"reason": reason, "cap": cap or None, "count": count}
            for (journey, reason, cap), count in tally.held.most_common()
            if journey == name
        ],
        "not_sent": [
            {"step": step, "reason": reason, "count": count}
            for (journey, step, reason), count in tally.stopped.most_common()
            if journey == name
        ],
        "coverage": round(covered.percent, 1),
        "never_reached": list(covered.unreached),
        "dead_ways": [{"step": way.step, "way": way.name or "next", "to": way.to} for way in covered.dead],
        "counts": {
            "visits": counts.visits,
            "went": [[one, to, count] for (one, to), count in counts.went.items()],
            "cases": [[step, case, count] for (step, case), count in counts.cases.items()],
            "left": counts.left,
        },
    }


def _differences_data(found: Differences) -> dict[str, Any]:
    return {
        "contacts": found.contacts,
        "messages": [
            {
                "journey": journey,
                "difference": kind,
                "count": count,
                "examples": [
                    {"contact": each.contact, "step": each.step, "at": each.at, "why": each.why}
                    for each in found.examples[journey, kind]
                ],
            }
            for (journey, kind), count in sorted(found.counts.items())
        ],
    }


def _with_first(counter: Counter[tuple[str, str]], first: str) -> dict[str, int]:
    return {second: count for (one, second), count in counter.most_common() if one == first}


def _of(counter: Counter[tuple[str, str]], first: str) -> int:
    return sum(_with_first(counter, first).values())


def _held_by(tally: Tally, cap: str) -> int:
    return sum(count for (_, _, by), count in tally.held.items() if by == cap)


# For people


def report_lines(done: Backtest, source: Source) -> Iterator[str]:
    """The report in plain text: the whole, each journey, what differs, what it rests on."""
    here, there = done.here, done.there
    period = here.period
    yield (
        f"{period.since:%Y-%m-%d %H:%M}Z to {period.until:%Y-%m-%d %H:%M}Z, {period.days:g} days, "
        f"{here.contacts:,} contacts, {here.events:,} events; {source.words}"
    )
    for code, count in sorted(source.unusable.items()):
        yield f"  {count:,} lines could not be used: {code}"
    yield from _table(
        ["", "here", *(["there"] if there is not None else [])],
        [
            [name, *(value(tally) for tally in (here, there) if tally is not None)]
            for name, value in (
                ("bundle", lambda tally: tally.bundle.hash[:12]),
                ("messages", lambda tally: f"{sum(tally.sends.values()):,}"),
                ("a day", lambda tally: f"{sum(tally.sends.values()) / max(tally.period.days, 1e-9):,.1f}"),
                ("on the fullest day", _fullest),
                ("contacts reached", lambda tally: f"{tally.reached:,}"),
                ("held", lambda tally: f"{sum(tally.held.values()):,}"),
                ("refused by caps", lambda tally: f"{sum(tally.capped.values()):,}"),
                ("not sent for other reasons", _otherwise),
            )
        ],
    )
    yield ""
    yield from _table(
        ["journey", "entered", "messages", "held", "not sent", "ended", "coverage"],
        [_journey_row(program, here) for program in here.bundle.programs.values()],
    )
    yield from _section("messages by channel", _channels(here))
    yield from _section("caps that decided", _caps(here))
    yield from _section("not sent, and why", _not_sent(here))
    yield from _section("not entered, and why", _not_entered(here))
    yield from _section("never came by", _dead(here))
    if done.differences is not None:
        yield from _section("differences, message by message", _differences(done.differences))
    yield from _section("what this rests on", assumptions(done, source))


def _fullest(tally: Tally) -> str:
    days: Counter[Any] = Counter()
    for (day, _, _), count in tally.sends.items():
        days[day] += count
    if not days:
        return "-"
    day, count = days.most_common(1)[0]
    return f"{count:,} ({day})"


def _otherwise(tally: Tally) -> str:
    return f"{sum(tally.stopped.values()) - sum(tally.capped.values()):,}"


def _journey_row(program: Program, tally: Tally) -> list[str]:
    name = program.journey
    ends = ", ".join(f"{count:,} {outcome}" for outcome, count in _with_first(tally.outcomes, name).items())
    return [
        name,
        f"{tally.entered[name]:,}",
        f"{sum(count for (_, journey, _), count in tally.sends.items() if journey == name):,}",
        f"{sum(count for (journey, _, _), count in tally.held.items() if journey == name):,}",
        f"{sum(count for (journey, _, _), count in tally.stopped.items() if journey == name):,}",
        ends or "-",
        f"{coverage_of(program, tally.traffic).percent:.0f}%",
    ]


def _channels(tally: Tally) -> Iterator[str]:
    found: Counter[str] = Counter()
    for (_, _, channel), count in tally.sends.items():
        found[channel] += count
    for channel, count in found.most_common():
        yield f"{channel}: {count:,}"


def _caps(tally: Tally) -> Iterator[str]:
    for cap in tally.bundle.caps:
        refused, held = _of(tally.capped, cap.id), _held_by(tally, cap.id)
        if refused or held:
            where = f"  {cap.file}:{cap.line}" if cap.file else ""
            yield f"{cap.id}: {refused:,} refused, {held:,} held{where}"


def _not_sent(tally: Tally) -> Iterator[str]:
    for (journey, step, reason), count in tally.stopped.most_common():
        yield f"{count:,} {journey}/{step}: {reason}, {describe(reason).sentence}"


def _not_entered(tally: Tally) -> Iterator[str]:
    for (journey, reason), count in tally.refused.most_common():
        yield f"{count:,} {journey}: {reason}, {describe(reason).sentence}"


def _dead(tally: Tally) -> Iterator[str]:
    for name, program in tally.bundle.programs.items():
        if not tally.traffic.entered[name]:
            yield f"{name}: nobody entered it"
            continue
        covered = coverage_of(program, tally.traffic)
        ways = [f"{way.step} → {way.name or way.to}" for way in covered.dead]
        if covered.unreached or ways:
            told = [f"step {step}" for step in covered.unreached] + [f"way {way}" for way in ways]
            yield f"{name}: {', '.join(told)}"


def _differences(found: Differences) -> Iterator[str]:
    yield f"{found.contacts:,} contacts get other messages, or get them otherwise"
    for (journey, kind), count in sorted(found.counts.items()):
        yield f"{journey}: {count:,} {kind}"
        for each in found.examples[journey, kind]:
            yield f"  {each.contact} {each.step} {each.at:%Y-%m-%d %H:%M}Z: {each.why}"


def _section(title: str, lines: Sequence[str] | Iterator[str]) -> Iterator[str]:
    told = list(lines)
    if told:
        yield ""
        yield title
        yield from (f"  {line}" for line in told)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    lines = [list(heads), *map(list, rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heads))]
    for line in lines:
        cells = [
            cell.ljust(width) if at in (0, len(heads) - 1 if len(heads) > 3 else 0) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        yield f"  {'  '.join(cells)}".rstrip()

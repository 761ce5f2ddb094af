"""Back-tests: over what was recorded they find what production did, and what another bundle would do."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from sqlalchemy import event as listening
from sqlalchemy import select
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.intake.files import Line
from engine.simulation.backtesting import Backtest, backtest
from engine.simulation.histories import Happening, History, live, live_together, meet
from engine.simulation.people import Person
from engine.simulation.population import contact_ids, from_lines, from_store
from engine.simulation.records import Decided
from engine.simulation.reporting import Source, as_data, assumptions, report_lines
from engine.simulation.tallying import Period
from engine.simulation.virtual import VirtualWorld
from engine.simulation.webpage import web_page
from engine.store.database import Store
from engine.store.tables import DecisionRow
from tests.simulation.small_workspace import DAY, FILES, START
from tests.simulation.two_drivers import Happening as Lived
from tests.simulation.two_drivers import SqlLife, the_bundle

LIFE = [
    Lived(timedelta(minutes=pause), who, kind, properties)
    for pause, who, kind, properties in (
        (5, "ann", "added", {}),
        (60, "bob", "added", {}),
        (60 * 30, "ann", "viewed", {"price": 80}),
        (60 * 5, "bob", "paid", {"amount": 60, "order_id": "o1"}),
        (60 * 20, "ann", "paid", {"amount": 60, "order_id": "o2"}),
        (60 * 72, "bob", "viewed", {"price": 10}),
        (60 * 9, "bob", "viewed", {"price": 80}),
        (60 * 30, "ann", "consent_withdrawn", {"purpose": "marketing"}),
    )
]
PERIOD = Period(START, START, START + 30 * DAY)
SOURCE = Source("a test")


@pytest.fixture
def recorded(tmp_path: Path, _sqlite_template: Path) -> Any:
    """A database in which these people have lived, under production's own services."""
    path = tmp_path / "wayline.db"
    shutil.copyfile(_sqlite_template, path)
    with closing(Store(f"sqlite:///{path}")) as store:
        asyncio.run(SqlLife(store, the_bundle().files).live(LIFE))
        yield store


def changed(**files: str) -> Bundle:
    """The same workspace with some files in place of others."""
    whole = {name: dedent(text) for name, text in FILES.items()}
    return bundle_of({**whole, **{f"{name}.yaml": dedent(text) for name, text in files.items()}})


def run(store: Store, bundle: Bundle, against: Bundle | None = None) -> Backtest:
    with store.read() as session:
        ids = contact_ids(session)
        histories = from_store(session, ids, bundle, PERIOD.begin, PERIOD.until)
        return asyncio.run(backtest(histories, bundle, PERIOD, against))


def test_over_its_own_record_a_bundle_does_what_it_did(recorded: Store) -> None:
    done = run(recorded, the_bundle()).here
    with recorded.read() as session:
        rows = list(session.scalars(select(DecisionRow).where(col(DecisionRow.at) < PERIOD.until)))
    sent = Counter(row.journey for row in rows if row.reason == "sent.accepted")
    entered = Counter(row.journey for row in rows if row.reason == "entry.entered")
    held = sum(row.kind == "message" and row.verdict == "hold" for row in rows)

    by_journey: Counter[str] = Counter()
    for (_, journey, _), count in done.sends.items():
        by_journey[journey] += count
    assert by_journey == sent
    assert done.entered == entered
    assert sum(done.held.values()) == held
    assert (done.contacts, sum(sent.values()) > 5) == (3, True)


def test_a_back_test_writes_nothing(recorded: Store) -> None:
    with recorded.read() as session:
        statements: list[str] = []
        listening.listen(
            session.get_bind(), "before_cursor_execute", lambda *args: statements.append(args[2].split()[0])
        )
    run(recorded, the_bundle())
    assert statements
    assert {word.upper() for word in statements} <= {"SELECT", "BEGIN", "PRAGMA", "SET", "SHOW"}


def test_what_another_bundle_does_otherwise_is_counted_with_its_reason(recorded: Store) -> None:
    tighter = changed(
        caps="""
        kind: caps
        id: caps
        title: caps
        owner: us
        caps:
          - {id: one_a_month, counts: {purpose: marketing}, limit: 1, window: {rolling: 30d}, when_full: skip}
        """
    )
    done = run(recorded, the_bundle(), tighter)
    assert done.there is not None
    assert done.differences is not None

    fewer = sum(done.here.sends.values()) - sum(done.there.sends.values())
    only_here = sum(count for (_, kind), count in done.differences.counts.items() if kind == "only here")
    only_there = sum(count for (_, kind), count in done.differences.counts.items() if kind == "only there")
    assert fewer > 0
    assert only_here - only_there == fewer
    reasons = [each.why for found in done.differences.examples.values() for each in found]
    assert any(why.startswith("cap.full (one_a_month)") for why in reasons)
    assert sum(done.there.capped.values()) >= fewer


def test_the_same_bundle_twice_differs_in_nothing(recorded: Store) -> None:
    found = run(recorded, the_bundle(), the_bundle()).differences
    assert found is not None
    assert (found.contacts, dict(found.counts)) == (0, {})


def test_contacts_live_one_by_one_as_they_would_side_by_side(recorded: Store) -> None:
    files = {name: dedent(text) for name, text in FILES.items() if "stratify_by" not in text}
    bundle = bundle_of(files)
    assert not meet(bundle)
    assert meet(the_bundle())  # where places of strata are taken one after another, time decides who is first
    with recorded.read() as session:
        histories = list(from_store(session, contact_ids(session), bundle, PERIOD.begin, PERIOD.until))

    async def both() -> tuple[Counter[Any], Counter[Any]]:
        alone: Counter[Any] = Counter()
        with closing(VirtualWorld(bundle, PERIOD.begin)) as world:
            for history in histories:
                await live(world, history, PERIOD.begin, PERIOD.until)
                alone.update(map(facets, world.decisions))
            await live_together(world, histories, PERIOD.begin, PERIOD.until)
            return alone, Counter(map(facets, world.decisions))

    one, other = asyncio.run(both())
    assert one == other
    assert one


BUDGET = """
    kind: budgets
    id: budgets
    title: budgets
    owner: us
    budgets:
      - id: three
        unit: messages
        pays_for: {}
        limit: 3
        window: {calendar: month, timezone: workspace}
        pace: free
        when_spent: skip
"""


def budgeted(most_sharing: int) -> tuple[list[str], Backtest]:
    """What became of five people, who come one after another, under one small budget."""
    files = {name: dedent(text) for name, text in FILES.items() if "stratify_by" not in text}
    bundle = bundle_of({**files, "budgets.yaml": dedent(BUDGET)})
    people = [
        History(
            Person(f"c{number}", {"email": f"{number}@b.c"}, consents=("marketing",), timezone="UTC"),
            (Happening(START + number * timedelta(hours=1), "paid", {"amount": 60, "order_id": "o"}),),
        )
        for number in reversed(range(5))
    ]
    done = asyncio.run(backtest(people, bundle, PERIOD, most_sharing=most_sharing))
    return assumptions(done, SOURCE), done


def partings(done: Backtest) -> int:
    """How many got the one marketing message that is due within the month."""
    return sum(count for (_, journey, _), count in done.here.sends.items() if journey == "parting")


def test_contacts_of_a_back_test_share_budgets_in_the_order_of_time() -> None:
    told, done = budgeted(most_sharing=5)

    assert partings(done) == 3
    assert sum("spend of the same budgets (three), in the order of time" in line for line in told) == 1
    assert not any(line.startswith("not simulated") for line in told)


def test_of_more_contacts_each_finds_the_budgets_whole_and_the_report_says_so() -> None:
    told, done = budgeted(most_sharing=4)

    assert partings(done) == 5
    assert sum(line.startswith("not simulated: that contacts spend") for line in told) == 1
    assert (done.here.contacts, done.shares_budgets) == (5, False)


def facets(decided: Decided) -> tuple[Any, ...]:
    return decided.at, decided.contact_id, decided.kind, decided.journey, decided.step, decided.reason


def test_what_led_up_to_the_period_is_lived_and_not_counted() -> None:
    ann = History(
        Person("ann", {"email": "a@b.c", "app": "a1"}, consents=("marketing",), timezone="Europe/Berlin"),
        (Happening(START, "added"),),
    )
    period = Period(START - DAY, START + 12 * timedelta(hours=1), START + 10 * DAY)
    done = asyncio.run(backtest([ann], the_bundle(), period)).here

    assert "welcome" not in done.entered  # that was before
    assert "welcome" in {journey for _, journey, _ in done.sends}
    assert done.traffic.went["welcome", "overnight", "guide"] == 1
    assert not done.traffic.entered["welcome"]


def test_ways_that_nobody_took_and_steps_that_nobody_came_to_are_named() -> None:
    ann = History(
        Person("ann", {"email": "a@b.c"}, consents=("marketing",)),
        (Happening(START, "paid", {"amount": 20, "order_id": "o"}),),
    )
    done = asyncio.run(backtest([ann], the_bundle(), PERIOD))
    journey = as_data(done, SOURCE)["here"]["journeys"]["repurchase"]

    assert journey["never_reached"] == ["gift"]
    assert journey["dead_ways"] == [{"step": "size", "way": "case 1", "to": "gift"}]
    assert journey["counts"]["cases"] == [["size", None, 1]]
    assert 0 < journey["coverage"] < 100


def test_the_report_tells_what_it_rests_on_in_text_and_data(recorded: Store) -> None:
    done = run(recorded, the_bundle())
    text = "\n".join(report_lines(done, SOURCE))
    for line in as_data(done, SOURCE)["assumptions"]:
        assert line in text
    assert "3 contacts, 8 events; a test" in text


class _Links(HTMLParser):
    """Whatever a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.found += [str(values[name]) for name in ("src", "href") if name in values]
        assert tag != "script"


def test_the_page_needs_nothing_else_and_shows_every_journey(recorded: Store) -> None:
    page = web_page(run(recorded, the_bundle()), SOURCE)
    links = _Links()
    links.feed(page)
    assert links.found == []
    assert page.count("<figure") == len(the_bundle().programs)
    assert "url(" not in page.replace("url(#tip-", "")


def test_files_of_events_give_each_contact_from_the_first_event_on() -> None:
    def line(number: int, **message: Any) -> Line:
        at = (START + number * DAY).isoformat()
        return Line(f"f:{number}", {"messageId": f"m{number}", "timestamp": at, **message})

    track: Mapping[str, Any] = {"type": "track", "event": "added"}
    gathered = from_lines(
        [
            line(3, **track, userId="u1"),
            line(1, type="identify", anonymousId="a1", userId="u1", traits={"email": "A@Example.com"}),
            line(2, **track, anonymousId="a1"),
            line(2, **track, anonymousId="a1"),  # the same once more
            line(4, **track, userId="u2", context={"timezone": "Europe/Berlin"}),
            line(5, type="track", event="unheard_of", userId="u1"),
        ],
        the_bundle(),
        datetime(2026, 5, 1, tzinfo=UTC),
    )
    assert gathered.unusable == {"EV005": 1}
    one, other = gathered.histories
    assert [each.at - START for each in one.happenings] == [DAY, 2 * DAY, 3 * DAY]
    assert one.happenings[0].traits["email"] == "A@Example.com"
    assert (one.person.id, other.person.id) == ("u1", "u2")
    assert other.happenings[0].traits == {"timezone": "Europe/Berlin"}
    assert all(each.is_new for each in gathered.histories)

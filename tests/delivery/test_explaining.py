"""What `explain` tells, word for word, and the commands around it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.cli import run
from engine.delivery import explaining, rendering
from engine.delivery.story import Told
from engine.errors import NotFound
from engine.plugin.contracts import Rejected
from engine.plugin.recording import RecordingChannel
from engine.store.tables import DecisionRow, RunRow

CAPS = """
    kind: caps
    id: pressure
    title: pressure
    owner: us
    caps:
      - id: one_a_day
        counts: {purpose: marketing}
        limit: 1
        window: {rolling: 24h}
        when_full: defer
    """

RISK = """
    kind: breakers
    id: risk
    title: risk
    owner: us
    breakers:
      - id: send_failure
        scope: channel
        metric: send_failure_rate
        window: 10m
        min_samples: 4
        levels: {yellow: {gt: 15%}}
        recover: {probe_after: 5m, probes: 2, close_when: {lt: 15%}}
    """

Wayline = Callable[..., tuple[int, str, str]]


def told(desk: Any, key: str) -> str:
    with desk.store.read() as session:
        return rendering.render(explaining.explain_intent(session, desk.shelf, key))


@pytest.fixture
def wayline(sqlite_desk: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Wayline:
    """The command line over the desk's database: status, output, complaints."""
    monkeypatch.setenv("WAYLINE_DATABASE_URL", sqlite_desk.store.url)

    def call(*arguments: str) -> tuple[int, str, str]:
        status = run(arguments)
        out, err = capsys.readouterr()
        return status, out, err

    return call


async def test_a_blocked_message_is_told_with_what_it_had_passed(desk: Any) -> None:
    desk.contact(consents=())
    desk.plan()
    await desk.deliver()
    assert (
        told(desk, "k1")
        == """\
BLOCKED on email because consent.unknown: there is no consent on record
  hello for contact ann (marketing), 2026-05-04 03:00:00Z
  + the contact may be reached, and it is in time
  + kill switch and breakers of workspace, journey and content
  + breaker of the channel
  + an address in use
  ? block on email: consent.unknown  2026-05-04 03:00:00Z
      purpose: marketing
      would pass if consent for marketing on email is on record and in force
      can be changed by the contact alone
"""
    )


async def test_a_message_that_was_held_and_then_sent_is_told_in_order(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.publish(caps=CAPS)
    desk.contact()
    desk.plan("k0")
    desk.plan("k1")
    await desk.deliver("k0")
    await desk.deliver("k1")
    desk.mail = RecordingChannel("mail", results=[Rejected("550")])
    desk.process()
    desk.plan("k2", channels=("email", "app"))
    desk.clock.advance(timedelta(hours=24))
    await desk.deliver("k2")
    text = told(desk, "k2")
    digest = desk.row("k2").content_hash
    assert (
        text
        == f"""\
SENT on app because sent.accepted: the provider took the message
  hello for contact ann (marketing), 2026-05-04 03:00:00Z
  + the contact may be reached, and it is in time
  + kill switch and breakers of workspace, journey and content
  + breaker of the channel
  + an address in use
  + consent
  + no quiet hours
  + frequency caps
  + something left of its budgets
  + not held out of it
  + content and checks
  + the provider takes one more
  + a place in every cap
  + allow on app: sent.accepted  2026-05-05 03:00:00Z
      content: hello
      content_hash: {digest}
      attempts: 2
      channels: email channel.rejected
  - email answered rejected (550)  2026-05-05 03:00:00Z
  + app answered accepted  2026-05-05 03:00:00Z
"""
    )
    assert (
        told(desk, "k1")
        == """\
HELD on email because cap.full: a frequency cap has no place left
  hello for contact ann (marketing), 2026-05-04 03:00:00Z
  + the contact may be reached, and it is in time
  + kill switch and breakers of workspace, journey and content
  + breaker of the channel
  + an address in use
  + consent
  + no quiet hours
  ~ hold on email: cap.full until 2026-05-05 03:00:00Z  2026-05-04 03:00:00Z  caps.yaml:7
      cap: one_a_day
      limit: 1
      used: 1
      frees_at: 2026-05-05T03:00:00+00:00
      when_full: defer
      full: one_a_day
      would pass if it is tried at 2026-05-05T03:00:00+00:00 and nothing that one_a_day counts is sent before
      can be changed by operations staff
"""
    )


async def test_the_journeys_own_entry_stands_before_its_message(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.contact()
    desk.run_row("r1", durable=True)
    (row,) = desk.rows(RunRow)
    with desk.store.begin() as session:
        session.add(
            DecisionRow(
                at=row.started_at,
                kind="entry",
                contact_id="ann",
                journey="welcome",
                run_id="r1",
                stage="entry",
                verdict="allow",
                reason="entry.entered",
                evidence={"event_id": "e1"},
            )
        )
    desk.plan(run_id="r1", journey="welcome")
    await desk.deliver()
    assert told(desk, "k1").splitlines()[1:3] == [
        "  hello for contact ann (marketing), wished by welcome at step, 2026-05-04 03:00:00Z",
        "  + welcome enter  2026-05-04 03:00:00Z",
    ]


async def test_an_intent_not_looked_at_yet_says_so(sqlite_desk: Any) -> None:
    sqlite_desk.contact()
    sqlite_desk.plan()
    assert told(sqlite_desk, "k1").startswith("PLANNED, not decided yet\n")


async def test_an_intent_that_does_not_exist_is_not_found(sqlite_desk: Any) -> None:
    with pytest.raises(NotFound):
        told(sqlite_desk, "nothing")


async def test_the_command_tells_an_intent_as_text_and_as_data(sqlite_desk: Any, wayline: Wayline) -> None:
    sqlite_desk.contact(consents=())
    sqlite_desk.plan()
    await sqlite_desk.deliver()
    status, out, _ = wayline("explain", "k1")
    assert (status, out) == (0, told(sqlite_desk, "k1"))
    status, out, _ = wayline("explain", "k1", "--format", "json")
    data = json.loads(out)
    assert (status, data["outcome"], data["decisions"][0]["reason"]) == (0, "blocked", "consent.unknown")


async def test_each_finding_stands_on_a_line_of_its_own_with_place_law_and_way_out(sqlite_desk: Any) -> None:
    sqlite_desk.contact()
    sqlite_desk.plan(content="boast")
    await sqlite_desk.deliver()
    lines = told(sqlite_desk, "k1").splitlines()
    assert "      finding in the body, characters 19-25: our own word: miracle (lexicon.wonders)" in lines


async def test_a_milder_finding_is_kept_with_the_message_that_went_out(sqlite_desk: Any) -> None:
    milder = sqlite_desk.files["wonders.lexicon.yaml"].replace("severity: block", "severity: warn")
    sqlite_desk.publish(**{"wonders.lexicon": milder})
    sqlite_desk.contact()
    sqlite_desk.plan(content="boast")
    await sqlite_desk.deliver()
    lines = told(sqlite_desk, "k1").splitlines()
    assert lines[0].startswith("SENT")
    assert (
        "      warn: finding in the body, characters 19-25: our own word: miracle (lexicon.wonders)" in lines
    )


async def test_the_command_tells_a_contacts_decisions(sqlite_desk: Any, wayline: Wayline) -> None:
    sqlite_desk.contact(consents=())
    sqlite_desk.plan(journey="welcome")
    await sqlite_desk.deliver()
    status, out, _ = wayline("explain", "--contact", "email:ann@example.com", "--journey", "welcome")
    assert status == 0
    assert out.startswith("2026-05-04 03:00:00Z  message k1\n  ? block on email: consent.unknown")
    assert "ann@example.com" not in out
    status, _, complaint = wayline("explain", "--contact", "ann", "--journey", "other")
    assert (status, "there is no journey 'other'" in complaint) == (2, True)


async def test_the_command_finds_decisions_by_reason_outcome_channel_and_time(
    sqlite_desk: Any, wayline: Wayline
) -> None:
    sqlite_desk.contact(consents=())
    sqlite_desk.contact("bob")
    sqlite_desk.plan("k1")
    sqlite_desk.plan("k2", "bob")
    await sqlite_desk.deliver("k1")
    await sqlite_desk.deliver("k2")

    def keys(*arguments: str) -> list[str]:
        status, out, _ = wayline("explain", *arguments, "--format", "json")
        assert status == 0
        return [each["intent"] for each in json.loads(out)]

    assert keys("--reason", "consent") == keys("--reason", "consent.unknown") == ["k1"]
    assert keys("--outcome", "sent") == keys("--verdict", "allow") == ["k2"]
    assert keys("--channel", "email", "--from", "2026-05-04", "--to", "2026-05-04") == ["k1", "k2"]
    assert keys("--to", "2026-05-03") == []
    _, out, _ = wayline("explain", "--channel", "email", "--limit", "1")
    before = out.splitlines()[-1].removeprefix("older: --before ")
    assert keys("--channel", "email", "--before", before) == ["k1"]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("k1", "--contact", "ann"),
        ("k1", "--journey", "welcome"),
        ("no_such",),
        ("--reason", "caps"),
        ("--from", "soon"),
        ("--contact", "ann", "--before", "12"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(wayline: Wayline, arguments: tuple[str, ...]) -> None:
    status, _, complaint = wayline("explain", *arguments)
    assert status == 2
    assert complaint.startswith("wayline: ")


async def test_the_kill_switch_is_thrown_and_released_from_the_command_line(
    sqlite_desk: Any, wayline: Wayline
) -> None:
    sqlite_desk.contact()
    sqlite_desk.plan()
    assert wayline("kill", "on", "--reason", "wrong price")[1] == (
        "kill switch on: nothing is sent from now on\n"
    )
    assert wayline("kill", "on")[1] == "kill switch on: it was on already\n"
    assert await sqlite_desk.deliver() is None
    assert "stated_reason: wrong price" in told(sqlite_desk, "k1")
    assert wayline("kill", "off")[1] == "kill switch off: sending again; 1 held messages woken\n"
    await sqlite_desk.settle_down()
    assert sqlite_desk.row().outcome == "sent"


def test_a_breaker_is_listed_tripped_and_reset_from_the_command_line(
    sqlite_desk: Any, wayline: Wayline
) -> None:
    sqlite_desk.publish(breakers=RISK)
    assert wayline("breaker", "trip", "send_failure", "channel:email", "--level", "yellow")[1] == (
        "send_failure on channel:email is open (yellow)\n"
    )
    listed = json.loads(wayline("breaker", "list", "--format", "json")[1])
    assert [(row["scope"], row["state"]) for row in listed] == [
        ("channel:app", "closed"),
        ("channel:email", "open"),
    ]
    assert "channel:email  open" in wayline("breaker", "list")[1]
    assert wayline("breaker", "reset", "send_failure", "channel:email")[1] == (
        "send_failure on channel:email is closed\n"
    )
    status, _, complaint = wayline("breaker", "trip", "no_such", "channel:email")
    assert (status, complaint) == (
        2,
        "wayline: no breaker 'no_such' in the ruleset; there are: send_failure\n",
    )


def test_a_decision_is_told_in_words_and_a_leave_by_its_place_in_the_journey() -> None:
    told = Told(
        at=datetime(2026, 3, 1, tzinfo=UTC),
        kind="run",
        journey="welcome",
        intent=None,
        stage="run",
        channel=None,
        verdict="skip",
        reason="run.left",
        sentence="a leave condition came true",
        changed_by="the contact alone",
        would_pass_if="",
        hold_until=None,
        evidence={"outcome": "left", "by": "2"},
        bundle="",
        place="",
        reasons=[],
    )
    shown = rendering.render_decisions([told])
    assert "a leave condition came true" in shown
    assert "left by: number 2 of those that the journey lists under 'leave'" in shown

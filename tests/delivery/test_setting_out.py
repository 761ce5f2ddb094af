"""A message that leaves in the transaction that wishes it, beside one that goes the long way."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from engine.contacts.rows import lock_profiles
from engine.delivery.setting_out import Departed, Wish
from engine.delivery.viewing import read_situation
from engine.gate.model import Outcome
from engine.gate.state import Claim
from engine.governance.control import kill
from engine.plugin import Rejected, Retry, Unknown
from engine.plugin.contracts import CheckContext, Draft, GenerateRequest, Preflight
from engine.plugin.recording import RecordingChannel
from engine.store.tables import (
    AttemptRow,
    BreakerRow,
    BudgetPlaceRow,
    CapPlaceRow,
    ContactRow,
    DecisionRow,
    IntentRow,
)
from plugins.generators import template
from tests.delivery.conftest import START

PLATFORMS = ("email", "app")
CAP = """
    kind: caps
    id: caps
    title: caps
    owner: us
    caps: [{id: one, counts: {purpose: marketing}, limit: 1, window: {rolling: 24h}, when_full: skip}]
    """
RECOMPUTED = """
    kind: tags
    id: profile
    title: profile
    owner: us
    classes:
      - id: activity
        title: activity
        cases: [{is: pressed, when: {contact.sends_since_active: {gte: 1}}}]
        else: normal
    """


def wish(desk: Any, key: str, contact_id: str, *, departs: bool, **values: Any) -> Claim | None:
    intent = desk.intent(key, contact_id, **values)
    with desk.store.begin() as session:
        contact = lock_profiles(session, [contact_id])[contact_id]
        situation = read_situation(session, share=True)
        wishes = [Wish(intent, contact, departs)]
        claims: list[Claim | None] = desk.delivery.plan_each(session, wishes, desk.clock.now(), situation)
    return claims[0]


async def send(desk: Any, key: str, contact_id: str, *, departs: bool, **values: Any) -> Outcome | None:
    claim = wish(desk, key, contact_id, departs=departs, **values)
    outcome: Outcome | None = await desk.delivery.deliver(key, carried=True, claim=claim)
    return outcome


def told(desk: Any, contact_id: str) -> list[Any]:
    """All that is written of the contact and their messages, without names."""
    (contact,) = desk.rows(ContactRow, id=contact_id)
    keys = {row.key for row in desk.rows(IntentRow, contact_id=contact_id)}
    rows: list[Any] = [contact, *desk.rows(IntentRow, contact_id=contact_id)]
    rows += [row for row in desk.rows(AttemptRow) if row.intent_key in keys]
    rows += [row for row in desk.rows(BudgetPlaceRow) if row.intent_key in keys]
    rows += desk.rows(DecisionRow, contact_id=contact_id) + desk.rows(CapPlaceRow, contact_id=contact_id)
    nameless = {"id", "key", "intent_key", "contact_id", "lease_owner", "stripe"}
    return [{name: value for name, value in row.model_dump().items() if name not in nameless} for row in rows]


async def test_a_plain_message_is_handed_over_by_the_commit_of_its_wish(desk: Any) -> None:
    desk.contact()
    await warmed(desk)
    claim = wish(desk, "k1", "ann", departs=True)
    assert isinstance(claim, Departed)
    assert (desk.row().state, desk.row().attempts) == ("handed_over", 1)
    before = len(desk.mail.calls)
    assert await desk.delivery.deliver("k1", carried=True, claim=claim) is Outcome.SENT
    assert len(desk.mail.calls) == before + 1
    assert desk.row().state == "accepted"


PAID = """
    kind: budgets
    id: budgets
    title: budgets
    owner: us
    budgets:
      - id: all
        unit: messages
        pays_for: {}
        limit: 100000
        window: {calendar: month, timezone: workspace}
        when_spent: skip
      - id: ours
        unit: messages
        pays_for: {purposes: [marketing]}
        limit: 90000
        window: {calendar: day, timezone: workspace}
        when_spent: skip
    """
SCARCE = PAID.replace("100000", "4").replace(
    "{calendar: month, timezone: workspace}", "{calendar: day, timezone: workspace}\n        pace: free"
)


async def test_a_message_that_budgets_pay_for_leaves_so_too_where_there_is_plenty(desk: Any) -> None:
    desk.publish(budgets=PAID)
    desk.contact("bob")
    desk.contact()
    await warmed(desk)
    # The first of a slot fills what all others take from.
    assert await send(desk, "k0", "bob", departs=True) is Outcome.SENT
    claim = wish(desk, "k1", "ann", departs=True)
    assert isinstance(claim, Departed)
    assert {row.budget_id: row.amount for row in desk.rows(BudgetPlaceRow, intent_key="k1")} == {
        "all": 1,
        "ours": 1,
    }


WORLDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no consent": {"consents": ()},
    "no address": {"platforms": ()},
    "the second channel": {"platforms": ("app",), "channels": PLATFORMS},
    "a text that is blocked": {"content": "boast"},
    "a content that is missing": {"content": "gone"},
    "too late": {"deadline": timedelta(0)},
    "another language": {"locale": "zh"},
    "refused": {"answers": [Rejected("no")]},
    "refused, and taken by the next": {"answers": [Rejected("no")], "channels": PLATFORMS},
    "an address that is gone": {"answers": [Rejected("gone", permanent_address=True)]},
    "busy": {"answers": [Retry(timedelta(minutes=1))]},
    "no answer": {"answers": [Unknown("lost")]},
    "no answer, to be repeated": {"answers": [Unknown("lost")], "purpose": "service"},
    "refused before": {"preflight": Preflight(False, "too_long")},
    "held before": {"preflight": "later"},
    "a full cap": {"messages": 2, "files": {"caps": CAP}},
    "paid by budgets": {"files": {"budgets": PAID}, "messages": 2},
    "paid by budgets, and refused": {"files": {"budgets": PAID}, "answers": [Rejected("no")]},
    "paid by what is scarce": {"files": {"budgets": SCARCE}, "messages": 2},
    "counted on sending": {"messages": 2, "files": {"profile": RECOMPUTED}},
    "a breaker that is open": {"breaker": "open"},
    "a breaker that probes": {"breaker": "half_open"},
    "everything stopped": {"killed": True},
}


@pytest.mark.parametrize("world", WORLDS)
async def test_both_ways_leave_the_same_behind(desk: Any, world: str) -> None:
    given = dict(WORLDS[world])
    answers, preflight = given.pop("answers", []), given.pop("preflight", None)
    consents, platforms = given.pop("consents", ("marketing",)), given.pop("platforms", PLATFORMS)
    messages, locale = given.pop("messages", 1), given.pop("locale", None)
    breaker, killed = given.pop("breaker", None), given.pop("killed", False)
    desk.publish(**given.pop("files", {}))
    if "deadline" in given:
        given["deadline_at"] = desk.clock.now() + given.pop("deadline")
    if preflight == "later":
        preflight = Preflight(False, "later", not_before=desk.clock.now() + timedelta(hours=1))
    with desk.store.begin() as session:
        if breaker is not None:
            session.add(
                BreakerRow(
                    breaker_id="b", scope="channel:email", state=breaker, probes_left=9, epoch=1, since=START
                )
            )
        if killed:
            kill(session, by="ops", reason="stop", now=desk.clock.now())
    left = []
    for contact_id, departs in (("ann", False), ("bob", True)):
        desk.contact(contact_id, consents=consents, platforms=platforms, locale=locale)
        desk.mail = RecordingChannel("mail", results=answers, preflight=preflight)
        desk.push = RecordingChannel("push", idempotent=True)
        desk.process()
        await warmed(desk)
        outcomes = [
            await send(desk, f"{contact_id}{number}", contact_id, departs=departs, **given)
            for number in range(messages)
        ]
        sent = [call.message.body for call in desk.mail.calls]
        left.append((outcomes, len(sent), told(desk, contact_id)))
    assert left[0] == left[1]


async def warmed(desk: Any, *, channels: bool = True, texts: bool = True, words: bool = True) -> None:
    """What a process has ready after its first messages, without a message."""
    with desk.store.read() as session:
        bundle = desk.shelf.live(session)
    content = desk.delivery._means.content
    for channel in PLATFORMS if channels else ():
        assert desk.delivery.outlets.open(bundle, channel) is not None
    for spec in (spec for each in bundle.contents.values() for spec in each.values()) if texts else ():
        facts = {"contact": {"locale": "en"}, "event": {"note": "short"}}
        content.generators["template"].generate(GenerateRequest(spec, facts, "email", "marketing"))
    for check in bundle.checks if words else ():
        lists = [bundle.lexicons[name] for name in check.lexicons]
        context = CheckContext("email", "marketing", "en", check.settings, lists)
        content.checks["lexicon"].examine(Draft("text"), context)


@pytest.mark.parametrize("cold", ["channels", "texts", "words"])
async def test_what_a_process_does_first_it_does_outside_of_transactions(
    desk: Any, cold: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.contact()
    monkeypatch.setattr(template, "_QUICK", {})
    await warmed(desk, **{cold: False})
    assert not isinstance(wish(desk, "k1", "ann", departs=True), Departed)
    await warmed(desk)
    assert isinstance(wish(desk, "k2", "ann", departs=True), Departed)


@pytest.mark.parametrize("slow", ["generator", "check", "channel"])
async def test_a_plugin_that_has_to_be_waited_for_is_not_asked_inside_a_transaction(
    desk: Any, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.contact()
    await warmed(desk)
    content = desk.delivery._means.content
    plugins = {
        "generator": content.generators["template"],
        "check": content.checks["lexicon"],
        "channel": desk.mail,
    }
    monkeypatch.setattr(type(plugins[slow]), "immediate", False)
    assert not isinstance(wish(desk, "k1", "ann", departs=True), Departed)
    monkeypatch.undo()
    assert isinstance(wish(desk, "k2", "ann", departs=True), Departed)


@pytest.mark.parametrize(
    "body",
    ["x" * 4_001, "{% for one in [1, 2] %}{{ one }}{% endfor %}", "{{ 'a,b' | wordcount }}", "{{ 1 }}" * 201],
)
async def test_a_text_that_may_take_its_time_is_not_made_inside_a_transaction(desk: Any, body: str) -> None:
    desk.publish(more=CONTENT.format(body=json.dumps(body)))
    desk.contact()
    await warmed(desk)
    assert not isinstance(wish(desk, "k1", "ann", departs=True, content="more"), Departed)
    assert isinstance(wish(desk, "k2", "ann", departs=True), Departed)


async def test_a_text_that_long_values_make_long_is_not_examined_inside_a_transaction(desk: Any) -> None:
    desk.publish(more=CONTENT.format(body='"{{ event.note }}"'))
    desk.contact()
    for number, (length, leaves) in enumerate(((9_999, True), (10_001, False))):
        await warmed(desk)
        values = {"content": "more", "variables": {"event": {"note": "x" * length}}}
        claim = wish(desk, f"k{number}", "ann", departs=True, **values)
        assert isinstance(claim, Departed) is leaves


CONTENT = """
    kind: content
    id: more
    title: more
    owner: us
    contents: [{{id: more, locales: {{en: {{subject: s, body: {body}}}}}}}]
    """


@pytest.mark.parametrize(("channel", "outcome"), [("app", Outcome.SENT), ("email", Outcome.UNKNOWN)])
async def test_who_dies_before_the_call_leaves_a_hand_over_in_doubt_and_no_more(
    desk: Any, channel: str, outcome: Outcome
) -> None:
    """Where the provider knows keys the key is repeated; where not, it is told as unknown: as ever."""
    desk.contact()
    await warmed(desk)
    assert isinstance(wish(desk, "k1", "ann", departs=True, channels=(channel,)), Departed)
    desk.process()
    desk.clock.advance(timedelta(seconds=31))
    await desk.settle_down()
    assert desk.row().outcome == outcome
    assert len(desk.push.sent) == (1 if channel == "app" else 0)
    assert len(desk.mail.calls) == 0


async def test_a_wish_that_is_not_committed_has_not_left(desk: Any) -> None:
    desk.contact()
    await warmed(desk)
    intent = desk.intent("k1", "ann")
    with pytest.raises(RuntimeError), desk.store.begin() as session:
        wishes = [Wish(intent, lock_profiles(session, ["ann"])["ann"], departs=True)]
        situation = read_situation(session, share=True)
        (claim,) = desk.delivery.plan_each(session, wishes, desk.clock.now(), situation)
        assert isinstance(claim, Departed)
        raise RuntimeError("it dies here")
    assert desk.rows(IntentRow) == []
    assert desk.rows(ContactRow, id="ann")[0].last_send_at is None

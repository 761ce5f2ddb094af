"""Of whom generators are told what: only named facts, of nobody who refused, abroad only on a ground."""

from __future__ import annotations

from engine.contacts.consent import ConsentEntry, record_consent
from engine.delivery.explaining import explain_intent
from engine.delivery.rendering import render
from engine.delivery.writing import told_of
from tests.delivery.conftest import Desk
from tests.delivery.writing.conftest import (
    PRICE,
    agree,
    process,
    publish,
    sent,
    text_of,
    within_reach,
)
from tests.plugins.chat_server import MODEL, ChatServer


async def test_of_who_lives_elsewhere_nothing_is_told(sqlite_desk: Desk, server: ChatServer) -> None:
    desk = sqlite_desk
    publish(desk, residence="residence: {otherwise: DE}")
    process(desk, within_reach(server))
    desk.contact(locale="en")
    desk.plan("k1", content="written")
    desk.plan("k2", content="about_nobody")
    await desk.deliver("k1")
    await desk.deliver("k2")

    assert text_of(desk, "k1")["because"] == "residence"
    # What is told of nobody may be written for everybody.
    assert text_of(desk, "k2")["ai_generated"] is True
    assert [each["messages"][1]["content"] for each in server.asked] == [
        '{"reader": {}, "language": "en", "channel": "email"}'
    ]


async def test_of_who_lives_in_another_country_something_is_told_only_with_their_separate_consent(
    sqlite_desk: Desk, server: ChatServer
) -> None:
    desk = sqlite_desk
    publish(desk, located="US")
    process(desk, within_reach(server))
    desk.contact(locale="en")
    for key in ("k1", "k2", "k3"):
        desk.plan(key, content="written")

    await desk.deliver("k1")
    assert text_of(desk, "k1") == {
        "generator": "copywriter",
        "instead": "template",
        "because": "cross_border",
        "abroad": {"to": "US"},
    }
    assert server.asked == []

    agree(desk, "granted")
    await desk.deliver("k2")
    assert text_of(desk, "k2")["abroad"] == {"to": "US", "on": "consent"}
    assert len(server.asked) == 1

    agree(desk, "withdrawn")
    await desk.deliver("k3")
    assert text_of(desk, "k3")["because"] == "cross_border"
    assert len(server.asked) == 1


async def test_explain_says_in_words_who_wrote_a_text_or_why_nobody_did(
    sqlite_desk: Desk, server: ChatServer
) -> None:
    desk = sqlite_desk
    publish(desk, located="US", more=PRICE % 1)
    process(desk, within_reach(server))
    desk.contact(locale="en")
    for key in ("k1", "k2"):
        desk.plan(key, content="written")
    await desk.deliver("k1")
    agree(desk, "granted")
    await desk.deliver("k2")

    with desk.store.read() as session:
        first, second = (render(explain_intent(session, desk.shelf, key)) for key in ("k1", "k2"))
    assert "text: the content's own, not that of copywriter: cross_border (the contact did not agree" in first
    assert f"text: written by copywriter, model {MODEL}, 120 tokens" in second
    assert "cost: 0.000450 CNY, at prices of 2026-11-22" in second
    assert "facts of the contact went to US on: consent" in second


async def test_a_ground_of_the_ruleset_takes_facts_abroad_and_is_cited(
    sqlite_desk: Desk, server: ChatServer
) -> None:
    desk = sqlite_desk
    publish(desk, located="US", more="transfers: [{residents: [CN], ground: contract of 2026-01}]")
    process(desk, within_reach(server))
    desk.contact(locale="en")
    desk.plan(content="written")
    await desk.deliver()

    assert text_of(desk)["abroad"] == {"to": "US", "on": "contract of 2026-01"}
    assert text_of(desk)["ai_generated"] is True


async def test_of_who_refused_personalisation_nothing_is_told(written: Desk, server: ChatServer) -> None:
    with written.store.begin() as session:
        record_consent(session, ConsentEntry("ann", "personalisation", "withdrawn", written.journey_now()))
    written.plan(content="written")
    await written.deliver()

    assert [each.body for each in sent(written)] == ["A plain good morning"]
    assert server.asked == []


def test_only_named_facts_are_told_and_unknown_ones_left_out() -> None:
    facts = {
        "contact": {"name": "Ann", "city": None, "email": "ann@example.com"},
        "journey": {"entry": {"product": "cream", "price": 9}},
    }
    named = ("contact.name", "contact.city", "journey.entry.product", "event.amount", "contact.name.first")

    assert told_of(facts, named) == {"contact": {"name": "Ann"}, "journey": {"entry": {"product": "cream"}}}

"""A scene for every no of the gate that no other test brings about, and the register of those that do.

`PRODUCED_BY` names for every reason code a test that makes the real gate, run, task or call write a decision
with it; when that test runs, `tests/conftest.py` looks into its database whether it did.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.contacts.consent import ConsentEntry, record_consent
from engine.gate.consent import PERSONALISATION
from engine.gate.reasons import REASONS
from engine.governance.budgets import say_of_share
from engine.plugin.contracts import Preflight
from engine.plugin.recording import RecordingChannel
from engine.store.tables import ContactRow
from tests.delivery.conftest import START
from tests.delivery.reasons_produced import PRODUCED_BY

TESTS = Path(__file__).parents[1]
HOUR = timedelta(hours=1)
Scene = Callable[[Any], Mapping[str, Any] | None]
"""Sets the desk up; returns what is special about the message."""


def caps(**more: Any) -> str:
    cap = {"id": "few", "counts": "{purpose: marketing}", "when_full": "defer"} | more
    return "kind: caps\nid: caps\ntitle: caps\nowner: us\ncaps:\n  - {" + (
        ", ".join(f"{name}: {value}" for name, value in cap.items()) + "}\n"
    )


def quiet(**more: Any) -> str:
    rule = {"id": "night", "because": "courtesy", "holds_back": "{}", "from": '"00:00"', "until": '"23:00"'}
    written = ", ".join(f"{name}: {value}" for name, value in (rule | more).items() if value is not None)
    return f"kind: quiet_hours\nid: quiet\ntitle: quiet\nowner: us\nquiet_hours:\n  - {{{written}}}\n"


def purposes(consent: str, version: str = "2") -> str:
    return (
        "kind: purposes\nid: purposes\ntitle: purposes\nowner: us\npurposes:\n  - {id: marketing, "
        f'title: marketing, version: "{version}", kind: marketing, max_hold: 3d, consent: {consent}}}\n'
    )


def saying(desk: Any, decision: str, **more: Any) -> None:
    desk.contact(consents=())
    with desk.store.begin() as session:
        record_consent(session, ConsentEntry("ann", "marketing", decision, desk.journey_now(), **more))


def change(desk: Any, **values: Any) -> None:
    with desk.store.begin() as session:
        row = session.get(ContactRow, "ann")
        for name, value in values.items():
            setattr(row, name, value)


def no_contact(desk: Any) -> Mapping[str, Any]:
    return {"contact_id": "nobody"}


def merged(desk: Any) -> None:
    desk.contact()
    change(desk, merged_into="bob")


def without_channels(desk: Any) -> Mapping[str, Any]:
    desk.contact()
    return {"channels": ()}


def by_pigeon(desk: Any) -> Mapping[str, Any]:
    desk.contact()
    return {"channels": ("pigeon",)}


def without_address(desk: Any) -> None:
    desk.contact(platforms=("app",))


class Speechless(RecordingChannel):
    """A channel that cannot say whether it can carry a message."""

    def preflight(self, message: Any) -> Preflight:
        raise RuntimeError("no idea")


def unfit(desk: Any) -> None:
    desk.contact()
    desk.mail = RecordingChannel("mail", preflight=Preflight(ok=False))
    desk.process()


def speechless(desk: Any) -> None:
    desk.contact()
    desk.mail = Speechless("mail")
    desk.process()


def without_plugin(desk: Any) -> None:
    desk.contact()
    desk.mail = RecordingChannel("another")
    desk.process()


def denied(desk: Any) -> None:
    saying(desk, "denied")


def expired(desk: Any) -> None:
    saying(desk, "granted", valid_until=START + HOUR)
    desk.clock.advance(2 * HOUR)


def outdated(desk: Any) -> None:
    desk.publish(purposes=purposes("{honours: []}"))
    saying(desk, "granted", purpose_version="1")


def pending(desk: Any) -> None:
    desk.publish(purposes=purposes("{double_opt_in: {within: 1h}}"))
    saying(desk, "pending", valid_until=START + HOUR)


def lapsed(desk: Any) -> None:
    pending(desk)
    desk.clock.advance(2 * HOUR)


def purpose_of_nobody(desk: Any) -> Mapping[str, Any]:
    desk.contact()
    return {"purpose": "weather"}


def check_gone(desk: Any) -> None:
    desk.contact()
    desk.process(checks=False)


def text_fails(desk: Any) -> Mapping[str, Any]:
    desk.contact()
    desk.publish(
        broken="""
        kind: content
        id: broken
        title: broken
        owner: us
        contents: [{id: broken, locales: {en: {body: "{{ 1 // (contact.order_count or 0) }}"}}}]
        """
    )
    return {"content": "broken"}


def held_out(desk: Any) -> None:
    desk.contact()
    desk.publish(
        apart="""
        kind: experiment
        id: apart
        title: apart
        owner: us
        hold_out: {share: 50%, of: {purposes: [marketing]}, seed: s, starts: "2026-05-01", ends: "2026-05-31",
                   test_contacts: []}
        """.replace(",\n                   test_contacts: []", "")
    )


def too_soon(desk: Any) -> None:
    desk.publish(caps=caps(min_gap="4h"))
    desk.contact()


def defers_too_long(desk: Any) -> None:
    desk.publish(caps=caps(limit=1, window="{rolling: 24h}", max_defer="1h"))
    desk.contact()


def at_night(**more: Any) -> Scene:
    def scene(desk: Any) -> None:
        desk.publish(quiet=quiet(**more))
        desk.contact()

    return scene


def budget(hours: int, **more: Any) -> Scene:
    """Messages of a budget, so many hours after eleven in the morning on the workspace's clock."""
    rule = {"limit": 6, "window": "{calendar: day, timezone: workspace}", "every": "4h", "when_spent": "skip"}
    keys = ", ".join(f"{name}: {value}" for name, value in (rule | more).items())

    def scene(desk: Any) -> None:
        head = "kind: budgets\nid: budgets\ntitle: budgets\nowner: us\nbudgets:\n"
        desk.publish(budgets=head + f"  - {{id: all, unit: messages, pays_for: {{}}, {keys}}}\n")
        desk.contact()
        desk.clock.advance(hours * HOUR)

    return scene


def ahead_and_short(desk: Any) -> Mapping[str, Any]:
    budget(0, shares=HALF)(desk)
    return {"expires_at": START + timedelta(minutes=5)}


def halted_by_hand(desk: Any) -> None:
    desk.files["wayline.yaml"] += "currencies: {EUR: {decimals: 2}}\n"
    desk.publish(events=PAID)
    budget(
        0,
        **{
            "return": "{event: paid, amount: amount, currency: EUR, within: 1d, period: 4h, periods: 3, "
            "unstable_above: 12%}"
        },
    )(desk)
    with desk.store.begin() as session:
        assert say_of_share(
            session, desk.shelf, desk.clock, "all", "others", halted=True, by="somebody", reason="too wild"
        )


def too_late(desk: Any) -> Mapping[str, Any]:
    at_night()(desk)
    return {"expires_at": START + HOUR}


def always(desk: Any) -> None:
    wish(desk, quiet_time="22:00-01:00", others=quiet().splitlines()[-1])


def nothing_personal(desk: Any) -> None:
    desk.contact(consents=("marketing",))
    with desk.store.begin() as session:
        record_consent(session, ConsentEntry("ann", PERSONALISATION, "denied", desk.journey_now()))


def wish(desk: Any, quiet_time: str = "whenever", others: str = "") -> None:
    own = quiet(**{"id": "own", "because": "contact", "wish": "quiet_time", "from": None, "until": None})
    workspace = desk.files["wayline.yaml"] + "attributes: {quiet_time: {type: text}}\n"
    desk.publish(wayline=workspace, quiet=own + others + "\n")
    desk.contact()
    change(desk, attributes={"quiet_time": quiet_time})


PAID = """
    kind: events
    id: events
    title: events
    owner: us
    events: [{id: paid, title: paid, schema: {type: object, properties: {amount: {type: number}}}}]
"""
HALF = "[{id: keen, share: 50%, when: {contact.tags: {has: keen}}}]"
SCENES: Mapping[str, Scene] = {
    "suppressed.no_contact": no_contact,
    "suppressed.merged": merged,
    "channel.none": without_channels,
    "channel.not_configured": by_pigeon,
    "channel.no_identity": without_address,
    "channel.preflight": unfit,
    "channel.preflight_failed": speechless,
    "channel.unavailable": without_plugin,
    "consent.denied": denied,
    "consent.expired": expired,
    "consent.outdated": outdated,
    "consent.pending": pending,
    "consent.lapsed": lapsed,
    "consent.unknown_purpose": purpose_of_nobody,
    "content.check_failed": check_gone,
    "content.not_generated": text_fails,
    "experiment.held_out": held_out,
    "cap.too_soon": too_soon,
    "cap.defer_too_long": defers_too_long,
    "budget.ahead": budget(0, limit=2),
    "budget.spent": budget(12, limit=1),
    "budget.share_spent": budget(12, limit=2, shares=HALF),
    "budget.not_open": budget(0, starts='"2026-06-01"'),
    "budget.too_late": ahead_and_short,
    "budget.halted": halted_by_hand,
    "quiet.hours": at_night(),
    "quiet.skipped": at_night(when_quiet="skip"),
    "quiet.too_late": too_late,
    "quiet.always": always,
    "quiet.unreadable_wish": wish,
    "content.personal_only": nothing_personal,
}
AFTER_ANOTHER = {
    *("cap.too_soon", "cap.defer_too_long"),
    *("budget.ahead", "budget.spent", "budget.share_spent", "budget.too_late"),
}


@pytest.mark.parametrize("reason", SCENES)
async def test_the_gate_says_no_for_this_reason(sqlite_desk: Any, reason: str) -> None:
    desk = sqlite_desk
    more = dict(SCENES[reason](desk) or {})
    contact = more.pop("contact_id", "ann")
    if reason in AFTER_ANOTHER:
        desk.plan("before", contact)
        await desk.deliver("before")
    if reason == "experiment.held_out":
        for number in range(20):
            desk.contact(f"c{number}")
            desk.plan(f"k{number}", f"c{number}")
            await desk.deliver(f"k{number}")
        assert {"sent.accepted", reason} == {each for n in range(20) for each in desk.reasons(f"k{n}")}
        return
    desk.plan("k", contact, **more)
    await desk.deliver("k")
    assert desk.reasons("k") == [reason]
    assert not desk.mail.sent[len(desk.reasons("before")) :]


def test_every_reason_code_has_a_test_that_brings_it_about() -> None:
    written = {
        node.name
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    named = {code: test for code, test in PRODUCED_BY.items() if test in written}
    assert set(REASONS) - set(named) - set(SCENES) == set()

"""Texts of channels and their approval: over SQL and in virtual time the same is held, blocked and sent."""

from __future__ import annotations

import shutil
import tempfile
import textwrap
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.authoring.outgoing import outgoing
from engine.clock import FixedClock
from engine.content.sealing import seal
from engine.delivery.content import ContentPipeline
from engine.delivery.gate_rules import gate_rules
from engine.delivery.intents import plan
from engine.delivery.limits import Limits
from engine.delivery.passing import Means, at_once, pass_gate
from engine.delivery.service import Delivery
from engine.gate.model import Intent
from engine.gate.reviewing import Reviewed
from engine.gate.state import Claim, Identity, Standing
from engine.governance.publishing import publish
from engine.governance.reviews import ReviewRefusedError, decide
from engine.plugin.contracts import Channel
from engine.plugin.recording import RecordingChannel
from engine.plugin.registry import load_registry
from engine.simulation.gate_state import MemoryGateState
from engine.simulation.sight import Addressee
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import ContactRow, DecisionRow, IdentityRow
from plugins.generators import template
from tests.simulation.small_workspace import FILES, START

REVIEWED = {
    **{name: FILES[name] for name in ("wayline.yaml", "purposes.yaml", "channels.yaml", "events.yaml")},
    "content.yaml": """
        kind: content
        id: content
        title: content
        owner: us
        contents:
          - id: text
            locales: {en: {subject: Hello, body: Good morning}}
            variants: [{channels: [app], locales: {en: {body: Morning}}}]
        """,
    "platforms.yaml": """
        kind: platforms
        id: platforms
        title: platforms
        owner: us
        platforms:
          - id: recording
            title: Recording
            source: its page
            as_of: "2026-01-01"
            basis: official
            subject_as: first_line
            lines: [{text: So long}]
        """,
    "review.yaml": """
        kind: review
        id: review
        title: review
        owner: us
        stages: [{id: editors}, {id: legal}]
        policies:
          - {id: mail, channels: [email], stages: [editors, legal]}
          - {id: rest, stages: [editors]}
        """,
}
FILES_TEXT = {name: textwrap.dedent(text) for name, text in REVIEWED.items()}
WAYS = [("email",), ("app",), ("email", "app"), ("app", "email")]
STEPS = st.one_of(
    st.tuples(st.just("send"), st.sampled_from(WAYS)),
    st.tuples(
        st.sampled_from(["approve", "approve", "reject", "withdraw"]),
        st.tuples(st.sampled_from(["email", "app"])),
    ),
)
Told = list[tuple[str, str, str, str | None, Any, Any]]


def hashes(bundle: Bundle) -> dict[str, str]:
    return {
        channel: seal(each.spec, each.adapted.draft)
        for channel in ("email", "app")
        for each in outgoing(bundle, "text", channel, "service")
    }


def intent(number: int, channels: tuple[str, ...], bundle: Bundle) -> Intent:
    key = f"k{number:03}"
    return Intent(key, "ann", "service", 50, "text", channels, "s", 1, START, bundle_hash=bundle.hash)


async def in_sql(store: Store, steps: list[tuple[str, tuple[str, ...]]], bundle: Bundle) -> Told:
    shelf, clock = BundleShelf(), FixedClock(START)
    registry = load_registry(entry_points=False, extra=[RecordingChannel(), template])
    delivery = Delivery(store, shelf, registry, clock, public_url="http://here", secret="s", at_once=1)
    named = hashes(bundle)
    with store.begin() as session:
        publish(session, FILES_TEXT, by="author", now=START)
        session.add(ContactRow(id="ann", created_at=START, timezone="UTC"))
        for platform in ("email", "app"):
            address = f"ann-{platform}"
            session.add(IdentityRow(platform=platform, address=address, contact_id="ann", added_at=START))
    for number, (what, channels) in enumerate(steps):
        if what == "send":
            with store.begin() as session:
                plan(session, intent(number, channels, bundle), now=START)
            await delivery.deliver(f"k{number:03}")
            continue
        try:
            with store.begin() as session:
                decide(session, shelf, named[channels[0]], what, by="lea", now=START)  # type: ignore[arg-type]
        except ReviewRefusedError:
            continue
        while await delivery.deliver_due(1):
            pass
    await delivery.close()
    with store.read() as session:
        rows = session.scalars(select(DecisionRow).order_by(col(DecisionRow.id)))
        return [
            (row.intent_key or "", row.verdict, row.reason, row.channel, *text_of(row.evidence))
            for row in rows
        ]


def text_of(evidence: Mapping[str, Any]) -> tuple[Any, Any]:
    """Which text left, and what was changed of it."""
    return evidence.get("content_hash"), evidence.get("adapted")


class _Outlets:
    """One channel for all."""

    def __init__(self) -> None:
        self.channel = RecordingChannel()

    def open(self, bundle: Bundle, channel: str) -> Channel | None:
        return self.channel


async def in_memory(steps: list[tuple[str, tuple[str, ...]]], bundle: Bundle) -> Told:
    someone = Addressee(
        Standing(timezone="UTC"), tuple(Identity(name, f"ann-{name}") for name in ("email", "app"))
    )
    state, clock = MemoryGateState(gate_rules(bundle), lambda _: someone), FixedClock(START)
    registry = load_registry(entry_points=False, extra=[RecordingChannel(), template])

    async def bundle_named(_: str) -> Bundle:
        return bundle

    limits = Limits()
    means = Means(
        state=state,
        content=ContentPipeline(registry.generators, registry.checks, "http://here", "s", limits, clock),
        outlets=_Outlets(),
        bundle_of=bundle_named,
        clock=clock,
        limits=limits,
        do=at_once,
        wait_for=at_once,
    )
    named, texts = hashes(bundle), dict[str, Reviewed]()
    stages = {"email": ["editors", "legal"], "app": ["editors"]}
    state.review(texts)
    for number, (what, channels) in enumerate(steps):
        if what == "send":
            state.plan(intent(number, channels, bundle))
            await _pass(state, means, f"k{number:03}")
            continue
        channel = channels[0]
        known = texts.get(named[channel], Reviewed())
        if what == "approve":
            missing = [stage for stage in stages[channel] if stage not in known.approved]
            if not missing:
                continue
            known = replace(known, approved=(*known.approved, missing[0]), refused=None)
        elif what == "withdraw" and not known.approved:
            continue
        else:
            known = Reviewed(refused="rejected" if what == "reject" else "withdrawn")
        texts[named[channel]] = known
        state.review(texts)
        for key in state.due(START):
            await _pass(state, means, key)
    told = [(each.key, each.answer) for each in state.decisions]
    return [
        (key, answer.verdict.value, answer.reason, answer.channel, *text_of(answer.evidence))
        for key, answer in told
    ]


async def _pass(state: MemoryGateState, means: Means, key: str) -> None:
    claim = state.claim(key, START)
    if isinstance(claim, Claim):
        await pass_gate(claim, means, carried=True)


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(STEPS, min_size=1, max_size=12))
async def test_both_drivers_hold_block_and_send_the_same(
    steps: list[tuple[str, tuple[str, ...]]], _sqlite_template: Path
) -> None:
    bundle = bundle_of(FILES_TEXT)
    remembered = await in_memory(steps, bundle)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            written = await in_sql(store, steps, bundle)
    assert written == remembered

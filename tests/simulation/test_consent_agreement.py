"""Consents, pending ones and refusals of every width: production over SQL and virtual time do the same."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import textwrap
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.store.database import Store
from tests.simulation.small_workspace import FILES, PEOPLE
from tests.simulation.two_drivers import Happening, SqlLife, live_in_memory

CONSENT: Mapping[str, str] = {
    **{name: FILES[name] for name in ("wayline.yaml", "channels.yaml", "events.yaml")},
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: us
        purposes:
          - id: marketing
            title: marketing
            version: "2"
            kind: marketing
            max_hold: 2d
            consent: {valid_for: 9d, honours: []}
          - id: news
            title: news
            version: "1"
            kind: marketing
            max_hold: 2d
            consent: {double_opt_in: {within: 2d, channels: [email]}}
          - {id: service, title: service, version: "1", kind: transactional, max_hold: 1d}
        """,
    "caps.yaml": """
        kind: caps
        id: caps
        title: caps
        owner: us
        caps:
          - id: one_a_day
            counts: {purpose: marketing}
            limit: 1
            window: {calendar: day, timezone: contact}
            when_full: defer
            max_defer: 36h
          - {id: breathing, counts: {purpose: news}, min_gap: 4h, when_full: defer}
        """,
    "content.yaml": """
        kind: content
        id: content
        title: content
        owner: us
        contents:
          - {id: text, locales: {en: {subject: Hello, body: Good morning}}}
          - {id: confirm, locales: {en: {subject: Please, body: "{{ links.confirm }}"}}}
        """,
    "words.yaml": """
        kind: opt_outs
        id: words
        title: words
        owner: us
        opt_outs:
          - {id: mails, words: [STOP], identities: [email], source: a law, as_of: "2026-03-01"}
          - {id: all, words: [UNSUBSCRIBE], source: a law, as_of: "2026-03-01"}
        """,
    "regrets.yaml": """
        kind: journey
        id: regrets
        title: regrets
        owner: us
        purpose: service
        enter: {event: consent_withdrawn, when: {event.mechanism: opt_out_word}, reentry: always}
        steps:
          - {send: sorry, content: text, channels: [email, app]}
        """,
    "talk.yaml": """
        kind: journey
        id: talk
        title: talk
        owner: us
        purpose: service
        enter: {event: added, reentry: never}
        steps:
          - {wait_for: question, event: message_received, when: {event.opt_out: {exists: false}}, up_to: 9d}
          - {send: answer, content: text, channels: [app, email]}
        """,
    "ask.yaml": """
        kind: journey
        id: ask
        title: ask
        owner: us
        purpose: service
        enter: {event: consent_pending, reentry: always}
        steps:
          - {send: ask, content: confirm, channels: [email]}
          - {wait_for: yes_or_no, event: consent_confirmed, up_to: 1d, then: [{tag: t, add: [confirmed]}]}
        """,
    "letters.yaml": """
        kind: journey
        id: letters
        title: letters
        owner: us
        purpose: news
        enter: {event: [added, viewed], reentry: always}
        steps:
          - {send: first, content: text, channels: [email]}
          - {wait: rest, for: 30h}
          - {send: second, content: text, channels: [email, app]}
        """,
    "offers.yaml": """
        kind: journey
        id: offers
        title: offers
        owner: us
        purpose: marketing
        enter: {event: [added, paid], reentry: always}
        steps:
          - {send: offer, content: text, channels: [app, email]}
          - {send: more, content: text, channels: [app]}
          - {wait: rest, for: 20h}
          - {send: mixed, content: text, channels: [email], purpose: news}
          - {send: receipt, content: text, channels: [app, email], purpose: service}
        """,
}
TOLD = ["marketing_stopped", "marketing_resumed"]
SAYINGS = ["consent_granted", "consent_granted", "consent_withdrawn", "consent_denied", "consent_confirmed"]


@cache
def bundle() -> Bundle:
    return bundle_of({name: textwrap.dedent(text) for name, text in CONSENT.items()})


def said(purpose: str, channel: str | None, text: str) -> dict[str, Any]:
    told = {"purpose": purpose, "text": text}
    return told if channel is None else {**told, "channel": channel}


lives = st.lists(
    st.builds(
        Happening,
        pause=st.sampled_from([0, 60, 4 * 3600, 20 * 3600, 3 * 86400]).map(
            lambda seconds: timedelta(seconds=seconds)
        ),
        who=st.sampled_from([person.id for person in PEOPLE]),
        event=st.sampled_from([*SAYINGS, "added", "viewed", "paid", "message_received", *TOLD]),
        properties=st.builds(
            said,
            st.sampled_from(["marketing", "news", "service", "*"]),
            st.sampled_from([None, "email", "app", "*"]),
            st.sampled_from(["stop!", "Unsubscribe", "where is it?"]),
        ),
    ).map(lambda each: each if each.event != "consent_confirmed" else _confirming(each)),
    min_size=2,
    max_size=12,
)


def _confirming(happening: Happening) -> Happening:
    channel = happening.properties.get("channel", "email")
    return Happening(
        happening.pause, happening.who, happening.event, {**happening.properties, "channel": channel}
    )


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(life=lives)
def test_sql_and_virtual_time_hear_the_same(life: list[Happening], _sqlite_template: Path) -> None:
    in_memory, facts = asyncio.run(live_in_memory(life, bundle()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            sql = SqlLife(store, bundle().files)
            in_sql = asyncio.run(sql.live(life))
    for person in PEOPLE:
        for number, (one, other) in enumerate(zip_longest(in_sql[person.id], in_memory[person.id])):
            assert one == other, f"decision {number} about {person.id}"
    assert set(facts) == {person.id for person in PEOPLE}

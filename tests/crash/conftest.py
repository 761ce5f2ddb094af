"""An installation whose processes die, the two providers that count what reaches them, and the reckoning."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from textwrap import dedent
from typing import Any

from sqlalchemy import func, select
from sqlmodel import col

from engine.demo.receivers import MailReceiver, WebhookReceiver
from engine.governance.publishing import publish
from engine.store.control import ensure_control
from engine.store.database import Store
from engine.store.tables import CallRow, IntentRow, OutboxRow, RunRow

ROOT = Path(__file__).parents[2]
STEP = 2 * 3600
"""Seconds by which every process's clock is ahead of that of the one before: leases and waits are over."""
SECRET = "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0"

WORKSPACE = {
    "wayline.yaml": """
        kind: workspace
        id: crash
        title: crashes
        owner: tests
        timezone: UTC
        locales: [en]
        identities: [email, app, nowhere]
    """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: tests
        purposes:
          - {id: marketing, title: marketing, version: "1", kind: marketing, max_hold: 90d}
          - id: receipts
            title: receipts
            version: "1"
            kind: transactional
            max_hold: 90d
            repeat_unknown: true
    """,
    "caps.yaml": """
        kind: caps
        id: caps
        title: caps
        owner: tests
        caps:
          - {id: breath, counts: {purpose: marketing}, min_gap: 30m, when_full: defer, max_defer: 60d}
    """,
    "channels.yaml": """
        kind: channels
        id: channels
        title: channels
        owner: tests
        channels:
          - id: email
            plugin: email
            identity: email
            settings: {host: 127.0.0.1, port: {env: TEST_SMTP_PORT}, tls: none, sender: shop@example.com}
          - id: app
            plugin: webhook
            identity: app
            settings: {url: {env: TEST_WEBHOOK_URL}, secret: {env: TEST_WEBHOOK_SECRET}}
          - id: nowhere
            plugin: webhook
            identity: nowhere
            settings: {url: {env: TEST_WEBHOOK_URL}, secret: {env: TEST_WEBHOOK_SECRET}}
    """,
    "actions.yaml": """
        kind: actions
        id: actions
        title: actions
        owner: tests
        actions:
          - id: points
            plugin: webhook_call
            settings: {url: {env: TEST_WEBHOOK_URL}, secret: {env: TEST_WEBHOOK_SECRET}}
    """,
    "content.yaml": """
        kind: content
        id: content
        title: content
        owner: tests
        contents:
          - {id: one, locales: {en: {subject: hello, body: "one {{ contact.id }}"}}}
          - {id: two, locales: {en: {subject: hello, body: "two {{ contact.id }}"}}}
          - {id: three, locales: {en: {subject: hello, body: "three {{ contact.id }}"}}}
          - {id: receipt, locales: {en: {subject: receipt, body: "receipt {{ contact.id }}"}}}
          - {id: four, locales: {en: {subject: hello, body: "four {{ contact.id }}"}}}
    """,
    "story.yaml": """
        kind: journey
        id: story
        title: with keys, an action, a receipt without, one without that is held, one with, one for nobody
        owner: tests
        purpose: marketing
        enter: {event: contact_added, reentry: never}
        steps:
          - {send: first, content: one, channels: [app]}
          - {call: points, action: points, values: {points: 50}}
          - {send: receipt, content: receipt, channels: [email], purpose: receipts}
          - {send: second, content: two, channels: [email]}
          - {wait: pause, for: 1h}
          - {send: third, content: three, channels: [app]}
          - {send: fourth, content: four, channels: [nowhere]}
    """,
}
SENDS = 5
RECEIPT = "receipt"
"""The message without keys that is declared to be sent at least once."""


class Keyed(WebhookReceiver):
    """A provider that honours keys, and knows what each key was for."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        """Contact and content, or contact and step of a call -> the keys that came for it."""

    def note(self, headers: dict[str, str], body: bytes) -> None:
        data = json.loads(body)["data"]
        what = data.get("content") or data["step"]
        self.keys[data["contact_id"], what].add(headers["webhook-id"])


class Unkeyed(MailReceiver):
    """A provider that knows no keys; receipts are told from what may never come twice."""

    def __init__(self) -> None:
        super().__init__()
        self.receipts: set[str] = set()
        """Their Message-IDs."""

    def note(self, message: EmailMessage) -> None:
        if message["Subject"] == RECEIPT:
            self.receipts.add(str(message["Message-ID"]))

    @property
    def others(self) -> Counter[str]:
        """How often each of the others came."""
        return Counter({name: count for name, count in self.taken.items() if name not in self.receipts})

    @property
    def repeated(self) -> int:
        """Receipts that came once more than they should have."""
        return sum(self.taken[name] - 1 for name in self.receipts)


@dataclass
class Host:
    """Starts processes that die, one after another, and keeps count."""

    url: str
    keyed: Keyed
    mail: Unkeyed
    parent: asyncio.subprocess.Process
    chance: random.Random
    ahead: int = 0
    people: int = 0
    unanswered: list[tuple[int, int]] = field(default_factory=list)
    """Batches whose sender knows of no answer: first person, how many."""
    deaths: Counter[str] = field(default_factory=Counter)
    in_flight: set[str] = field(default_factory=set)
    """Messages without keys that were at their provider when a process died, receipts aside."""
    receipts_in_flight: int = 0
    """How often one was at its provider when a process died."""

    async def live_or_die(self, boundary: str | None, times: int, people: int) -> bool:
        """Let a process take in so many people and die the so-manyth time it comes to the boundary.

        Whether it came to it so often; without a boundary it lives.
        """
        self.ahead += STEP
        # Whoever got no answer sends again, to the next process.
        self.unanswered.append((self.people, people))
        self.people += people
        died = await self._order(boundary, times, self.unanswered, []) == -9
        if died:
            self.deaths[str(boundary)] += 1
            self._count_in_flight()
        else:
            self.unanswered = []
        return died

    async def finish(self) -> None:
        """Let a process that lives do all that is left."""
        self.ahead += STEP
        assert await self._order(None, 0, self.unanswered, [STEP] * 6) == 0

    async def _order(
        self, boundary: str | None, times: int, batches: list[tuple[int, int]], steps: list[int]
    ) -> int:
        order = {"boundary": boundary, "times": times, "batches": batches, "steps": steps}
        told = json.dumps({**order, "ahead": self.ahead})
        assert self.parent.stdin is not None and self.parent.stdout is not None
        self.parent.stdin.write(f"{told}\n".encode())
        code = int(await asyncio.wait_for(self.parent.stdout.readline(), 300) or 1)
        assert code in (0, -9), f"the process failed at {boundary}"
        return code

    def _count_in_flight(self) -> None:
        query = select(col(IntentRow.key), col(IntentRow.step_id)).where(
            col(IntentRow.state) == "handed_over", col(IntentRow.channel) == "email"
        )
        with closing(Store(self.url, workers=1)) as store, store.read() as session:
            found = session.execute(query).all()
        self.in_flight |= {key for key, step in found if step != RECEIPT}
        self.receipts_in_flight += sum(step == RECEIPT for _, step in found)

    def reckon(self) -> dict[str, int]:
        """Nothing lost, nothing doubled, and every unknown one was in flight at a kill; the counts."""
        with closing(Store(self.url, workers=1)) as store, store.read() as session:

            def counted(column: Any, *where: Any) -> Counter[str]:
                query = select(column, func.count()).where(*where).group_by(column)
                return Counter(dict(session.execute(query).all()))

            runs = counted(col(RunRow.status))
            ends = counted(col(RunRow.outcome))
            intents = counted(col(IntentRow.outcome))
            calls = counted(col(CallRow.outcome))
            mailed = counted(col(IntentRow.outcome), col(IntentRow.step_id) == "second")
            errands = session.scalar(select(func.count()).select_from(OutboxRow))
        people = self.people
        assert runs == {"ended": people}, f"runs lost: {runs} of {people}"
        assert ends == {"completed": people}
        assert sum(intents.values()) == SENDS * people, f"intents lost: {intents}"
        assert intents["sent"] + intents["unknown"] + intents["blocked"] == SENDS * people, intents
        assert intents["blocked"] == people, "the message that has nowhere to go"
        assert calls == {"done": people}
        assert errands == 0
        assert len(self.keyed.keys) == 3 * people, "lost at the provider with keys"
        doubled = [what for what, keys in self.keyed.keys.items() if len(keys) != 1]
        assert doubled == [], "two keys for one thing"
        assert self.keyed.applied == 3 * people, "effects at the provider with keys"
        assert set(self.mail.others.values()) <= {1}, "doubled without keys"
        assert len(self.mail.receipts) == people, "lost, though declared to come at least once"
        assert self.mail.repeated <= self.receipts_in_flight, "repeated without having been in doubt"
        assert mailed["unknown"] <= len(self.in_flight), "more unknown than were in flight"
        assert intents["unknown"] == mailed["unknown"], "with keys nothing stays unknown"
        assert mailed["sent"] <= len(self.mail.others) <= people
        assert len(self.mail.others) + mailed["unknown"] >= people
        return {
            "people": people,
            "intents": sum(intents.values()),
            "calls": people,
            "kills": sum(self.deaths.values()),
            "boundaries": len(self.deaths),
            "lost": 0,
            "doubled with keys": 0,
            "doubled without keys": 0,
            "in flight without keys": len(self.in_flight),
            "unknown": intents["unknown"],
            "repeated with keys": self.keyed.repeated,
            "receipts in flight": self.receipts_in_flight,
            "receipts repeated, as declared": self.mail.repeated,
        }


@asynccontextmanager
async def hosted(url: str, folder: Path, seed: int) -> AsyncIterator[Host]:
    """A published workspace over a fresh database, the providers, and the parent of its processes."""
    files = {name: dedent(text) for name, text in WORKSPACE.items()}
    with closing(Store(url, workers=1)) as store, store.begin() as session:
        now = datetime.now(UTC) - timedelta(minutes=1)
        ensure_control(session, now)
        publish(session, files, by="tests", now=now)
    async with Unkeyed() as mail, Keyed() as keyed:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "WAYLINE_DATABASE_URL": url,
            "WAYLINE_DATA_DIR": str(folder),
            "WAYLINE_SECRET_KEY": "secret-of-the-test",
            "WAYLINE_LOG_FORMAT": "console",
            "TEST_SMTP_PORT": str(mail.port),
            "TEST_WEBHOOK_URL": f"http://127.0.0.1:{keyed.port}/",
            "TEST_WEBHOOK_SECRET": SECRET,
        }
        log = folder / "processes.log"
        with log.open("wb") as errors:
            parent = await asyncio.create_subprocess_exec(
                sys.executable,
                str(Path(__file__).with_name("doomed.py")),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=environment,
                cwd=folder,
            )
        try:
            yield Host(url, keyed, mail, parent, random.Random(seed))
        except BaseException:
            sys.stdout.write(log.read_text()[-6000:])  # pytest shows it with the failure
            raise
        finally:
            assert parent.stdin is not None
            parent.stdin.close()
            with contextlib.suppress(ProcessLookupError):
                parent.kill()
            await parent.wait()

"""kill -9 of every process, of Temporal's server too, amid hundreds of sends: none lost, none doubled.

Every journey sends by webhook (whose receiver honours idempotency keys), waits, sends by e-mail (whose
receiver knows no keys), waits and sends by webhook again.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from engine.demo.receivers import MailReceiver, WebhookReceiver
from engine.store.database import Store
from engine.store.tables import IntentRow, RunRow

pytestmark = [pytest.mark.temporal, pytest.mark.xdist_group("kills"), pytest.mark.timeout(400)]

CONTACTS = 120
KILLS = 16

WORKSPACE = {
    "wayline.yaml": """
        kind: workspace
        id: kills
        title: kill tests
        owner: tests
        timezone: UTC
        locales: [en]
        identities: [email, app]
    """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: tests
        purposes:
          - {id: marketing, title: marketing, version: "1", kind: marketing, max_hold: 3d}
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
    """,
    "content.yaml": """
        kind: content
        id: content
        title: content
        owner: tests
        contents:
          - {id: hello, locales: {en: {subject: hello, body: "hello {{ contact.id }}"}}}
    """,
    "three_sends.yaml": """
        kind: journey
        id: three_sends
        title: three sends
        owner: tests
        purpose: marketing
        enter: {event: contact_added, reentry: never}
        steps:
          - {send: first, content: hello, channels: [app]}
          - {wait: pause, for: 4s}
          - {send: second, content: hello, channels: [email]}
          - {wait: rest, for: 4s}
          - {send: third, content: hello, channels: [app]}
    """,
}


def _arrivals(first: int, count: int) -> list[dict[str, Any]]:
    batch: list[dict[str, Any]] = []
    for number in range(first, first + count):
        user = f"user-{number}"
        batch.append(
            {
                "type": "identify",
                "messageId": f"identify-{number}",
                "userId": user,
                "traits": {"email": f"user{number}@example.com", "app": f"device-{number}"},
            }
        )
        batch.append(
            {
                "type": "track",
                "event": "consent_granted",
                "messageId": f"consent-{number}",
                "userId": user,
                "properties": {"purpose": "marketing"},
            }
        )
        batch.append(
            {"type": "track", "event": "contact_added", "messageId": f"added-{number}", "userId": user}
        )
    return batch


def _count(store: Store, column: Any) -> Counter[str]:
    with store.read() as session:
        return Counter(dict(session.execute(select(column, func.count()).group_by(column)).all()))


async def _feed(port: int, *, at_a_time: int = 30) -> None:
    """Tell of everybody; whoever gets no answer tells again."""
    async with httpx.AsyncClient(timeout=30) as client:
        for first in range(0, CONTACTS, at_a_time):
            while True:
                try:
                    answer = await client.post(
                        f"http://127.0.0.1:{port}/v1/batch",
                        json={"batch": _arrivals(first, at_a_time)},
                        auth=("write-key-of-the-test", ""),
                    )
                except httpx.TransportError:
                    await asyncio.sleep(0.2)
                else:
                    assert answer.status_code == 200, answer.text
                    break


async def test_kill_9_of_worker_and_temporal_loses_nothing_and_doubles_nothing(installation: Any) -> None:
    assert await _killed(installation, _kill_all_the_way) > 0, "the kills hit sends in flight"


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2])
async def test_kill_9_of_anything_at_any_moment_loses_nothing_and_doubles_nothing(
    installation: Any, seed: int
) -> None:
    chance = random.Random(seed)

    async def kill_whatever(
        installation: Any, store: Store, mail: MailReceiver, webhook: WebhookReceiver
    ) -> int:
        """Kill this and that, over and over; returns how many sends were in flight then."""
        installation.start("api", "dispatch", "worker")
        await installation.until_ready()
        feeding = asyncio.create_task(_feed(installation.port, at_a_time=10))
        victims = ["api", "dispatch", "worker", "temporal"] * (KILLS // 4)
        in_flight = 0
        for victim in chance.sample(victims, KILLS):
            await asyncio.sleep(chance.uniform(0.5, 3))
            if victim == "temporal":
                await installation.kill_temporal()
            else:
                installation.kill(victim)
            in_flight += _count(store, IntentRow.state)["handed_over"]
            if victim == "temporal":
                await installation.temporal.start()
            else:
                installation.start(victim)
        await feeding
        await installation.until(
            lambda: _count(store, RunRow.status)["ended"] == CONTACTS, "every run to end", patience=600
        )
        return in_flight

    await _killed(installation, kill_whatever, answer_after=1.5)


Killing = Callable[[Any, Store, MailReceiver, WebhookReceiver], Awaitable[int]]


async def _killed(installation: Any, kill: Killing, *, answer_after: float = 0.3) -> int:
    """Have everybody live through three sends while `kill` does what it does, and reckon.

    The mail server takes so many seconds to answer, in which nobody who dies can know. Returns how many sends
    were in flight at the kills.
    """
    async with MailReceiver(answer_after=answer_after) as mail, WebhookReceiver() as webhook:
        installation.environment |= {
            "TEST_SMTP_PORT": str(mail.port),
            "TEST_WEBHOOK_URL": f"http://127.0.0.1:{webhook.port}/",
            "TEST_WEBHOOK_SECRET": "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0",
        }
        installation.publish(WORKSPACE)
        await installation.temporal.start()
        try:
            with closing(installation.store()) as store:
                in_flight = await kill(installation, store, mail, webhook)
                _nothing_lost_nothing_doubled(store, mail, webhook, in_flight)
                return in_flight
        finally:
            installation.stop()
            await installation.temporal.stop()


async def _kill_all_the_way(
    installation: Any, store: Store, mail: MailReceiver, webhook: WebhookReceiver
) -> int:
    """Feed, kill twice at telling moments, restart; returns how many sends were in flight at the kills."""
    installation.start("api", "dispatch", "worker")
    await installation.until_ready()
    feeding = asyncio.create_task(_feed(installation.port))
    await installation.until(lambda: len(mail.taken) >= CONTACTS // 4, "a quarter of the mails")
    installation.kill("worker")
    in_flight = _count(store, IntentRow.state)["handed_over"]
    await installation.kill_temporal()
    installation.kill("dispatch")
    in_flight += _count(store, IntentRow.state)["handed_over"]
    await feeding
    # Runs that the API had just begun to carry are picked up by the dispatcher when their leases end.
    installation.kill("api")
    in_flight += _count(store, IntentRow.state)["handed_over"]
    await installation.temporal.start()
    installation.start("worker", "dispatch")
    await installation.until(lambda: webhook.applied >= CONTACTS * 5 // 4, "a quarter of the third messages")
    installation.kill("worker")
    in_flight += _count(store, IntentRow.state)["handed_over"]
    installation.start("worker")
    await installation.until(lambda: _count(store, RunRow.status)["ended"] == CONTACTS, "every run to end")
    return in_flight


def _nothing_lost_nothing_doubled(
    store: Store, mail: MailReceiver, webhook: WebhookReceiver, in_flight: int
) -> None:
    assert _count(store, RunRow.status) == {"ended": CONTACTS}
    outcomes = _count(store, IntentRow.outcome)
    planned = sum(outcomes.values())
    assert planned == 3 * CONTACTS
    assert outcomes["sent"] + outcomes["unknown"] == planned, outcomes
    assert outcomes["unknown"] <= in_flight
    assert webhook.applied == 2 * CONTACTS, "at the receiver with keys every message exactly once"
    assert mail.doubled == 0, "at the receiver without keys none twice"
    assert len(mail.taken) + outcomes["unknown"] >= CONTACTS

"""Accounts at providers: rates are kept by all processes, busy ones waited for, failing ones left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.authoring.loading import load_files
from engine.clock import FixedClock
from engine.delivery.providers import Providers
from engine.gate.model import Intent, Outcome
from engine.gate.rates import Provider, Rate
from engine.gate.state import Attempt, Moment
from engine.plugin.contracts import Accepted, Message, Rejected, Retry, SendResult, Unknown
from engine.plugin.recording import RecordingChannel
from engine.store.database import Store
from engine.store.tables import DecisionRow

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
CHANNELS = """
    kind: channels
    id: channels
    title: channels
    owner: us
    channels:
      - id: email
        plugin: mail
        identity: email
        settings: {}
        account: house
        rates: [{limit: 2, per: 1m, source: the page, as_of: "2026-03-01"}]
      - {id: app, plugin: push, identity: app, settings: {}, circuit: {failures: 2, pause: 30s}}
      - {id: again, plugin: mail, identity: email, settings: {}, account: house}
    """


def evidence(desk: Any, key: str) -> dict[str, Any]:
    return dict(desk.rows(DecisionRow, intent_key=key)[-1].evidence)


async def test_a_rate_is_kept_by_all_processes_and_the_rest_waits_and_leaves(desk: Any) -> None:
    desk.publish(channels=CHANNELS)
    keys = [desk.plan(f"k{number}", desk.contact(f"c{number}")) for number in range(5)]
    ends = []
    for key in keys:
        desk.process()  # each by a process of its own
        ends.append(await desk.deliver(key))

    assert ends == [Outcome.SENT, Outcome.SENT, None, None, None]
    assert desk.reasons("k2") == ["rate.limited"]
    told = evidence(desk, "k2")
    assert (told["account"], told["limit"], told["per_seconds"], told["source"]) == (
        "house",
        2,
        60,
        "the page",
    )
    assert desk.row("k2").retry_at.isoformat() == told["retry_at"]
    waits = [desk.row(key).retry_at - desk.clock.now() for key in keys[2:]]
    assert all(each >= MINUTE for each in waits)
    assert waits == sorted(set(waits))

    last = desk.clock.now() + waits[-1]
    while desk.clock.now() <= last + MINUTE:
        desk.clock.advance(6 * SECOND)
        await desk.settle_down()
    assert [desk.row(key).outcome for key in keys] == ["sent"] * 5
    moments = sorted(desk.row(key).handed_over_at for key in keys)
    assert all(later - earlier >= MINUTE for earlier, later in zip(moments, moments[2:], strict=False))


async def test_channels_of_one_account_share_its_rate(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.publish(channels=CHANNELS)
    for number, channel in enumerate(("email", "again", "again")):
        desk.plan(f"k{number}", desk.contact(f"c{number}"), channels=(channel,))
    ends = [await desk.deliver(f"k{number}") for number in range(3)]

    assert ends == [Outcome.SENT, Outcome.SENT, None]


async def test_a_rate_holds_the_message_on_its_channel(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.publish(channels=CHANNELS)
    for number in range(3):
        desk.plan(f"k{number}", desk.contact(f"c{number}"), channels=("email", "app"))
        await desk.deliver(f"k{number}")

    # Mail is cheap and its turn comes in a minute: nobody is called up on another channel for that.
    assert desk.reasons("k2") == ["rate.limited"]
    assert desk.push.sent == []


async def test_a_provider_that_asks_for_a_pause_gets_it_from_everybody(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.push = RecordingChannel("push", results=[Retry(20 * SECOND, "429", of_provider=True)])
    desk.process()
    desk.publish(channels=CHANNELS)
    for number in range(2):
        desk.plan(f"k{number}", desk.contact(f"c{number}"), channels=("app",))
    assert await desk.deliver("k0") is None
    desk.process()
    assert await desk.deliver("k1") is None

    assert (desk.reasons("k0"), desk.reasons("k1")) == (["rate.retry"], ["rate.provider_busy"])
    assert len(desk.push.calls) == 1
    desk.clock.advance(41 * SECOND)
    await desk.settle_down()
    assert [desk.row(f"k{number}").outcome for number in range(2)] == ["sent", "sent"]


async def test_a_failing_provider_is_left_alone_and_tried_by_one_message(desk: Any) -> None:
    failures: list[SendResult] = [Retry(SECOND, "connection") for _ in range(3)]
    desk.push = RecordingChannel("push", results=failures)
    desk.process()
    desk.publish(channels=CHANNELS)
    for number in range(6):
        desk.plan(f"k{number}", desk.contact(f"c{number}"), channels=("app",))
    for number in range(6):
        assert await desk.deliver(f"k{number}") is None

    # After two failures nobody else calls.
    assert len(desk.push.calls) == 2
    assert [desk.reasons(f"k{number}") for number in range(2, 6)] == [["circuit.open"]] * 4
    told = evidence(desk, "k2")
    assert (told["account"], told["failures"]) == ("app", 2)

    # Half a minute later one tries, fails, and the others wait on; the next one succeeds.
    end = desk.clock.now() + 4 * MINUTE
    calls: list[int] = []
    while desk.clock.now() < end:
        desk.clock.advance(5 * SECOND)
        await desk.settle_down()
        calls.append(len(desk.push.calls))
    assert calls[4] == 2
    assert 3 in calls
    assert [desk.row(f"k{number}").outcome for number in range(6)] == ["sent"] * 6


class Trying(RecordingChannel):
    """A provider that is slow to say whether it is well again: another message wants to leave meanwhile."""

    def __init__(self, desk: Any, results: list[SendResult]) -> None:
        super().__init__("push", results=results)
        self.desk = desk
        self.tries_at = len(results)

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        if len(self.calls) == self.tries_at:
            assert await self.desk.deliver("another") is None
        return await super().send(message, idempotency_key)


async def test_while_one_message_tries_the_others_wait(desk: Any) -> None:
    desk.push = Trying(desk, [Retry(SECOND, "connection"), Retry(SECOND, "connection")])
    desk.process()
    desk.publish(channels=CHANNELS)
    for key in ("k0", "k1", "another"):
        desk.plan(key, desk.contact(key), channels=("app",))
    assert [await desk.deliver("k0"), await desk.deliver("k1")] == [None, None]
    desk.clock.advance(MINUTE)

    assert await desk.deliver("k0") is Outcome.SENT
    assert desk.reasons("another") == ["circuit.half_open"]
    assert evidence(desk, "another")["account"] == "app"
    desk.clock.advance(MINUTE)
    await desk.settle_down()
    assert desk.row("another").outcome == "sent", "it was well again"


async def test_meanwhile_another_channel_of_the_step_is_taken(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.push = RecordingChannel("push", results=[Retry(SECOND, "connection"), Retry(SECOND, "connection")])
    desk.process()
    desk.publish(channels=CHANNELS)
    for number in range(2):
        await desk.deliver(desk.plan(f"k{number}", desk.contact(f"c{number}"), channels=("app",)))

    assert await desk.deliver(desk.plan("k2", desk.contact("c2"), channels=("app", "email"))) is Outcome.SENT
    assert desk.row("k2").channel == "email"


async def test_a_refusal_of_one_message_is_no_failure_of_the_provider(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    results: list[SendResult] = [
        Retry(SECOND, "connection"),
        Rejected("550"),
        Retry(SECOND, "connection"),
        Accepted(),
    ]
    desk.push = RecordingChannel("push", results=results)
    desk.process()
    desk.publish(channels=CHANNELS)
    for number in range(4):
        await desk.deliver(desk.plan(f"k{number}", desk.contact(f"c{number}"), channels=("app",)))

    assert [desk.reasons(f"k{n}")[-1] for n in range(4)] == [
        "rate.retry",
        "failed.rejected",
        "rate.retry",
        "sent.accepted",
    ]


async def test_what_is_in_doubt_is_not_repeated_to_a_provider_that_is_left_alone(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.push = RecordingChannel("push", idempotent=True, results=[Unknown(), Unknown()])
    desk.process()
    desk.publish(channels=CHANNELS)
    for number in range(2):
        desk.plan(f"k{number}", desk.contact(f"c{number}"), channels=("app",))
        await desk.deliver(f"k{number}")
    assert len(desk.push.calls) == 2
    for _ in range(5):
        desk.clock.advance(5 * SECOND)
        await desk.settle_down()
    assert len(desk.push.calls) == 2
    for _ in range(20):
        desk.clock.advance(12 * SECOND)
        await desk.settle_down()
    assert [desk.row(f"k{number}").outcome for number in range(2)] == ["sent", "sent"]


async def test_a_provider_that_is_well_is_asked_nothing_twice(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.publish(channels=CHANNELS)
    for number in range(3):
        await desk.deliver(desk.plan(f"k{number}", desk.contact(f"c{number}"), channels=("app",)))

    with desk.store.read() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM provider").scalar() == 0


def test_a_rate_or_a_pause_for_days_is_refused() -> None:
    text = CHANNELS.replace("per: 1m", "per: 2d").replace("pause: 30s", "pause: 3d")
    codes = {problem.code for problem in load_files({"channels.yaml": text}).errors}

    assert "RS055" in codes


# The hammer


def test_processes_that_ask_at_once_never_exceed_a_rate(database_url: str) -> None:
    command = [sys.executable, str(Path(__file__).with_name("asking.py")), database_url, "2.5"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate(timeout=120)[0] for process in processes]
    moments = sorted(moment for answer in answers for moment in json.loads(answer))

    assert len(moments) > 100
    for limit, per in ((400, 1.0), (600, 2.0)):
        span: deque[float] = deque()
        for moment in moments:
            span.append(moment)
            while span[0] <= moment - per:
                span.popleft()
            assert len(span) <= limit


@pytest.mark.parametrize("back", [timedelta(0), timedelta(hours=1)])
def test_a_clock_that_is_put_back_gives_no_leave_twice(sqlite_store: Store, back: timedelta) -> None:
    clock = FixedClock(datetime.fromisoformat("2026-03-01T09:00:00+00:00"))
    provider = Provider("house", (Rate(2, MINUTE),))
    intent = Intent("k", "c", "marketing", 50, "hello", ("email",), "s", 1, clock.now())
    providers = Providers(sqlite_store)
    moments = [clock.now(), clock.now(), clock.now() - back, clock.now() - back]
    answers = [providers.admit(intent, provider, "email", Moment(each, each)) for each in moments]

    assert answers[:2] == [None, None]
    assert all(answer is not None for answer in answers[2:])
    providers.note(provider, Attempt("email", "accepted"), Moment(clock.now(), clock.now()))

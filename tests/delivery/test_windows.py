"""Windows of platforms from the event that opens one to the message that leaves, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from typing import Any

from engine.delivery.explaining import explain_intent
from engine.gate.model import Outcome
from engine.gate.windows import ChannelWindows
from engine.intake.accepting import Intake
from engine.intake.incoming import IncomingEvent
from engine.intake.merging import Merger
from engine.plugin.contracts import Accepted, Message, Preflight, Rejected, SendResult, Window
from engine.plugin.recording import RecordingChannel
from engine.runs.service import Runs
from engine.store.bundles import BundleShelf
from engine.store.tables import CapPlaceRow, IdentityRow
from tests.delivery.conftest import START, Desk

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
REPLY = Window("reply", 48 * HOUR, allowance=3, source="the platform's page", as_of="2026-11-21")
FOLLOW = Window("follow", timedelta(minutes=1), ("followed",), allowance=1)
EVENTS = """
    kind: events
    id: events
    title: events
    owner: us
    events:
      - {id: followed, title: followed, schema: {type: object}}
      - {id: allowed, title: allowed, schema: {type: object}}
      - {id: refused, title: refused, schema: {type: object}}
    """
CREDITS = Window(
    "credits", None, ("allowed",), allowance=1, adds_up=True, per="template", closed_by=("refused",)
)
_numbers = count(1)


class Templates(RecordingChannel):
    """Takes texts that begin with Good at any time, as a platform that has approved them."""

    def preflight(self, message: Message) -> Preflight:
        return Preflight(True, within=() if message.body.startswith("Good") else None)


def with_windows(desk: Desk, channel: RecordingChannel | None = None) -> RecordingChannel:
    """Let the channel `app` write only to who was heard there."""
    found = channel or RecordingChannel("push", windows=(REPLY, FOLLOW))
    desk.push = found
    said = found.capabilities
    desk.shelf.close()
    desk.shelf = BundleShelf({"push": ChannelWindows(said.windows, said.writes_first)})
    desk.process()
    desk.publish(events=EVENTS)
    desk.contact()
    return found


def hear(
    desk: Desk, event: str = "message_received", *, source: str = "test", who: str = "ann", **said: Any
) -> None:
    """Somebody does something, at whatever address of theirs it may be."""
    runs = Runs(desk.store, desk.shelf, desk.delivery, desk.clock)
    names: Mapping[str, Any] = {"channel": "app"} if event == "message_received" else {}
    intake = Intake(desk.store, desk.shelf, runs, desk.clock)
    told = IncomingEvent(
        f"m{next(_numbers)}",
        event,
        said.pop("identities", ()),
        {**names, **said},
        occurred_at=desk.journey_now(),
        contact_id=who,
    )
    receipt = intake.accept([told], source=source)
    assert (receipt.accepted, receipt.dead) == (1, 0), receipt.refusals


async def send(desk: Desk, key: str, **values: Any) -> Outcome | None:
    desk.plan(key, **({"channels": ("app",)} | values))
    return await desk.deliver(key)


async def test_the_next_channel_takes_it_until_the_contact_writes(desk: Desk) -> None:
    chat = with_windows(desk)
    assert await send(desk, "k1", channels=("app", "email")) is Outcome.SENT
    assert desk.row("k1").channel == "email"
    hear(desk)
    assert await send(desk, "k2", channels=("app", "email")) is Outcome.SENT
    assert (desk.row("k2").channel, len(chat.sent)) == ("app", 1)
    desk.clock.advance(48 * HOUR)
    assert await send(desk, "k3") is Outcome.BLOCKED
    assert desk.reasons("k3") == ["channel.window_closed"]


async def test_a_window_that_is_used_up_opens_again_with_the_next_message(desk: Desk) -> None:
    with_windows(desk)
    hear(desk)
    assert [await send(desk, f"k{n}", purpose="service") for n in range(4)] == [
        *[Outcome.SENT] * 3,
        Outcome.BLOCKED,
    ]
    assert desk.reasons("k3") == ["channel.window_spent"]
    desk.clock.advance(SECOND)
    hear(desk)
    assert await send(desk, "k4") is Outcome.SENT


async def test_what_opens_another_window_has_its_own_allowance_and_length(desk: Desk) -> None:
    with_windows(desk)
    hear(desk, "followed", source="callback:app")
    desk.clock.advance(30 * SECOND)
    assert await send(desk, "k1") is Outcome.SENT
    assert await send(desk, "k2") is Outcome.BLOCKED
    assert desk.reasons("k2") == ["channel.window_spent"]
    hear(desk, "followed", source="callback:email")
    assert await send(desk, "k3") is Outcome.BLOCKED, "another channel told of it"
    desk.clock.advance(30 * SECOND)
    assert await send(desk, "k4") is Outcome.BLOCKED
    assert desk.reasons("k4") == ["channel.window_closed"]


async def test_however_many_are_sent_at_once_no_more_leave_than_the_platform_allows(desk: Desk) -> None:
    chat = with_windows(desk)
    hear(desk)
    for number in range(12):
        desk.plan(f"k{number}", channels=("app",))
    processes = [desk.delivery, desk.process()]
    outcomes = await asyncio.gather(
        *(processes[number % 2].deliver(f"k{number}", carried=True) for number in range(12))
    )
    assert len(chat.sent) == 3
    assert sorted(str(each) for each in outcomes) == ["blocked"] * 9 + ["sent"] * 3


async def test_pages_and_single_messages_count_alike(desk: Desk) -> None:
    chat = with_windows(desk)
    hear(desk)
    for number in range(6):
        desk.plan(f"k{number}", channels=("app",))
    desk.clock.advance(HOUR)
    await desk.settle_down()
    assert len(chat.sent) == 3
    assert {row.state for row in desk.rows(CapPlaceRow, cap_id="window:app:reply")} == {"confirmed"}


async def test_an_approved_text_leaves_at_any_time_and_is_counted_nowhere(desk: Desk) -> None:
    chat = with_windows(desk, Templates("push", windows=(REPLY,), writes_first=True))
    assert await send(desk, "k1") is Outcome.SENT
    assert not desk.rows(CapPlaceRow)
    desk.publish(content=desk.files["content.yaml"].replace("Good morning", "Hi"))
    assert await send(desk, "k2", channels=("app", "email")) is Outcome.SENT
    assert (len(chat.sent), desk.row("k2").channel) == (1, "email")
    assert await send(desk, "k3") is Outcome.BLOCKED
    assert desk.reasons("k3") == ["channel.window_closed"]
    hear(desk)
    assert await send(desk, "k4") is Outcome.SENT


async def test_explain_tells_when_they_were_heard_and_where_the_platform_says_so(desk: Desk) -> None:
    with_windows(desk)
    hear(desk)
    desk.clock.advance(49 * HOUR)
    await send(desk, "k1")
    with desk.store.read() as session:
        story = explain_intent(session, desk.shelf, "k1")
    told = story.decisions[-1]
    assert (told.stage, told.reason) == ("identity", "channel.window_closed")
    assert told.sentence == "the platform lets us write only for a while after the contact was heard"
    assert told.would_pass_if == "the contact is heard on app again"
    assert told.evidence["last_heard"] == START.isoformat()
    assert (told.evidence["source"], told.evidence["as_of"]) == ("the platform's page", "2026-11-21")


async def test_a_message_opens_what_it_came_by_and_an_old_one_no_more_than_its_time(desk: Desk) -> None:
    with_windows(desk)
    hear(desk, channel="email")
    hear(desk, channel="nobody's")
    assert await send(desk, "k1") is Outcome.BLOCKED
    desk.clock.advance(72 * HOUR)
    runs = Runs(desk.store, desk.shelf, desk.delivery, desk.clock)
    intake = Intake(desk.store, desk.shelf, runs, desk.clock)
    late = desk.journey_now() - 47 * HOUR
    words = [
        IncomingEvent(
            f"late{n}", "message_received", (), {"channel": "app"}, occurred_at=at, contact_id="ann"
        )
        for n, at in enumerate([late, late - 5 * HOUR])
    ]
    # The older one comes last and takes nothing back.
    for each in words:
        intake.accept([each], source="test")
    assert await send(desk, "k2") is Outcome.SENT
    desk.clock.advance(HOUR)
    assert await send(desk, "k3") is Outcome.BLOCKED


async def test_the_address_that_wrote_is_the_one_that_may_be_written_to(desk: Desk) -> None:
    chat = with_windows(desk)
    with desk.store.begin() as session:
        newer = IdentityRow(platform="app", address="new-one", contact_id="ann", added_at=START + HOUR)
        session.add(newer)
    desk.clock.advance(2 * HOUR)
    hear(desk, identities=(("app", "device-ann"),))
    assert await send(desk, "k1") is Outcome.BLOCKED, "the message would go to the newer address"
    hear(desk, identities=(("app", "new-one"),))
    assert await send(desk, "k2") is Outcome.SENT
    assert chat.sent[-1].to == "new-one"


async def test_two_who_are_one_have_what_either_of_them_opened_and_used(desk: Desk) -> None:
    chat = with_windows(desk)
    desk.contact("bob", platforms=("email",))
    hear(desk)
    assert await send(desk, "k1") is Outcome.SENT
    runs = Runs(desk.store, desk.shelf, desk.delivery, desk.clock)
    intake = Intake(desk.store, desk.shelf, runs, desk.clock)
    Merger(desk.store, desk.shelf, intake, desk.clock).merge("bob", "ann", by="ops", reason="one person")
    (survivor,) = {row.contact_id for row in desk.rows(IdentityRow)}
    outcomes = [await send(desk, f"m{n}", contact_id=survivor) for n in range(3)]
    assert outcomes == [Outcome.SENT, Outcome.SENT, Outcome.BLOCKED]
    assert len(chat.sent) == 3


class Notices(RecordingChannel):
    """Takes each text as the notice that its content is named after, once for each permission."""

    def preflight(self, message: Message) -> Preflight:
        return Preflight(True, within=(f"credits:{message.content}",))


async def test_two_permissions_are_two_notices_and_one_that_was_refused_is_given_back(desk: Desk) -> None:
    refusing: list[SendResult] = [Accepted(), Rejected("47003", "a value is wrong"), Accepted(), Accepted()]
    chat = with_windows(desk, Notices("push", windows=(CREDITS,), writes_first=True, results=refusing))
    content = "hello"
    for _ in range(2):
        hear(desk, "allowed", source="callback:app", template=content)
        desk.clock.advance(SECOND)
    hear(desk, "allowed", source="callback:app", template="another")
    told = [await send(desk, f"k{number}") for number in range(4)]
    assert told == [Outcome.SENT, Outcome.FAILED, Outcome.SENT, Outcome.BLOCKED]
    assert desk.reasons("k3") == ["channel.window_spent"]
    assert len(chat.sent) == 2
    parts = {row.part for row in desk.rows(CapPlaceRow, cap_id="window:app:credits")}
    assert parts == {content}
    desk.clock.advance(SECOND)
    hear(desk, "allowed", source="callback:app", template=content)
    desk.clock.advance(SECOND)
    hear(desk, "refused", source="callback:app", template=content)
    assert await send(desk, "k5") is Outcome.BLOCKED
    assert desk.reasons("k5") == ["channel.window_closed"]


async def test_what_an_answer_has_to_name_is_known_to_every_process_while_the_window_is_open(
    desk: Desk,
) -> None:
    chat = with_windows(desk)
    hear(desk, reply_to={"conversation": "c-1", "message": "m-1", "nested": {"not": "kept"}})
    assert await send(desk, "k1") is Outcome.SENT
    desk.clock.advance(SECOND)
    hear(desk, reply_to={"conversation": "c-1", "message": "m-2"})
    desk.plan("k2", channels=("app",))
    assert await desk.process().deliver("k2", carried=True) is Outcome.SENT
    assert [message.reply_to for message in chat.sent] == [
        {"reply": {"conversation": "c-1", "message": "m-1"}},
        {"reply": {"conversation": "c-1", "message": "m-2"}},
    ]
    desk.clock.advance(SECOND)
    hear(desk)
    assert await send(desk, "k3") is Outcome.SENT
    assert chat.sent[-1].reply_to == {}, "the latest that they wrote names nothing"

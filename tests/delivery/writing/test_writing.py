"""Texts that generators write: each message has one, labelled, checked, or the content's own instead."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.delivery.authorship import BECAUSE
from engine.delivery.limits import Limits
from engine.delivery.writing import AskingWriters, Written
from engine.gate.model import Outcome
from engine.governance.erasing import Eraser
from engine.plugin.contracts import GenerateRequest, Retry
from engine.store.tables import DecisionRow, WrittenTextRow
from tests.delivery.conftest import Desk
from tests.delivery.writing.conftest import (
    MODELLED,
    OPEN,
    process,
    publish,
    sent,
    text_of,
    used,
    within_reach,
)
from tests.plugins.chat_server import MODEL, ChatServer, Reply, completion


async def test_what_a_model_wrote_is_sent_labelled_and_told(written: Desk, server: ChatServer) -> None:
    written.plan(content="written")

    assert await written.deliver() is Outcome.SENT
    assert [each.body for each in sent(written)] == [MODELLED]
    assert server.reader_of()["reader"] == {"contact": {"locale": "en"}}
    told = text_of(written)
    assert (told["generator"], told["model"], told["ai_generated"], told["tokens"]) == (
        "copywriter",
        MODEL,
        True,
        120,
    )
    assert used(written) == 120


async def test_a_message_that_is_tried_again_is_the_same_and_costs_nothing(
    written: Desk, server: ChatServer
) -> None:
    numbers = iter(range(100))
    server.writes = lambda _: {"subject": "", "body": f"Text number {next(numbers)}", "call_to_action": ""}
    written.mail._script.append(Retry(timedelta(seconds=1)))  # type: ignore[attr-defined]
    written.plan(content="written")
    await written.deliver()
    written.clock.advance(timedelta(days=1))
    process(written, within_reach(server))  # another process, which remembers nothing
    await written.settle_down()

    assert len(server.asked) == 1
    assert {each.body for each in sent(written)} == {"Text number 0\n(AI-generated)"}
    assert used(written) == 120


@pytest.mark.parametrize(
    ("reply", "because"),
    [
        (Reply(500, {"error": {"message": "oh"}}), "server_error"),
        (Reply(429, {"error": {"message": "slow down"}}), "busy"),
        (Reply(200, completion(None, refusal="no")), "refused"),
        (Reply(200, completion("nonsense")), "malformed"),
        (Reply(200, completion({"body": "Free at https://evil.example"})), "contact_not_allowed"),
    ],
)
async def test_without_its_text_the_contents_own_is_sent_and_says_why(
    written: Desk, server: ChatServer, reply: Reply, because: str
) -> None:
    server.replies.append(reply)
    written.plan(content="written")

    assert await written.deliver() is Outcome.SENT
    assert [each.body for each in sent(written)] == ["Good morning from the template"]
    assert text_of(written) == {"generator": "copywriter", "instead": "template", "because": because}
    (row,) = written.rows(WrittenTextRow)
    assert (row.because, row.text) == (because, {})


async def test_checks_read_what_a_model_wrote_as_they_read_any_text(
    written: Desk, server: ChatServer
) -> None:
    server.writes = lambda _: {"subject": "", "body": "It is a mi\u200dracle.", "call_to_action": ""}
    written.plan(content="written")

    assert await written.deliver() is Outcome.BLOCKED
    (decision,) = written.rows(DecisionRow)
    assert decision.reason == "content.check_blocked"
    (finding,) = decision.evidence["findings"]
    assert (finding["code"], finding["start"], finding["end"]) == ("lexicon.wonders", 8, 16)
    assert sent(written) == []


def test_every_reason_of_the_guide_has_words() -> None:
    guide = (Path(__file__).parents[3] / "plugins" / "README.md").read_text(encoding="utf-8")
    table = guide.split("| `because` | |")[1].split("\n\n")[0]
    codes = {
        code for line in table.splitlines()[2:] for code in re.findall("`([a-z_]+)`", line.split("|")[1])
    }

    assert codes == set(BECAUSE) - {"erased"}


async def test_two_who_hold_one_message_have_one_text(written: Desk, server: ChatServer) -> None:
    """A process slept past its lease: both ask, and what was kept first is what both send."""
    with written.store.read() as session:
        bundle = written.shelf.live(session)
    config, spec = bundle.generators["copywriter"], bundle.contents["written"]["en"]
    request = GenerateRequest(spec, {"links": {}}, "email", "marketing", None, date(2026, 3, 1))
    writers = [AskingWriters(written.store, OPEN[-1], Limits(), written.clock) for _ in range(2)]
    first: list[Written] = []

    def writes(body: dict[str, Any]) -> dict[str, str]:
        if not first:
            first.append(Written(None))
            first[0] = writers[1].write(config, "k1", request, date(2026, 3, 1))
            return {"subject": "", "body": "the slow one", "call_to_action": ""}
        return {"subject": "", "body": "the fast one", "call_to_action": ""}

    server.writes = writes
    slow = writers[0].write(config, "k1", request, date(2026, 3, 1))

    assert slow.draft is not None and slow == first[0]
    assert slow.draft.body.startswith("the fast one")


async def test_who_is_erased_is_erased_from_what_was_written(written: Desk, server: ChatServer) -> None:
    written.plan(content="written")
    await written.deliver()
    Eraser(written.store, written.clock, "s" * 32).erase("ann", by="test", reason="asked")

    (row,) = written.rows(WrittenTextRow)
    assert row.text == {}
    assert row.provenance["model"] == MODEL


async def test_without_its_key_every_message_goes_out_in_its_own_text(
    sqlite_desk: Desk, server: ChatServer
) -> None:
    desk = sqlite_desk
    publish(desk)
    process(desk, {})
    desk.contact(locale="en")
    desk.plan(content="written")
    await desk.deliver()

    assert text_of(desk)["because"] == "unavailable"
    assert len(sent(desk)) == 1

"""Temporal's histories hold ids and moments only: nothing that says who a contact is or what they told."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.parse import quote

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from engine.clock import SystemClock
from engine.governance.publishing import publish
from engine.intake.segment import translate
from tests.workflows.conftest import eventually
from tests.workflows.shop import WORKSPACE, Shop, at_work, ref_of
from workflows import messages

pytestmark = pytest.mark.temporal

HISTORIES = sorted((Path(__file__).parents[1] / "histories").glob("*.json"))
PERSONAL = {
    "address": "zebra.quartz.7731@example.org",
    "user": "customer-quince-5518",
    "attribute": "Persephone Ωlafsdóttir",
    "entry": "velvet-cactus-99",
    "reply": "Where is my turquoise samovar?",
}
FILES = {
    **{name: WORKSPACE[name] for name in ("purposes.yaml", "channels.yaml", "breakers.yaml")},
    "wayline.yaml": """
        kind: workspace
        id: carrying
        title: carrying
        owner: tests
        timezone: UTC
        locales: [en]
        identities: [app]
        attributes: {nickname: {type: text}}
    """,
    "events.yaml": """
        kind: events
        id: events
        title: events
        owner: tests
        events:
          - {id: opened, title: opened, schema: {type: object, properties: {note: {type: string}}}}
    """,
    "content.yaml": """
        kind: content
        id: content
        title: content
        owner: tests
        contents:
          - {id: hello, locales: {en: {body: "{{ contact.nickname }}: {{ journey.entry.note }}"}}}
          - {id: answer, locales: {en: {body: "{{ journey.events.reply.text }}"}}}
    """,
    "talk.yaml": """
        kind: journey
        id: talk
        title: talk
        owner: tests
        purpose: service
        enter: {event: opened, reentry: never}
        steps:
          - {set: keep, values: {noted: {fact: journey.entry.note}}}
          - {send: first, content: hello, channels: [letter]}
          - wait_for: reply
            event: message_received
            when: {event.text: {contains: samovar}}
            up_to: 10d
          - {send: second, content: answer, channels: [letter]}
          - {wait: nap, for: 5m}
    """,
}
ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.\w+")
NUMBER = re.compile(r"(?<![0-9A-Za-z.:-])\+?[0-9]{10,15}(?![0-9A-Za-z.:-])")
HAN = re.compile(r"[\u4e00-\u9fff]")


def said(value: Any) -> Iterator[str]:
    """Every text in a history, payloads decoded."""
    if isinstance(value, dict):
        data = value.get("data")
        if "metadata" in value and isinstance(data, str):
            yield base64.b64decode(data).decode("utf-8", "replace")
        for name, part in value.items():
            yield name
            yield from said(part)
    elif isinstance(value, list):
        for part in value:
            yield from said(part)
    elif isinstance(value, str):
        yield value


def payloads(value: Any) -> Iterator[Any]:
    """What every payload holds."""
    if isinstance(value, dict):
        if "metadata" in value and isinstance(value.get("data"), str):
            yield json.loads(base64.b64decode(value["data"]) or b"null")
        for part in value.values():
            yield from payloads(part)
    elif isinstance(value, list):
        for part in value:
            yield from payloads(part)


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for part in value.values():
            yield from keys(part)
    elif isinstance(value, list):
        for part in value:
            yield from keys(part)


OF_THE_SDK = {
    "activation_index",
    "activity_id",
    "activity_type",
    "attempt",
    "backoff",
    "complete_time",
    "nanos",
    "original_schedule_time",
    "seconds",
    "seq",
}
"""What Temporal's own markers of local activities are made of."""
KNOWN = OF_THE_SDK | {
    each.name
    for kind in vars(messages).values()
    if is_dataclass(kind) and kind.__module__ == messages.__name__
    for each in fields(kind)
}
"""The fields of what we tell workflows; a new one is looked at by whoever adds it here or there."""


def disguises(text: str) -> set[bytes]:
    """The text as it may stand in bytes: plain, escaped, encoded."""
    plain = text.encode()
    # Base64 of it at each of the three offsets, without the characters that its neighbours decide.
    encoded = {base64.b64encode(b"\0" * skip + plain)[4 if skip else 0 : -4] for skip in range(3)}
    return {plain, json.dumps(text)[1:-1].encode(), quote(text).encode(), plain.hex().encode(), *encoded}


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
def test_recorded_histories_hold_known_fields_and_nothing_that_looks_personal(file: Path) -> None:
    history = json.loads(file.read_text(encoding="utf-8"))
    found = {name for each in payloads(history) for name in keys(each)}
    assert found <= KNOWN, "what is new in a history is to be looked at"
    for text in said(history):
        for pattern in (ADDRESS, NUMBER, HAN):
            assert not pattern.search(text), text


async def test_a_real_run_tells_temporal_nothing_of_the_person(shop: Shop, client: Client) -> None:
    with shop.services.store.begin() as session:
        files = {name: dedent(text).lstrip("\n") for name, text in FILES.items()}
        publish(session, files, by="test", now=SystemClock().now())
    who = {"userId": PERSONAL["user"]}
    traits = {"app": PERSONAL["address"], "nickname": PERSONAL["attribute"]}
    async with at_work(shop.services):
        await happen(shop, {"type": "identify", **who, "traits": traits})
        await happen(
            shop, {"type": "track", "event": "opened", **who, "properties": {"note": PERSONAL["entry"]}}
        )
        await shop.until(lambda: len(shop.letters()) == 1)
        (row,) = shop.runs()
        handle = client.get_workflow_handle(ref_of(row).workflow_id)
        await eventually(lambda: is_there(handle))
        reply = {"event": "message_received", "properties": {"text": PERSONAL["reply"]}}
        await happen(shop, {"type": "track", **who, **reply})
        await shop.until(lambda: len(shop.letters()) == 2)
        described = await handle.describe()
        await handle.result()
    assert shop.letters() == [f"{PERSONAL['attribute']}: {PERSONAL['entry']}", PERSONAL["reply"]]
    history = await handle.fetch_history()
    everything = b"\n".join(
        [
            *(each.SerializeToString() for each in history.events),
            described.raw_description.SerializeToString(),
            (await handle.describe()).raw_description.SerializeToString(),
            *(text.encode() for text in said(json.loads(history.to_json()))),
        ]
    )
    assert row.id.encode() in everything, "the scan sees what payloads hold"
    for what, text in PERSONAL.items():
        for disguise in disguises(text):
            assert disguise not in everything, f"{what} stands in Temporal as {disguise!r}"


async def happen(shop: Shop, message: dict[str, Any]) -> None:
    accept = shop.services.intake.accept
    receipt = await shop.services.store.run(lambda: accept([translate(message)], source="test"))
    assert receipt.dead == 0
    for run_id in receipt.run_ids:
        await shop.services.runs.carry(run_id)


async def is_there(handle: WorkflowHandle[Any, Any]) -> bool:
    try:
        await handle.describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True

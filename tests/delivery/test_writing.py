"""Texts that generators write: each once, within the budget, told of nobody they must not be told of."""

from __future__ import annotations

import asyncio
import json
import re
import textwrap
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.contacts.consent import ConsentEntry, record_consent
from engine.delivery.authorship import BECAUSE
from engine.delivery.explaining import explain_intent
from engine.delivery.limits import Limits
from engine.delivery.rendering import render
from engine.delivery.writing import AskingWriters, Written, told_of
from engine.gate.model import Outcome
from engine.governance.erasing import Eraser
from engine.plugin.contracts import GenerateRequest, Message, Retry
from engine.plugin.registry import Registry, load_registry
from engine.store.tables import DecisionRow, GeneratorDayRow, GeneratorSpendRow, WrittenTextRow
from plugins.checks import ai_label, lexicon
from plugins.generators import llm, template
from tests.delivery.conftest import Desk
from tests.plugins.chat_server import KEY, MODEL, ChatServer, Reply, chat_server, completion, welcome

GENERATORS = """
    kind: generators
    id: generators
    title: generators
    owner: us
    generators:
      - id: copywriter
        plugin: llm
        settings: {base_url: {env: LLM_URL}, model: small-model, api_key: {env: LLM_KEY}, most_tokens: 100}
        residents: [CN]
        located: %(located)s
        tokens_a_day: %(tokens)s
        %(more)s
    """
PRICE = 'price: {currency: CNY, asked: 2.5, answered: 10, as_of: "2026-11-22", a_day: %s}'
CONTENT = """
    kind: content
    id: written
    title: written
    owner: us
    contents:
      - id: written
        generator: copywriter
        writing: {instructions: Greet them., facts: [contact.locale]}
        locales:
          en: {body: "Good morning from the template"}
        variants:
          - {personal: false, locales: {en: {body: A plain good morning}}}
      - id: about_nobody
        generator: copywriter
        writing: {instructions: Greet them.}
        locales:
          en: {body: "Good morning from the template"}
    """
CHECKS = """
    kind: checks
    id: checks
    title: checks
    owner: us
    checks:
      - {id: no_wonders, plugin: lexicon, lexicons: [wonders], purposes: [marketing]}
      - {id: labelled, plugin: ai_label}
    """
MODELLED = "Welcome. We are glad that you are here.\n(AI-generated)"


@pytest.fixture(scope="module")
def shared() -> Iterator[ChatServer]:
    with chat_server() as server:
        yield server


@pytest.fixture
def server(shared: ChatServer) -> Iterator[ChatServer]:
    shared.writes = welcome
    shared.replies.clear()
    shared.asked.clear()
    yield shared
    assert shared.faults == []


def within_reach(server: ChatServer) -> dict[str, str]:
    return {"LLM_URL": server.url, "LLM_KEY": KEY}


OPEN: list[Registry] = []


@pytest.fixture(autouse=True)
async def _closing() -> AsyncIterator[None]:
    yield
    while OPEN:
        await OPEN.pop().close()


def process(desk: Desk, environ: Mapping[str, str]) -> None:
    """Delivery as one more process would run it, with the model within reach if the environment says so."""
    plugins = [desk.mail, desk.push, template, llm, lexicon, ai_label]
    registry = load_registry(entry_points=False, extra=plugins, environ=environ)
    OPEN.append(registry)
    desk.delivery = type(desk.delivery)(
        desk.store,
        desk.shelf,
        registry,
        desk.clock,
        public_url="https://here.example",
        secret="s" * 32,
    )


@pytest.fixture
def written(sqlite_desk: Desk, server: ChatServer) -> Desk:
    publish(sqlite_desk)
    process(sqlite_desk, within_reach(server))
    sqlite_desk.contact(locale="en")
    return sqlite_desk


def publish(
    desk: Desk,
    tokens: int = 100_000,
    residence: str = "residence: {otherwise: CN}",
    located: str = "CN",
    more: str = "",
) -> None:
    generators = GENERATORS % {"tokens": tokens, "located": located, "more": more}
    files = {"generators": generators, "written": CONTENT, "checks": CHECKS}
    workspace = textwrap.dedent(desk.files["wayline.yaml"]).rstrip() + f"\n{residence}\n"
    if more.startswith("price"):
        workspace += "currencies: {CNY: {decimals: 2}}\n"
    desk.publish(wayline=workspace, **files)


def sent(desk: Desk) -> list[Message]:
    return [each.message for each in desk.mail.calls]  # type: ignore[attr-defined]


def text_of(desk: Desk, key: str = "k1") -> dict[str, Any]:
    """What the last decision about a message says of who wrote it."""
    found: dict[str, Any] = desk.rows(DecisionRow, intent_key=key)[-1].evidence["text"]
    return found


def used(desk: Desk) -> int:
    return sum(row.tokens for row in desk.rows(GeneratorDayRow))


def spent(desk: Desk) -> int:
    return sum(row.millionths for row in desk.rows(GeneratorSpendRow))


def agree(desk: Desk, decision: str, purpose: str = "cross_border") -> None:
    with desk.store.begin() as session:
        record_consent(session, ConsentEntry("ann", purpose, decision, desk.journey_now()))
    desk.clock.advance(timedelta(seconds=1))


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
    assert decision.evidence["channels"]["email"] if "channels" in decision.evidence else True
    assert "content.check_blocked" in json.dumps([decision.reason, decision.evidence])
    assert sent(written) == []


async def test_a_day_has_a_budget_that_is_never_overrun(desk: Desk, server: ChatServer) -> None:
    publish(desk, tokens=4_000)
    process(desk, within_reach(server))
    for number in range(12):
        desk.contact(f"c{number}", locale="en")
        desk.plan(f"k{number}", f"c{number}", content="written")
    over: list[int] = []

    def writes(body: dict[str, Any]) -> dict[str, str]:
        over.append(used(desk))
        return welcome(body)

    server.writes = writes
    await asyncio.gather(*(desk.deliver(f"k{number}") for number in range(12)))

    assert max(over) <= 4_000
    assert used(desk) == 120 * len(server.asked) <= 4_000
    because = [text_of(desk, f"k{number}").get("because") for number in range(12)]
    assert because.count("budget_spent") == 12 - len(server.asked) > 0
    assert len(sent(desk)) == 12
    # A new day in the workspace's zone has its own.
    desk.clock.advance(timedelta(days=1))
    desk.contact("late", locale="en")
    desk.plan("late", "late", content="written")
    await desk.deliver("late")
    assert text_of(desk, "late")["ai_generated"] is True


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


async def test_a_day_has_money_that_is_never_overrun(desk: Desk, server: ChatServer) -> None:
    publish(desk, more=PRICE % "0.04")
    process(desk, within_reach(server))
    for number in range(8):
        desk.contact(f"c{number}", locale="en")
        desk.plan(f"k{number}", f"c{number}", content="written")
    over: list[int] = []

    def writes(body: dict[str, Any]) -> dict[str, str]:
        over.append(spent(desk))
        return welcome(body)

    server.writes = writes
    await asyncio.gather(*(desk.deliver(f"k{number}") for number in range(8)))

    # 100 tokens at 2.50 and 20 at 10 for a million: 450 millionths a text.
    assert max(over) <= 40_000
    assert spent(desk) == 450 * len(server.asked) <= 40_000
    because = [text_of(desk, f"k{number}").get("because") for number in range(8)]
    assert because.count("money_spent") == 8 - len(server.asked) > 0
    # Who may not have the money leaves the tokens to others.
    assert used(desk) == 120 * len(server.asked)
    assert len(sent(desk)) == 8
    costs = [text_of(desk, f"k{number}").get("cost") for number in range(8)]
    assert {"amount": "0.000450", "currency": "CNY", "as_of": "2026-11-22"} in costs


async def test_an_answer_that_cannot_be_sent_has_been_paid_for(sqlite_desk: Desk, server: ChatServer) -> None:
    desk = sqlite_desk
    publish(desk, more=PRICE % 1)
    process(desk, within_reach(server))
    server.replies.append(Reply(body=completion("nonsense", tokens=60)))
    server.replies.append(Reply(body=completion({"body": "Good day"}, tokens=None)))
    for number in (1, 2):
        desk.contact(f"c{number}", locale="en")
        desk.plan(f"k{number}", f"c{number}", content="written")
    await desk.deliver("k1")
    assert spent(desk) == 40 * 2.5 + 20 * 10

    # Of an endpoint that does not count, as much is paid as it may have cost at most.
    await desk.deliver("k2")
    assert spent(desk) == 300 + 10 * (used(desk) - 60)


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


def test_every_reason_of_the_guide_has_words() -> None:
    guide = (Path(__file__).parents[2] / "plugins" / "README.md").read_text(encoding="utf-8")
    table = guide.split("| `because` | |")[1].split("\n\n")[0]
    codes = {
        code for line in table.splitlines()[2:] for code in re.findall("`([a-z_]+)`", line.split("|")[1])
    }

    assert codes == set(BECAUSE) - {"erased"}


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


async def test_of_who_refused_personalisation_nothing_is_told(written: Desk, server: ChatServer) -> None:
    with written.store.begin() as session:
        record_consent(session, ConsentEntry("ann", "personalisation", "withdrawn", written.journey_now()))
    written.plan(content="written")
    await written.deliver()

    assert [each.body for each in sent(written)] == ["A plain good morning"]
    assert server.asked == []


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


def test_only_named_facts_are_told_and_unknown_ones_left_out() -> None:
    facts = {
        "contact": {"name": "Ann", "city": None, "email": "ann@example.com"},
        "journey": {"entry": {"product": "cream", "price": 9}},
    }
    named = ("contact.name", "contact.city", "journey.entry.product", "event.amount", "contact.name.first")

    assert told_of(facts, named) == {"contact": {"name": "Ann"}, "journey": {"entry": {"product": "cream"}}}

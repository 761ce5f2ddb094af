"""A content that a model writes, the model within reach, and what came of it."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from engine.contacts.consent import ConsentEntry, record_consent
from engine.delivery.limits import Limits
from engine.plugin.contracts import Message
from engine.plugin.registry import Registry, load_registry
from engine.store.tables import DecisionRow, GeneratorDayRow, GeneratorSpendRow
from plugins.checks import ai_label, lexicon
from plugins.generators import llm, template
from tests.delivery.conftest import Desk
from tests.plugins.chat_server import KEY, ChatServer, chat_server, welcome

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
    desk.over(registry, limits=Limits())


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

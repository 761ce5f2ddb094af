"""The example of a workspace with a language model: linted, tested, and sent as a model wrote it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.authoring.loading import load_folder
from engine.delivery.limits import Limits
from engine.gate.model import Outcome
from engine.plugin.registry import Registry, load_registry
from engine.simulation.testing import run_tests
from engine.store.tables import ContactRow, DecisionRow
from plugins.channels import file
from plugins.checks import ai_label, brand, language, lexicon, personal_data
from plugins.generators import llm, template
from tests.delivery.conftest import Desk
from tests.plugins.chat_server import KEY, ChatServer, chat_server

EXAMPLE = Path(__file__).parents[2] / "examples" / "written-welcome"
PLUGINS = [file, template, llm, ai_label, brand, language, lexicon, personal_data]


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with chat_server() as found:
        yield found


@pytest.fixture
async def registry(server: ChatServer, tmp_path: Path) -> AsyncIterator[Registry]:
    environ = {
        "WAYLINE_LLM_URL": server.url,
        "WAYLINE_LLM_MODEL": "small-model",
        "WAYLINE_LLM_KEY": KEY,
        "WAYLINE_LETTER_FOLDER": str(tmp_path),
    }
    found = load_registry(entry_points=False, extra=PLUGINS, environ=environ)
    yield found
    await found.close()


def letters(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("*.jsonl"))
    return [json.loads(line) for each in files for line in each.read_text("utf-8").splitlines()]


async def test_it_lints_and_its_tests_pass(registry: Registry) -> None:
    loaded = load_folder(EXAMPLE, registry)
    assert loaded.problems == () and loaded.bundle is not None

    report = await run_tests(loaded.bundle, registry)
    assert report.failed == () and len(report.results) == 2


async def test_a_model_writes_the_welcome_and_the_checks_read_it(
    sqlite_desk: Desk, registry: Registry, server: ChatServer, tmp_path: Path
) -> None:
    desk = sqlite_desk
    desk.files = {
        each.relative_to(EXAMPLE).as_posix(): each.read_text(encoding="utf-8")
        for each in EXAMPLE.glob("*.yaml")
        if not each.name.endswith(".test.yaml")
    }
    desk.publish()
    desk.over(registry, limits=Limits())
    bodies = ["小林好，欢迎加入。杭州的门店可以自提。", "家人们，手慢无。"]
    server.writes = lambda _: {"subject": "欢迎", "body": bodies.pop(0), "call_to_action": ""}
    for number in (1, 2):
        desk.contact(f"c{number}", locale="zh")
        with desk.store.begin() as session:
            row = session.get_one(ContactRow, f"c{number}")
            row.attributes = {"nickname": "小林", "city": "杭州", "country": "CN"}
        desk.plan(f"k{number}", f"c{number}", content="welcome_hello")

    assert await desk.deliver("k1") is Outcome.SENT
    (letter,) = letters(tmp_path)
    assert letter["body"] == "小林好，欢迎加入。杭州的门店可以自提。\n（AI生成）"
    assert server.reader_of(0)["reader"] == {"contact": {"nickname": "小林", "city": "杭州"}}
    told = desk.rows(DecisionRow, intent_key="k1")[-1].evidence["text"]
    # 100 tokens at 0.80 and 20 at 2.00 for a million.
    assert told["cost"] == {"amount": "0.000120", "currency": "CNY", "as_of": "2026-11-22"}

    # What the brand book bans is not sent, whoever wrote it.
    assert await desk.deliver("k2") is Outcome.BLOCKED
    (decision,) = desk.rows(DecisionRow, intent_key="k2")
    assert "brand.banned" in json.dumps([decision.reason, decision.evidence])

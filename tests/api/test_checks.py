"""Checks over HTTP: findings and scores as data, of the bundle in force, for operators only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import TOKEN, Site, opened, workspace

WORDS = """\
kind: lexicon
id: words
title: words
owner: tests
source: the tests
as_of: "2026-11-22"
entries:
  - {term: 最好, severity: block, law: 广告法第九条, suggestion: 很好}
"""
CHECKS = """\
kind: checks
id: checks
title: checks
owner: tests
checks:
  - {id: law, plugin: lexicon, lexicons: [words], purposes: [marketing]}
  - {id: letters, plugin: lexicon, lexicons: [words], channels: [letter], purposes: [service]}
"""


@pytest.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    files = {**workspace(tmp_path / "letters"), "words.yaml": WORDS, "checks.yaml": CHECKS}
    async with opened(database_url, tmp_path, files) as found:
        yield found


async def ask(site: Site, token: str = TOKEN, **wanted: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return await site.client.post("/v1/checks", json=wanted, headers=headers)


async def test_findings_and_scores_are_told(site: Site) -> None:
    answer = await ask(site, body="这是最好的", subject="好", purpose="marketing")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["passes"], told["checks"], told["scores"]) == (False, ["law"], {"compliance": 50})
    assert told["findings"] == [
        {
            "check": "law",
            "code": "lexicon.words",
            "severity": "block",
            "part": "body",
            "start": 2,
            "end": 4,
            "rule": "广告法第九条: 最好",
            "message": "'最好' is in the word list 'words' (as of 2026-11-22)",
            "suggestion": "很好",
        }
    ]


async def test_without_a_channel_or_a_purpose_every_check_looks(site: Site) -> None:
    told = (await ask(site, body="好")).json()
    assert (told["passes"], told["checks"], told["scores"]) == (True, ["law", "letters"], {"compliance": 100})


@pytest.mark.parametrize("wanted", [{"channel": "gone"}, {"purpose": "gone"}])
async def test_what_is_not_there_is_named(site: Site, wanted: dict[str, str]) -> None:
    answer = await ask(site, body="好", **wanted)
    assert answer.status_code == 422
    assert "'gone' in force" in answer.json()["detail"]


async def test_lone_surrogates_and_endless_texts_are_no_accidents(site: Site) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    answer = await site.client.post("/v1/checks", content=b'{"body": "\\ud800\xe6\x9c\x80"}', headers=headers)
    assert answer.status_code in {200, 400, 422}
    long = await ask(site, body="最" * 200_000)
    assert [each["code"] for each in long.json()["findings"]] == ["text.too_long"]
    assert (await ask(site, body="最" * 1_000_001)).status_code == 422


async def test_only_operators_may_ask(site: Site) -> None:
    assert (await ask(site, token="somebody", body="x")).status_code == 401

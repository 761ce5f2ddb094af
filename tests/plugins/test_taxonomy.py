"""What is written down of platforms: dated, with a source, and what channels answer by it."""

from __future__ import annotations

import ast
from datetime import date, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from engine.plugin import Rejected, Retry
from plugins.channels.platforms.taxonomy import LATER, ErrorFact, Means, taxonomy

FOLDER = Path(__file__).parents[2] / "plugins" / "channels" / "platforms"
PLATFORMS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_fact_is_dated_has_a_source_and_stands_once(platform: str) -> None:
    known = taxonomy(platform)
    assert known.platform == platform
    for fact in (*known.limits, *known.rates, *known.windows, *known.errors):
        assert date(2026, 1, 1) <= date.fromisoformat(fact.as_of)
        assert "." in fact.source, "an address, or a document by its name"
    codes = [each.code for each in known.errors]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_code_has_an_answer_that_fits_what_it_means(platform: str) -> None:
    known = taxonomy(platform)
    for fact in known.errors:
        answer = known.refusal(fact.code, retry_after=MINUTE)
        if fact.means in LATER:
            assert answer == Retry(fact.after or MINUTE, fact.code, of_provider=fact.of_provider)
        elif fact.means is not Means.QUOTA:
            assert isinstance(answer, Rejected)
            assert answer.permanent_address == fact.closes_address
    assert isinstance(known.refusal("no such code", retry_after=MINUTE), Rejected)


def test_what_the_platform_says_itself_of_when_to_come_back_counts() -> None:
    answer = taxonomy("dingtalk").refusal("130101", retry_after=MINUTE, asked=timedelta(seconds=3))
    assert isinstance(answer, Retry)
    assert answer.after == timedelta(seconds=3)


@pytest.mark.parametrize("what", ["closes_address", "complaint"])
def test_what_nobody_has_read_closes_no_address(what: str) -> None:
    said = {"code": "1", "means": "not_reachable", "told": "gone", "source": "a.b", "as_of": "2026-11-22"}
    assert ErrorFact.model_validate({**said, what: True, "basis": "official"})
    with pytest.raises(ValidationError, match="closes no address"):
        ErrorFact.model_validate({**said, what: True, "basis": "unverified"})


def test_no_channel_writes_a_length_of_its_platform_itself() -> None:
    written = [
        f"{path.name}:{call.lineno}"
        for path in (Path(__file__).parents[2] / "plugins" / "channels").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Capabilities"
        for said in call.keywords
        if said.arg == "max_length" and "limit(" not in ast.unparse(said.value)
    ]
    assert written == []

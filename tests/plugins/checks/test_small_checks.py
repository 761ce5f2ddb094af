"""The checks beside word lists: personal data, lines that are wanted, lengths, labels, readability, terms."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.plugin import (
    Check,
    CheckContext,
    Draft,
    Finding,
    Lexicon,
    LexiconEntry,
    Provenance,
    Severity,
)
from engine.plugin.answers import fault_of_findings
from engine.plugin.testing import EXAMPLE_CONTEXT, check_check
from plugins.checks.ai_label import AiLabelCheck
from plugins.checks.jargon_density import JargonDensityCheck
from plugins.checks.parts import LONGEST
from plugins.checks.personal_data import PersonalDataCheck
from plugins.checks.platform_length import PlatformLengthCheck
from plugins.checks.readability import ReadabilityCheck
from plugins.checks.required_line import RequiredLineCheck

LINES = Path(__file__).parents[2] / "cases" / "checks" / "evaluation" / "required_lines.yaml"
RISK = {"line": "投资有风险", "law": "《广告法》第二十五条", "where": "基金|理财"}
WANTED: dict[str, dict[str, Any]] = {
    "finance": RISK,
    "health_food": {"line": "本品不能代替药物", "law": "《广告法》第十八条"},
    "otc_drug": {"line": "请按药品说明书或者在药师指导下购买和使用", "law": "《广告法》第十六条"},
    "sms": {"line": "拒收请回复R", "law": "《通信短信息服务管理规定》第十八条"},
}
LENGTH = {"most": 300, "least": 0, "source": "the platform's page, 2026-11-22"}
CASES: list[tuple[Check, dict[str, Any]]] = [
    (PersonalDataCheck(), {}),
    (RequiredLineCheck(), RISK),
    (PlatformLengthCheck(), LENGTH),
    (AiLabelCheck(), {}),
    (ReadabilityCheck(), {}),
    (JargonDensityCheck(), {}),
]
JARGON = Lexicon(
    "jargon",
    tuple(LexiconEntry(term, Severity.INFO) for term in ("赋能", "闭环", "抓手", "颗粒度", "API")),
    "the tests",
    "2026-11-22",
)


def context_of(lexicons: tuple[Lexicon, ...] = (), **said: Any) -> CheckContext:
    return CheckContext("sms", "marketing", "zh-CN", said, lexicons or EXAMPLE_CONTEXT.lexicons)


def found(check: Check, text: str | Draft, *lexicons: Lexicon, **said: Any) -> list[Finding]:
    draft = text if isinstance(text, Draft) else Draft(text)
    return list(check.examine(draft, context_of(lexicons, **said)))


@pytest.mark.parametrize(("check", "said"), CASES, ids=lambda value: getattr(value, "name", ""))
def test_a_check_keeps_the_contract(check: Check, said: dict[str, Any]) -> None:
    check_check(check, context=context_of(**said))


@given(st.text(max_size=80), st.sampled_from(CASES))
@settings(max_examples=150)
def test_any_text_is_examined_and_every_span_lies_in_it(
    text: str, case: tuple[Check, dict[str, Any]]
) -> None:
    check, said = case
    draft = Draft(text, subject=text, provenance=Provenance("", ai_generated=True))
    assert fault_of_findings(check.examine(draft, context_of(**said)), draft) == ""


@pytest.mark.parametrize(("check", "said"), CASES, ids=lambda value: getattr(value, "name", ""))
def test_a_text_beyond_all_measure_is_refused_quickly(check: Check, said: dict[str, Any]) -> None:
    draft = Draft("5" * (LONGEST + 1), provenance=Provenance("", ai_generated=True))
    codes = {each.code for each in check.examine(draft, context_of(**said))}
    assert codes & {"text.too_long", "platform_length.too_long"}


@pytest.mark.parametrize(("check", "said"), CASES, ids=lambda value: getattr(value, "name", ""))
def test_an_unknown_setting_is_refused(check: Check, said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        found(check, "x", **said, unheard_of=1)


@pytest.mark.parametrize(
    "text", ["1" * 50_000, "6222 " * 20_000, "a@" * 50_000, "护照" * 50_000, "+1" * 50_000]
)
def test_texts_made_to_be_slow_are_not(text: str) -> None:
    found(PersonalDataCheck(), text)


def test_a_number_is_named_by_its_kind_and_never_quoted() -> None:
    (finding,) = found(PersonalDataCheck(), "证件号 11010519491231002X 已登记")
    assert (finding.code, finding.severity) == ("personal_data.id_number", Severity.BLOCK)
    assert (finding.start, finding.end) == (4, 22)
    assert "1949" not in finding.message + finding.rule + finding.suggestion


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("抬头人邮箱是wang_wu88@example.com", "email", "wang_wu88@example.com"),
        ("投递 li.ming(at)example.com", "email", "li.ming(at)example.com"),
        ("投递 li [at] example.com", "email", "li [at] example.com"),
        ("打 138.1234.5678 找我", "phone", "138.1234.5678"),
        ("打 138_1234_5678 找我", "phone", "138_1234_5678"),
        ("证件 110105·19491231·002X 登记", "id_number", "110105·19491231·002X"),
        ("打 1 3 8 1 2 3 4 5 6 7 8 找我", "phone", "1 3 8 1 2 3 4 5 6 7 8"),
        ("打幺三八幺二三四五六七八找我", "phone", "幺三八幺二三四五六七八"),
        ("比分 1 3 8 1 2 3 4 5 6 7 8 9", "", ""),
        ("面积 138.1234.5678.9 处", "", ""),
        ("运单 75812349876123", "", ""),
    ],
)
def test_numbers_are_found_as_people_write_them(text: str, kind: str, place: str) -> None:
    said = [(each.code, text[each.start : each.end]) for each in found(PersonalDataCheck(), text)]
    assert said == ([(f"personal_data.{kind}", place)] if kind else [])


def test_ones_own_numbers_may_be_allowed() -> None:
    text = "客服 138-1234-5678，邮箱 help@example.com"
    assert len(found(PersonalDataCheck(), text)) == 2
    assert found(PersonalDataCheck(), text, allowed="13812345678, help@example.com") == []
    text = "客服 138.1234.5678，邮箱 help(at)example.com"
    assert found(PersonalDataCheck(), text, allowed="13812345678, help@example.com") == []


@cache
def lines() -> dict[str, list[dict[str, str]]]:
    read: dict[str, Any] = yaml.safe_load(LINES.read_text(encoding="utf-8"))
    return {key: read[key] for key in ("objectionable", "harmless")}


@pytest.mark.parametrize("verdict", ["objectionable", "harmless"])
def test_a_wanted_line_is_missed_only_where_it_is_missing(verdict: str) -> None:
    for case in lines()[verdict]:
        wanted = WANTED.get(case.get("sector") or case.get("channel", ""))
        if wanted is None or case.get("purpose") == "service":  # a ruleset asks those for nothing
            continue
        said = {**wanted, "where": ""}
        missing = [each.message for each in found(RequiredLineCheck(), case["text"], **said)]
        assert bool(missing) is (verdict == "objectionable"), case
        if missing:
            assert case["missing"] in missing[0]


@pytest.mark.parametrize("written", ["投资有风险|", "|投资有风险", "投资有风险| |投资须谨慎", "\u200b"])
def test_a_wording_of_nothing_which_every_text_would_have_is_refused(written: str) -> None:
    for model, said in (
        (RequiredLineCheck.settings, RISK | {"line": written}),
        (RequiredLineCheck.settings, RISK | {"where": written}),
        (AiLabelCheck.settings, {"label": written}),
    ):
        with pytest.raises(ValidationError, match="beside a bar stands no word"):
            model.model_validate(said)


def test_a_line_is_wanted_only_beside_the_words_that_want_it() -> None:
    assert found(RequiredLineCheck(), "春季新衣上架", **RISK) == []
    (finding,) = found(RequiredLineCheck(), "新发基金今日认购", **RISK)
    assert (finding.code, finding.severity) == ("required_line.missing", Severity.BLOCK)
    assert finding.rule.startswith("《广告法》第二十五条")


@pytest.mark.parametrize(
    ("unit", "text", "span"),
    [
        ("characters", "一二三四五六", (4, 6)),
        ("bytes", "一二", (1, 2)),
        ("utf16", "🔥🔥🔥", (2, 3)),
        ("bytes", "\ud800\ud800", (1, 2)),
    ],
)
def test_a_text_is_counted_as_its_platform_counts(unit: str, text: str, span: tuple[int, int]) -> None:
    (finding,) = found(PlatformLengthCheck(), text, most=4, unit=unit, source="page")
    assert (finding.code, finding.start, finding.end) == ("platform_length.too_long", *span)
    assert found(PlatformLengthCheck(), "", most=4, unit=unit, source="page") == []


def test_a_short_text_is_only_warned_of() -> None:
    (finding,) = found(PlatformLengthCheck(), "一", least=2, most=4, source="page")
    assert (finding.code, finding.severity) == ("platform_length.too_short", Severity.WARN)
    with pytest.raises(ValidationError):
        found(PlatformLengthCheck(), "一", least=5, most=4, source="page")


def test_what_a_model_wrote_says_so() -> None:
    def draft(body: str, *, by_model: bool) -> Draft:
        return Draft(body, provenance=Provenance("writer", ai_generated=by_model))

    (finding,) = found(AiLabelCheck(), draft("新品上架", by_model=True))
    assert (finding.code, finding.severity) == ("ai_label.missing", Severity.BLOCK)
    assert found(AiLabelCheck(), draft("新品上架", by_model=False)) == []
    assert found(AiLabelCheck(), draft("新品上架（AI 生成）", by_model=True)) == []


def test_long_sentences_and_stretches_without_a_pause_are_pointed_at() -> None:
    (long,) = found(ReadabilityCheck(), "短句。" + "这是一句很长的话，" * 12 + "完了。再见。")
    assert (long.code, long.start) == ("readability.long_sentence", 3)
    (clause,) = found(ReadabilityCheck(), "好，" + "没有停顿" * 10 + "，好。")
    assert (clause.code, clause.start, clause.end) == ("readability.long_clause", 2, 42)
    assert found(ReadabilityCheck(), "A short sentence of 3.5 kg. " * 30) == []


def test_a_text_full_of_terms_is_pointed_at_and_one_with_a_few_is_not() -> None:
    (finding,) = found(JargonDensityCheck(), "我们用组合拳赋能商家，找到抓手，形成闭环，细化颗粒度", JARGON)
    assert (finding.code, finding.severity) == ("jargon_density.too_dense", Severity.WARN)
    assert "赋能" in finding.message
    plain = "这款面霜适合秋冬使用，早晚各一次，轻轻按摩到吸收，护肤步骤闭环"
    assert found(JargonDensityCheck(), plain, JARGON) == []
    assert found(JargonDensityCheck(), plain, JARGON, most=0.01)
    assert found(JargonDensityCheck(), "赋能", JARGON) == []

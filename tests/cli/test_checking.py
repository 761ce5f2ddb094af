"""`wayline check`: findings where they stand, the same as data, and mistakes of the command told as such."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command

SHIPPED = Path(__file__).parents[2] / "rulesets"


@pytest.fixture
def check(wayline: Command) -> Command:
    return lambda *arguments: wayline("check", *arguments, "--workspace", SHIPPED)


def test_what_is_found_is_shown_where_it_stands_with_the_law_and_a_way_out(check: Command) -> None:
    shown = check("国\u200b家级面霜，zui好用", "--purpose", "marketing")
    assert shown.status == 1
    assert "⟦国\\u200b家级⟧面霜，⟦zui好⟧用" in shown.out
    assert "block body 0-4" in shown.out
    assert "《广告法》第九条（三）: 国家级" in shown.out
    assert "写明具体的评定机构" in shown.out
    assert "is blocked: " in shown.out


def test_the_same_as_data(check: Command) -> None:
    shown = check("顶级面霜", "--purpose", "marketing", "--format", "json")
    assert shown.status == 1
    assert shown.json["passes"] is False
    (finding,) = [each for each in shown.json["findings"] if each["check"] == "ad_law"]
    assert (finding["code"], finding["start"], finding["end"]) == ("lexicon.ad_law_zh.absolute", 0, 2)
    assert shown.json["scores"]["compliance"] <= 50


def test_what_only_warns_or_is_harmless_passes(check: Command, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("最近有新品，欢迎到店", encoding="utf-8")
    shown = check("--file", file, "--purpose", "marketing")
    assert (shown.status, shown.out.split(":")[0]) == (0, "passes")


def test_mistakes_of_the_command_are_told_as_such(check: Command, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(b"\xff\xfe")
    for arguments, said in (
        ((), "give the text, or --file"),
        (("x", "--file", file), "give the text, or --file"),
        (("--file", file), "not UTF-8"),
        (("x", "--channel", "sms_"), "there is no channel 'sms_'"),
        (("x", "--purpose", "marketin"), "did you mean 'marketing'?"),
    ):
        shown = check(*arguments)
        assert shown.status == 2
        assert said in shown.err


def test_a_text_of_megabytes_is_refused_at_once(check: Command, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("最好的面霜" * 350_000, encoding="utf-8")
    shown = check("--file", file, "--purpose", "marketing")
    assert shown.status == 1
    assert "text.too_long" in shown.out


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("新发理财产品，随时申赎", "required_line.missing"),
        ("每日一片的保健食品", "required_line.missing"),
        ("您的证件号 11010519491231002X 已核验", "personal_data.id_number"),
        ("全城销量第一的火锅", "lexicon.ad_law_zh.absolute"),
        ("Guaranteed returns of 15% a year", "lexicon.ad_law_en.finance"),
    ],
)
def test_the_shipped_checks_find_what_an_operator_expects(check: Command, text: str, code: str) -> None:
    shown = check(text, "--purpose", "marketing", "--format", "json")
    assert code in {finding["code"] for finding in shown.json["findings"]}


@pytest.mark.parametrize("text", ["新发理财产品，投资有风险", "保健食品，本品不能代替药物", "最近到店的新品"])
def test_and_let_pass_what_says_what_it_should(check: Command, text: str) -> None:
    assert check(text, "--purpose", "marketing").status == 0


def test_a_content_is_shown_as_it_goes_out_on_each_channel(check: Command) -> None:
    shown = check("--content", "welcome_hello", "--locale", "zh", "--format", "json")
    assert shown.status == 0 and shown.json["passes"]
    told = {(each["channel"], each["plain"]): each["text"]["subject"] for each in shown.json["texts"]}
    assert {("email", False), ("email", True), ("app", False)} <= set(told)
    assert set(told.values()) == {"很高兴认识您"}
    assert "app, zh, marketing, without anything personal" in check("--content", "welcome_hello").out

    for arguments, said in (
        (("--content", "welcome_helo"), "did you mean 'welcome_hello'?"),
        (("text", "--content", "welcome_hello"), "give one of the two"),
    ):
        refused = check(*arguments)
        assert refused.status == 2
        assert said in refused.err


def test_of_what_stands_within_a_longer_finding_the_graver_is_marked(check: Command) -> None:
    text = "我们按使用场景整理了一份国家级挑选指南，附上真实用户的评价，供您参考。"
    shown = check(text, "--purpose", "marketing")

    assert "我们按使用场景整理了一份⟦国家级⟧挑选指南" in shown.out
    assert "duplicates.of_content" in shown.out
    assert "not looked at" not in shown.out.splitlines()[-1]


def test_a_shipped_content_is_no_double_of_itself_and_is_scored_in_every_dimension(check: Command) -> None:
    shown = check("--content", "cart_nudge", "--format", "json")

    assert [each["findings"] for each in shown.json["texts"]] == [[]] * len(shown.json["texts"])
    for each in shown.json["texts"]:
        assert set(each["scores"]) == {"compliance", "professionalism", "sentiment", "readability"}


def test_the_rule_book_is_listed_with_source_and_date(wayline: Command) -> None:
    assert "  subject: left out\n" in wayline("facts", SHIPPED, "--platforms").out
    listed = wayline("facts", SHIPPED, "--platforms", "--format", "json").json
    assert listed["moments"]["lengths"]["body"] == {
        "least": 150,
        "most": 200,
        "unit": "characters",
        "beyond": "warn",
        "source": "运营口径：150 至 200 字 (2026-11-21)",
    }
    assert listed["sms"]["as_of"] == "2026-11-21"
    assert wayline("facts", SHIPPED, "--platforms", "--schedule").status == 2

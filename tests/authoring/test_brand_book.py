"""The brand book: all its files make one, and every text is read by it on the day on which it would leave."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from engine.authoring.bundle import Bundle
from engine.authoring.loading import load_files
from engine.delivery.examining import examine
from engine.plugin.brand import BannedWord, BrandBook, Claim, PreferredWord
from engine.plugin.contracts import Draft
from plugins.checks.brand import BrandCheck

HEAD = "kind: brand\nid: {id}\ntitle: 品牌\nowner: tests\n"
WORDS = HEAD.format(id="words") + (
    "tone: [温和]\npreferred: [{write: 会员, instead_of: [老客户]}]\n"
    "banned: [{word: 亲, suggestion: 您, exempt_when: [父亲]}]\n"
)
CLAIMS = HEAD.format(id="claims") + (
    'tone: [温和, 简短]\nclaims: [{claim: 连续三年销量第一, evidence: 统计, until: "2026-12-31"}]\n'
)
CHECKS = "kind: checks\nid: checks\ntitle: 检查\nowner: tests\nchecks: [{id: our_words, plugin: brand}]\n"


def bundle_of(small: Mapping[str, str], **files: str) -> Bundle:
    more = {f"{name}.yaml": text for name, text in files.items()}
    bundle = load_files({**small, "checks.yaml": CHECKS, **more}).bundle
    assert bundle is not None
    return bundle


def test_all_files_make_one_book(small: Mapping[str, str]) -> None:
    assert bundle_of(small, words=WORDS, claims=CLAIMS).brand == BrandBook(
        tone=("温和", "简短"),
        preferred=(PreferredWord("会员", ("老客户",)),),
        banned=(BannedWord("亲", "", "您", ("父亲",)),),
        claims=(Claim("连续三年销量第一", "统计", date(2026, 12, 31)),),
    )
    assert bundle_of(small).brand is None


def test_a_claim_ends_with_its_day_in_the_zone_of_the_workspace(small: Mapping[str, str]) -> None:
    bundle = bundle_of(small, words=WORDS, claims=CLAIMS)

    def passes(now: datetime) -> bool:
        found = examine(
            Draft("连续三年销量第一", locale="zh"),
            bundle,
            {"brand": BrandCheck()},
            channel="email",
            purpose="marketing",
            timeout=timedelta(seconds=5),
            now=now,
        )
        return found.passes

    # Midnight in Shanghai is 16:00 of the day before.
    assert passes(datetime(2026, 12, 31, 15, 59, tzinfo=UTC))
    assert not passes(datetime(2026, 12, 31, 16, 0, tzinfo=UTC))

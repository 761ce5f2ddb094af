"""The workspace that comes with Wayline is clean, complete and ready for editors."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from datetime import time, timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of, load_folder
from engine.authoring.reading.source import read
from engine.authoring.schemas import schema_files, stale_schemas
from engine.journeys.event import AUDIENCE_ENTERED
from engine.journeys.program import Ask, ChangeTags, ReentryKind, Send, Wait
from engine.plugin.contracts import Draft, Severity
from engine.plugin.registry import Registry
from engine.simulation.testing import run_tests

ROOT = Path(__file__).parents[2]
FILES = sorted(file for file in (ROOT / "rulesets").rglob("*.yaml") if not file.name.endswith(".test.yaml"))


@pytest.fixture(scope="module")
def bundle(shipped_files: Mapping[str, str]) -> Bundle:
    return bundle_of(shipped_files)


def test_it_lints_without_a_problem_or_a_warning(registry: Registry) -> None:
    loaded = load_folder(ROOT / "rulesets", registry)

    assert loaded.problems == ()
    assert loaded.bundle is not None


def test_it_holds_the_journeys_of_a_shop(bundle: Bundle) -> None:
    assert sorted(bundle.programs) == [
        "birthday",
        "cart_recovery",
        "churn_warning",
        "conversation",
        "conversation_complaint",
        "conversation_handover",
        "conversation_reply",
        "dormant_wakeup",
        "guidance",
        "negative_feedback",
        "negative_feedback_call",
        "negative_feedback_supervisor",
        "repurchase",
        "welcome",
    ]
    audiences = [audience.id for audience in bundle.profile.audiences]
    assert sorted(audiences) == ["churn_risk", "dormant", "hesitating", "lapsed", "potential"]


async def test_its_tests_pass_and_reach_everything(bundle: Bundle, registry: Registry) -> None:
    report = await run_tests(bundle, registry)

    assert [result.test.name for result in report.failed] == []
    assert [(spot.journey, spot.name, spot.more) for spot in report.coverage.missed] == []
    assert len(report.results) >= 60


def test_every_content_speaks_both_languages(bundle: Bundle) -> None:
    assert {name for name, locales in bundle.contents.items() if set(locales) != {"zh", "en"}} == set()


def test_every_journey_has_tests_of_its_own() -> None:
    journeys = {file for file in FILES if file.parent.name == "journeys"}
    tested = {
        (file.parent / name).resolve()
        for file in (ROOT / "rulesets" / "journeys").glob("*.test.yaml")
        for name in _rulesets(read(file.read_text(encoding="utf-8"), file.name).data["ruleset"])
    }

    assert journeys - tested == set()


def _rulesets(raw: str | list[str]) -> list[str]:
    return [raw] if isinstance(raw, str) else raw


def test_the_welcome_leaves_within_the_platforms_twenty_seconds(bundle: Bundle) -> None:
    welcome = bundle.programs["welcome"]
    first = welcome.steps[welcome.first or ""]

    assert isinstance(first, Send) and first.deadline == timedelta(seconds=20)
    assert len([step for step in welcome.steps.values() if isinstance(step, Send)]) >= 3


def test_whoever_falls_silent_again_is_woken_again(bundle: Bundle) -> None:
    dormant = bundle.programs["dormant_wakeup"]

    assert dormant.entry.reentry.kind is ReentryKind.ALWAYS
    assert dormant.entry.events == (AUDIENCE_ENTERED,)
    wait = dormant.steps[dormant.first or ""]
    assert isinstance(wait, Wait) and (wait.for_, wait.at) == (None, time(10))


def test_feedback_is_answered_without_consent_to_marketing(bundle: Bundle) -> None:
    kinds = {
        bundle.purposes[step.purpose or program.purpose].kind
        for name, program in bundle.programs.items()
        if name.startswith("negative_feedback")
        for step in program.steps.values()
        if isinstance(step, Send)
    }

    assert kinds == {"transactional"}


def test_a_second_complaint_has_been_on_two_desks_within_a_day(bundle: Bundle) -> None:
    call = bundle.programs["negative_feedback_call"]
    tasks = [step for step in call.steps.values() if isinstance(step, Ask)]

    assert [task.queue for task in tasks] == ["support", "supervisors"]
    assert sum((task.deadline for task in tasks), timedelta()) <= timedelta(hours=24)


def test_everybody_who_is_handed_over_is_let_go_again(bundle: Bundle) -> None:
    """Whoever is marked as with a person hears no automatic reply."""
    for name, program in bundle.programs.items():
        changes = [step for step in program.steps.values() if isinstance(step, ChangeTags)]
        if any("with_person" in step.add for step in changes):
            assert any("with_person" in step.remove and step.next is None for step in changes), name


def test_vips_come_first_on_every_list(bundle: Bundle) -> None:
    handover = bundle.programs["conversation_handover"].steps
    vip, other = handover["vip_help"], handover["help"]

    assert isinstance(vip, Ask) and isinstance(other, Ask)
    assert (vip.priority or 0) > (other.priority or 0) and vip.deadline < other.deadline


def test_a_second_order_starts_its_own_repurchase_run(bundle: Bundle) -> None:
    reentry = bundle.programs["repurchase"].entry.reentry

    assert (reentry.kind, reentry.per) == (ReentryKind.ONCE_PER, "event.order_id")
    assert "order_paid" in bundle.programs["repurchase"].leaves[0].events


def test_only_the_text_that_is_meant_to_be_blocked_is_objected_to(bundle: Bundle, registry: Registry) -> None:
    from engine.plugin.contracts import CheckContext

    lexicons = tuple(bundle.lexicons.values())
    objected = {
        name
        for name, locales in bundle.contents.items()
        for locale, text in locales.items()
        for finding in registry.checks["lexicon"].examine(
            Draft(text.body, text.subject, text.call_to_action, locale),
            CheckContext("email", "marketing", locale, {}, lexicons),
        )
        if finding.severity is Severity.BLOCK
    }

    assert objected == {"repurchase_old_claim"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_its_first_line_names_the_schema_that_it_satisfies(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named is not None
    schema = (file.parent / named[1]).resolve()

    data = read(text, file.name).data
    assert schema == ROOT / "schemas" / f"{data['kind']}.schema.json"
    errors = list(Draft202012Validator(json.loads(schema.read_text("utf-8"))).iter_errors(data))
    assert errors == []


def test_the_schemas_in_the_repository_are_current() -> None:
    assert stale_schemas(ROOT / "schemas") == []


@pytest.mark.parametrize("name", schema_files())
def test_a_schema_is_itself_sound_and_explains_every_key(name: str) -> None:
    schema = json.loads(schema_files()[name])
    Draft202012Validator.check_schema(schema)

    parts = [schema, *schema.get("$defs", {}).values()]
    keys = [(key, entry) for part in parts for key, entry in part.get("properties", {}).items()]
    assert [key for key, entry in keys if not entry.get("description") or not entry.get("title")] == []


def test_the_rule_book_knows_every_platform_that_a_channel_of_ours_writes_to(
    shipped_files: Mapping[str, str],
) -> None:
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    names = {
        name
        for name, module in offered["project"]["entry-points"]["wayline.plugins"].items()
        if module.startswith("plugins.channels.")
    }
    anything = {"email", "file", "webhook", "wecom_tags"}
    channels = "\n".join(
        f"  - {{id: to_{name}, plugin: {name}, identity: app, settings: {{}}}}" for name in names - anything
    )
    by_hand = "\n".join(
        f"  - {{id: by_hand_on_{name}, plugin: manual, platform: {name}, identity: app, settings: {{}}}}"
        for name in ("weibo", "xiaohongshu", "moments")
    )
    head = "kind: channels\nid: more\ntitle: more\nowner: us\nchannels:\n"
    made = bundle_of({**shipped_files, "more.yaml": f"{head}{channels}\n{by_hand}\n"})
    for name in names - anything:
        platform = made.platform_of(f"to_{name}")
        assert platform is not None, f"the rule book says nothing of {name}"
        assert platform.id == name
    red = made.platform_of("by_hand_on_xiaohongshu")
    assert red is not None
    assert (red.lengths["body"].least, red.lengths["body"].most) == (200, 300)
    assert {"wechat_template", "wechat_subscription"} <= made.platforms.keys()

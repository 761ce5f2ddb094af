"""Files of tests: what they mean, once read. What is wrong with them is shown by the cases RS085 to RS089."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engine.authoring.loading import load_files, published_bundle
from engine.authoring.reading.source import read
from engine.authoring.rule_tests.tests import RuleTest, Suite

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "rulesets").rglob("*.test.yaml"))
START = datetime(2026, 3, 1, 1, tzinfo=UTC)  # 09:00 in Shanghai
HEAD = 'ruleset: welcome.yaml\nstart: "2026-03-01T09:00:00+08:00"\nuntil: 60d\n'


def suite_of(files: Mapping[str, str], tests: str, head: str = HEAD) -> Suite:
    loaded = load_files({**files, "welcome.test.yaml": f"{head}tests:\n{tests}"})
    assert loaded.problems == () and loaded.bundle is not None
    (suite,) = loaded.bundle.suites
    return suite


def one(files: Mapping[str, str], test: str, head: str = HEAD) -> RuleTest:
    (test_,) = suite_of(files, f"  - {{name: one, {test}}}\n", head).tests
    return test_


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_a_shipped_file_of_tests_names_the_schema_that_it_satisfies(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)

    assert named is not None and (file.parent / named[1]).resolve() == ROOT / "schemas/test.schema.json"
    schema = json.loads((ROOT / "schemas/test.schema.json").read_text("utf-8"))
    assert list(Draft202012Validator(schema).iter_errors(read(text, file.name).data)) == []


def test_moments_are_counted_from_the_start_or_read_on_the_contacts_own_clock(
    small: Mapping[str, str],
) -> None:
    events = [
        "{at: 0d, event: product_viewed}",
        '{at: "1d 2h30m", event: product_viewed}',
        '{at: "2026-03-02 10:00", event: product_viewed}',
        '{at: "2026-03-02T10:00:00+08:00", event: product_viewed}',
    ]
    test = one(small, f"contact: {{timezone: Europe/Berlin}}, events: [{', '.join(events)}], expect: []")

    assert sorted(event.at - START for event in test.events) == [
        timedelta(0),
        timedelta(hours=25),
        timedelta(days=1, hours=2, minutes=30),
        timedelta(hours=32),
    ]


@given(minutes=st.integers(0, 59 * 24 * 60), length=st.integers(0, 600), off=st.integers(-700, 700))
def test_a_range_holds_its_ends_to_the_minute_and_nothing_beyond(
    minutes: int, length: int, off: int, small: Mapping[str, str]
) -> None:
    test = one(small, f"expect: [{{at: {minutes}m..{minutes + length}m, entered: welcome}}]")
    window = test.expected[0].window

    assert window is not None
    at = START + timedelta(minutes=minutes + off)
    assert (at in window) == (0 <= off <= length)
    assert (at + timedelta(seconds=59) in window) == (0 <= off <= length)


def test_a_day_is_a_day_of_the_contact(small: Mapping[str, str]) -> None:
    test = one(small, 'contact: {timezone: Europe/Berlin}, expect: [{at: "2026-03-29", entered: welcome}]')
    window = test.expected[0].window

    assert window is not None and window.last - window.first == timedelta(hours=23)  # clocks go forward


def test_contacts_take_what_they_do_not_say_from_the_file(small: Mapping[str, str]) -> None:
    head = HEAD + "contact: {consents: [marketing], identities: {email: a@example.com}}\n"
    test = one(small, "contacts: {ann: {locale: zh}, bob: {consents: []}}, expect: []", head)
    ann, bob = test.contacts

    assert (ann.name, ann.consents, ann.locale, dict(ann.identities)) == (
        "ann",
        ("marketing",),
        "zh",
        {"email": "a@example.com"},
    )
    assert (bob.consents, bob.locale) == ((), None)


def test_a_journey_is_tested_alone_and_any_other_file_with_all_of_them(
    small: Mapping[str, str],
) -> None:
    files = {**small, "other.yaml": small["welcome.yaml"].replace("id: welcome", "id: other")}
    silence = "  - {name: silence, expect: []}\n"

    assert suite_of(files, silence).journeys == ("welcome",)
    assert suite_of(files, silence, HEAD.replace("welcome.yaml", "[other.yaml, welcome.yaml]")).journeys == (
        "other",
        "welcome",
    )
    assert suite_of(files, silence, HEAD.replace("welcome.yaml", "wayline.yaml")).journeys == (
        "other",
        "welcome",
    )


def test_an_unreadable_journey_raises_no_alarm_about_its_steps(small: Mapping[str, str]) -> None:
    files = {**small, "welcome.yaml": small["welcome.yaml"].replace("owner:", "ower:")}
    tests = HEAD + "tests: [{name: one, expect: [{at: 0d, send: whatever}, {entered: welcome}]}]\n"
    loaded = load_files({**files, "welcome.test.yaml": tests})

    assert {problem.place.file for problem in loaded.problems} == {"welcome.yaml"}


def test_two_expectations_in_one_entry_are_told_apart(small: Mapping[str, str]) -> None:
    for entry in ("send: hi, held: hi", "at: 1d", "facts: {contact.visits: 3}", "send: hi, reason: cap.full"):
        tests = f"{HEAD}tests: [{{name: one, expect: [{{{entry}}}]}}]\n"
        (problem,) = load_files({**small, "welcome.test.yaml": tests}).problems
        assert problem.code == "RS055" and problem.hint


def test_a_published_bundle_needs_no_tests_and_is_not_held_up_by_them(small: Mapping[str, str]) -> None:
    files = {**small, "welcome.test.yaml": "ruleset: gone.yaml\n"}

    assert load_files(files).bundle is None
    assert published_bundle(files).suites == ()

"""`wayline simulate`, `wayline backtest` and pictures: what they print and how they end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import Command


@pytest.fixture
def folder(tmp_path: Path, shipped_files: Mapping[str, str]) -> Path:
    root = tmp_path / "mine"
    for name, text in shipped_files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def events(tmp_path: Path) -> Path:
    messages = [
        {
            "type": "identify",
            "userId": "u1",
            "traits": {"email": "a@example.com"},
            "timestamp": "2026-03-01T08:00:00Z",
        },
        {
            "type": "track",
            "event": "consent_granted",
            "userId": "u1",
            "properties": {"purpose": "marketing"},
            "timestamp": "2026-03-01T08:00:01Z",
        },
        {"type": "track", "event": "contact_added", "userId": "u1", "timestamp": "2026-03-01T08:00:02Z"},
        {"type": "track", "event": "no_such_event", "userId": "u1", "timestamp": "2026-03-01T08:00:02Z"},
    ]  # fmt: skip
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(map(json.dumps, messages)), encoding="utf-8")
    return file


def test_a_made_up_contact_is_followed_on_their_own_clock(wayline: Command, folder: Path) -> None:
    printed = wayline(
        "simulate", folder, "--journey", "welcome", "--start", "2026-03-01", "--for", "10d",
        "--contact", "{timezone: Europe/Berlin, tags: [vip]}",
        "--event", "9h contact_added", "--event", "2d product_viewed {product_id: p1}",
    )  # fmt: skip
    assert printed.status == 0
    assert "clock of Europe/Berlin" in printed.out
    assert "waits at overnight until 2026-03-02 10:00" in printed.out
    assert "3 messages sent: hello by email, guide by email, picks by app" in printed.out


def test_the_reason_of_a_no_is_told_and_the_same_words_tell_the_same(wayline: Command, folder: Path) -> None:
    words = ("simulate", folder, "--journey", "welcome", "--start", "2026-03-01", "--for", "5d",
             "--contact", "{consents: []}")  # fmt: skip
    printed = wayline(*words)
    assert "consent.unknown (there is no consent on record" in printed.out
    told = wayline(*words, "--format", "json").json
    assert told["stories"][0]["sends"] == []
    nos = [each for each in told["stories"][0]["timeline"] if each.get("verdict") == "block"]
    assert nos[0]["because"] == "there is no consent on record"
    assert nos[0]["local"].startswith("2026-03-01 00:00")
    assert wayline(*words).out == printed.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--journey", "welcom"), "there is no journey 'welcom': did you mean 'welcome'?"),
        (("--event", "2d order_payed"), "there is no event 'order_payed'"),
        (("--event", "2d order_paid {amount: 5}"), "order_id"),
        (("--event", "soon order_paid"), "is not a duration"),
        (("--event", "2d order_paid [1]"), "is no mapping"),
        (("--contact", "{tagz: [a]}"), "tagz"),
        (("--contact", "{consents: [marketin]}"), "no purpose 'marketin': did you mean 'marketing'?"),
        (("--contact", "{identities: {emial: a}}"), "no platform 'emial': did you mean 'email'?"),
        (("--contact", "{attributes: {shoe_size: 38}}"), "there is no attribute 'shoe_size': known are"),
        (("--contact", "{attributes: {city: 38}}"), "attributes.city: not a text"),
        (("--contact", "{tags: [high_value]}"), "tags: 'high_value' follows from a rule"),
        (("--contact", "{held_out: [quarter]}"), "held_out: only tests of rulesets know it"),
        (("--contact", "ann.yaml"), "--contact ann.yaml: there is no such file"),
        (("--start", "yesterday"), "is no date"),
        (("--start", "9999-12-30"), "--start: name a moment of the years 1900 to 2199"),
        (("--for", "long"), "is not a duration"),
        (("--sample", "3", "--event", "2d order_paid"), "leave out --contact and --event"),
    ],
)
def test_what_cannot_be_simulated_is_said_with_a_way_out(
    wayline: Command, folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    printed = wayline("simulate", folder, *arguments)
    assert printed.status == 2
    assert message in printed.err


def test_a_back_test_over_a_file_tells_figures_differences_and_a_page(
    wayline: Command, folder: Path, events: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in folder.rglob("*.yaml"):
        target = other / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text(encoding="utf-8")
        target.write_text(text.replace("event: contact_added\n", "event: quiz_answered\n"), encoding="utf-8")
    page = tmp_path / "report.html"
    words = ("backtest", folder, "--from", "2026-03-01", "--to", "2026-03-31", "--events", events)
    printed = wayline(*words, "--against", other, "--html", page)
    assert printed.status == 0, printed.err
    assert "1 contacts" in printed.out
    assert "1 lines could not be used: EV005" in printed.out
    assert "welcome: 3 only here" in printed.out
    assert "nothing that happened could enter welcome" in printed.out
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")

    told = wayline(*words, "--format", "json")
    assert told.json["here"]["journeys"]["welcome"]["entered"] == 1
    report = tmp_path / "report.json"
    report.write_text(told.out, encoding="utf-8")
    drawn = wayline("graph", "welcome", folder, "--format", "svg", "--counts", report)
    assert drawn.status == 0
    assert "hello · 1" in drawn.out


def test_a_back_test_keeps_the_windows_of_platforms_as_the_gate_does(
    wayline: Command, folder: Path, events: Path
) -> None:
    """Nobody has written on Instagram, so nobody may be written to there."""
    (folder / "chats.yaml").write_text(
        "kind: channels\nid: chats\ntitle: chats\nowner: tests\nchannels:\n"
        "  - {id: chat, plugin: instagram, identity: email, settings: {}}\n",
        encoding="utf-8",
    )
    (folder / "chatter.yaml").write_text(
        "kind: journey\nid: chatter\ntitle: chatter\nowner: tests\npurpose: marketing\n"
        "enter: {event: contact_added, reentry: never}\n"
        "steps:\n  - {send: hello, content: welcome_hello, channels: [chat]}\n",
        encoding="utf-8",
    )
    words = ("backtest", folder, "--from", "2026-03-01", "--to", "2026-03-02", "--events", events)
    told = wayline(*words, "--format", "json").json["here"]["journeys"]["chatter"]
    assert (told["entered"], told["sends"]) == (1, 0)
    assert told["not_sent"] == [{"step": "hello", "reason": "channel.window_closed", "count": 1}]


def test_a_back_test_needs_a_period_and_something_to_hold_it_against(wayline: Command, folder: Path) -> None:
    assert "name the period" in wayline("backtest", folder).err
    dates = ("--from", "2026-03-02", "--to", "2026-03-01")
    assert "--to must lie after --from" in wayline("backtest", folder, *dates).err
    dates = ("--from", "0001-01-03", "--to", "0001-01-04")
    assert "--from: name a moment of the years" in wayline("backtest", folder, *dates).err
    dates = ("--from", "2026-03-01", "--to", "2026-03-01")
    assert "no such folder" in wayline("backtest", folder, *dates, "--against", "elsewhere").err


def test_the_database_is_back_tested_and_sampled_without_a_word_to_it(published: Command) -> None:
    printed = published("backtest", "--from", "2026-03-01", "--to", "2026-03-02", "--against", "1")
    assert printed.status == 0, printed.err
    assert "0 contacts, 0 events; the database" in printed.out
    assert "the database has no contacts to draw from" in published("simulate", "--sample", "2").out


def test_a_picture_is_one_document_and_counts_need_one(
    wayline: Command, folder: Path, tmp_path: Path
) -> None:
    drawn = wayline("graph", "welcome", folder, "--format", "svg")
    assert drawn.out.startswith("<svg ")
    assert "新客欢迎" in drawn.out
    file = tmp_path / "nothing.json"
    file.write_text("{}", encoding="utf-8")
    assert "--format svg" in wayline("graph", "welcome", folder, "--counts", file).err
    spoilt = wayline("graph", "welcome", folder, "--format", "svg", "--counts", file)
    assert (spoilt.status, "not what `wayline backtest" in spoilt.err) == (2, True)

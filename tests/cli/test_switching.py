"""`wayline plan`, `journey` and `facts --schedule`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command

CRISIS = """\
kind: plan
id: made_up
title: 舆情危机
owner: compliance
at_most: 7d
pause: {purposes: [marketing]}
"""
DAILY = """\
kind: journey
id: daily
title: 每日
owner: tests
purpose: marketing
enter: {schedule: {cron: "0 10 * * *", timezone: contact}}
steps:
  - {tag: note, add: [seen]}
"""


def publish_more(wayline: Command, folder: Path) -> None:
    (folder / "made_up.yaml").write_text(CRISIS, encoding="utf-8")
    (folder / "daily.yaml").write_text(DAILY, encoding="utf-8")
    assert wayline("publish", folder).status == 0


def states(wayline: Command) -> dict[str, str]:
    return {row["plan"]: row["state"] for row in wayline("plan", "list", "--format", "json").json}


def test_a_plan_is_switched_on_and_off_in_one_command(published: Command, tmp_path: Path) -> None:
    publish_more(published, tmp_path / "rulesets")
    assert states(published)["made_up"] == "off"
    shown = published("plan", "on", "made_up", "--until", "2d", "--why", "recall")
    assert shown.status == 0 and shown.out.startswith("made_up is on until ")
    (on,) = [row for row in published("plan", "list", "--format", "json").json if row["plan"] == "made_up"]
    assert (on["state"], on["why"]) == ("on", "recall")
    assert any(bundle["live"] for bundle in published("bundles", "--format", "json").json)
    paused = {row["journey"]: row["paused_by_plan"] for row in _journeys(published)}
    assert paused["welcome"] == "made_up"
    assert published("plan", "off", "made_up").out == "made_up is off\n"
    assert published("plan", "off", "made_up").out == "made_up was not on\n"
    assert states(published)["made_up"] == "off"


def test_what_a_plan_may_not_is_the_commands_fault(published: Command, tmp_path: Path) -> None:
    publish_more(published, tmp_path / "rulesets")
    for arguments in (["nothing"], ["made_up", "--until", "tomorrow"], ["made_up", "--until", "30d"]):
        shown = published("plan", "on", *arguments)
        assert shown.status == 2 and shown.err.startswith("wayline: ")


def test_journeys_are_listed_paused_and_resumed(published: Command, tmp_path: Path) -> None:
    publish_more(published, tmp_path / "rulesets")
    assert published("journey", "pause", "welcome", "--why", "sold out").out == "welcome is paused\n"
    rows = {row["journey"]: row for row in _journeys(published)}
    assert rows["welcome"]["paused"]
    # By request, for nobody knows what a `journey_requested` is.
    assert rows["conversation_handover"]["enters_by"] == "asked for by a system"
    assert rows["welcome"]["enters_by"] == "contact_added"
    assert published("journey", "resume", "welcome").out == "welcome is open\n"
    assert published("journey", "resume", "welcome").out == "welcome was open already\n"
    assert published("journey", "pause", "nothing").status == 2


def test_the_next_five_firings_are_shown(published: Command, tmp_path: Path) -> None:
    publish_more(published, tmp_path / "rulesets")
    shown = published("facts", tmp_path / "rulesets", "--schedule")
    lines = shown.out[shown.out.index("daily") :].splitlines()[:6]
    assert "own clock" in lines[0]
    assert all("10:00 Asia/Shanghai" in line and "02:00 UTC" in line for line in lines[1:])


def _journeys(wayline: Command) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = wayline("journey", "list", "--format", "json").json
    return rows

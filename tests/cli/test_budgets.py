"""`wayline budget`."""

from __future__ import annotations

from tests.cli.conftest import Command


def test_budgets_are_listed_and_one_is_shown_with_its_shares(published: Command) -> None:
    listed = published("budget", "list")
    assert (listed.status, listed.err) == (0, "")
    assert "coupons" in listed.out
    assert "100000.00 CNY" in listed.out
    shown = published("budget", "show", "coupons")
    assert "valued" in shown.out
    assert published("budget", "show", "coupons", "--format", "json").json["unit"] == "CNY"


def test_a_budget_that_nobody_wrote_is_told_with_those_there_are(published: Command) -> None:
    refused = published("budget", "show", "cupons")
    assert refused.status == 2
    assert "known are coupons" in refused.err


def test_a_share_is_halted_and_resumed_by_whoever_gives_the_command(published: Command) -> None:
    halted = published("budget", "halt", "coupons", "--share", "valued", "--reason", "wrong figures")
    assert (halted.status, halted.out) == (0, "share valued of coupons is halted\n")
    assert "halted" in published("budget", "show", "coupons").out
    shown = {
        share["share"]: share
        for share in published("budget", "show", "coupons", "--format", "json").json["shares"]
    }
    assert (shown["valued"]["state"], shown["others"]["state"]) == ("halted", "going")
    assert published("budget", "resume", "coupons", "--share", "valued").status == 0
    again = published("budget", "resume", "coupons", "--share", "valued", "--format", "json").json
    assert (again["state"], again["changed"]) == ("going", False)
    assert "it has valued, others" in published("budget", "halt", "coupons", "--share", "value").err

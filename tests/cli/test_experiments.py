"""`wayline experiment`: the shipped one, with contacts that came by it."""

from __future__ import annotations

from tests.cli.conftest import Command


def test_experiments_are_listed_before_anybody_has_come_by(published: Command) -> None:
    shown = published("experiment", "list", "--format", "json").json

    (birthday,) = shown["experiments"]
    assert (birthday["experiment"], birthday["in_force"]) == ("birthday/first_order", True)
    assert [(arm["contacts"], arm["expected"]) for arm in birthday["arms"]] == [(0, 0.5), (0, 0.5)]
    assert shown["hold_outs"] == []
    assert "birthday/first_order" in published("experiment", "list").out


def test_one_experiment_is_shown_in_words_and_as_data(published: Command) -> None:
    shown = published("experiment", "show", "birthday/first_order")

    assert shown.status == 0
    assert "greeting_only" in shown.out
    assert "nobody has come by yet" in shown.out
    data = published("experiment", "show", "birthday/first_order", "--format", "json").json
    assert (data["exposures"], data["strata"], len(data["draws"])) == ([], [], 1)


def test_an_experiment_that_is_not_there_is_the_commands_fault(published: Command) -> None:
    shown = published("experiment", "show", "birthday/second_order")

    assert shown.status == 2
    assert "there is no experiment 'birthday/second_order'; they are named journey/step" in shown.err


def test_a_workspace_that_was_never_set_up_says_what_to_do(wayline: Command) -> None:
    assert wayline("db", "upgrade").status == 0
    shown = wayline("experiment", "list")

    assert shown.status == 2
    assert "`wayline publish`" in shown.err

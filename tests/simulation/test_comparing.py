"""Expectations against sends: whatever happened passes when it is expected, and nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.authoring.rule_tests.tests import Cast, Expectation, RuleTest, Window
from engine.errors import Place
from engine.simulation.comparing import Lived, compare, since
from engine.simulation.records import Sent

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

sends = st.lists(
    st.builds(
        Sent,
        at=st.integers(0, 300).map(lambda minutes: START + minutes * MINUTE),
        contact_id=st.sampled_from(["ann", "bob"]),
        journey=st.just("j"),
        step=st.sampled_from(["a", "b"]),
        content=st.just("c"),
        channel=st.sampled_from(["email", "app"]),
        address=st.just(""),
    ),
    max_size=6,
)


def expected(sent: Sent, number: int, before: int = 0, after: int = 0) -> Expectation:
    first, last = sent.at - before * MINUTE, sent.at + after * MINUTE + MINUTE
    window = Window(first, last, "then")
    return Expectation("send", sent.contact_id, Place("t", number + 1), window, "j", sent.step)


def found(expectations: Sequence[Expectation], sent: Sequence[Sent]) -> int:
    """How many differences there are."""
    people = tuple(Cast(name, "UTC", True) for name in ("ann", "bob"))
    test = RuleTest("one", Place("t"), START, START + timedelta(days=1), people, (), (), tuple(expectations))
    return len(list(compare(test, Lived(tuple(sent), (), {}, {}))))


@settings(max_examples=60)
@given(sent=sends, data=st.data())
def test_all_that_was_sent_passes_when_all_of_it_is_expected_in_any_order(
    sent: list[Sent], data: st.DataObject
) -> None:
    slack = st.integers(0, 200)
    wishes = [expected(each, number, data.draw(slack), data.draw(slack)) for number, each in enumerate(sent)]

    assert found(data.draw(st.permutations(wishes)), sent) == 0


@settings(max_examples=60)
@given(sent=sends.filter(bool), data=st.data())
def test_leaving_out_one_expectation_or_one_send_is_one_difference(
    sent: list[Sent], data: st.DataObject
) -> None:
    wishes = [expected(each, number) for number, each in enumerate(sent)]
    left_out = data.draw(st.integers(0, len(sent) - 1))

    assert found(wishes[:left_out] + wishes[left_out + 1 :], sent) == 1
    assert found(wishes, sent[:left_out] + sent[left_out + 1 :]) == 1


@settings(max_examples=40)
@given(sent=sends.filter(bool), data=st.data())
def test_one_send_that_is_otherwise_than_expected_is_told_once(sent: list[Sent], data: st.DataObject) -> None:
    wishes = [expected(each, number) for number, each in enumerate(sent)]
    which = data.draw(st.integers(0, len(sent) - 1))
    other = replace(sent[which], at=sent[which].at + timedelta(days=1))

    assert found(wishes, [*sent[:which], other, *sent[which + 1 :]]) == 1


def test_lengths_of_time_are_written_as_in_tests() -> None:
    lengths = [
        timedelta(0),
        timedelta(hours=25),
        timedelta(days=31),
        timedelta(minutes=5),
        timedelta(seconds=9),
        timedelta(days=3, hours=10, minutes=1),
    ]

    assert [since(length) for length in lengths] == ["0d", "1d 1h", "31d", "5m", "9s", "3d 10h 1m"]

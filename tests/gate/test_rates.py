"""Rates and circuits as arithmetic: no span ever holds too many, and a failing provider is left alone."""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.gate.rates import Book, Circuit, Leave, Provider, Rate, Refusal, ask, note, read, written

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def again(book: Book) -> Book:
    """The book after a way through the database."""
    return read(json.loads(json.dumps(written(book))))


rates = st.builds(Rate, st.integers(1, 30), st.sampled_from([1, 7, 60]).map(lambda each: each * SECOND))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(rates, min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(1, 9), st.integers(0, 400_000)), max_size=80),
)
def test_no_span_of_a_rate_holds_more_than_its_limit(
    declared: list[Rate], asked: list[tuple[int, int, int]]
) -> None:
    provider, book, now = Provider("p", tuple(declared)), Book(), START
    sent: list[datetime] = []
    for pause, wanted, late in asked:
        now += timedelta(microseconds=pause)
        answer = ask(provider, book, now, share=0.5, wanted=wanted)
        book = again(book)
        if isinstance(answer, Leave):
            assert 1 <= answer.number <= wanted
            assert answer.until > now
            # Leave is used at any moment of its time.
            used = min(now + timedelta(microseconds=late), answer.until - timedelta(microseconds=1))
            sent += [used] * answer.number
        else:
            assert answer.reason == "rate.limited"
            assert answer.retry_at > now
    for rate in declared:
        span: deque[datetime] = deque()
        for moment in sorted(sent):
            span.append(moment)
            while span[0] <= moment - rate.per:
                span.popleft()
            assert len(span) <= rate.limit


def test_a_whole_limit_may_go_out_at_once_and_then_there_is_a_pause() -> None:
    provider, book = Provider("p", (Rate(20, MINUTE, "the page", "2026-03-01"),)), Book()
    for _ in range(20):
        assert isinstance(ask(provider, book, START, share=0), Leave)
    refused = ask(provider, book, START + SECOND, share=0)

    assert isinstance(refused, Refusal)
    assert refused.retry_at == START + 66 * SECOND
    assert refused.evidence == {
        "limit": 20,
        "per_seconds": 60.0,
        "source": "the page",
        "as_of": "2026-03-01",
    }
    assert isinstance(ask(provider, book, refused.retry_at, share=0), Leave)


def test_many_that_wait_are_told_moments_one_after_another_and_find_a_place_then() -> None:
    provider, book = Provider("p", (Rate(20, MINUTE),)), Book()
    waiting = [ask(provider, book, START, share=0) for _ in range(220)]
    moments = [each.retry_at for each in waiting if isinstance(each, Refusal)]

    assert len(moments) == 200
    assert moments == sorted(set(moments))
    again_refused = [m for m in moments if isinstance(ask(provider, book, m, share=0), Refusal)]
    assert len(again_refused) <= 20
    # As fast as a limit of 20 a minute lets 200 go, give or take the slots.
    assert moments[-1] - START < 13 * MINUTE


def test_of_several_rates_the_tightest_is_named() -> None:
    provider = Provider("p", (Rate(100, MINUTE), Rate(2, SECOND)))
    book = Book()
    answers = [ask(provider, book, START, share=0) for _ in range(3)]

    assert isinstance(answers[2], Refusal)
    assert answers[2].evidence["limit"] == 2


def test_a_rate_that_is_no_longer_declared_is_forgotten() -> None:
    book = Book()
    ask(Provider("p", (Rate(1, MINUTE),)), book, START, share=0)

    assert isinstance(ask(Provider("p", (Rate(2, MINUTE),)), book, START, share=0), Leave)
    assert set(book.taken) == {"2/60"}


def test_what_a_provider_asked_for_holds_for_everything() -> None:
    provider, book = Provider("p", circuit=Circuit(5, MINUTE)), Book()
    note(provider, book, START, failed=True, busy_for=40 * SECOND)
    note(provider, book, START, failed=True, busy_for=10 * SECOND)
    refused = ask(provider, again(book), START + 5 * SECOND, share=0)

    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.retry_at) == ("rate.provider_busy", START + 40 * SECOND)
    assert isinstance(ask(provider, book, START + 40 * SECOND, share=0), Leave)


def test_failures_in_a_row_open_the_circuit_and_one_probe_closes_it() -> None:
    provider, book = Provider("p", circuit=Circuit(3, 30 * SECOND)), Book()
    opened = [note(provider, book, START, failed=True) for _ in range(3)]
    assert opened == [False, False, True]
    early = ask(provider, book, START + 29 * SECOND, share=0.5)
    assert isinstance(early, Refusal)
    assert (early.reason, early.retry_at) == ("circuit.open", START + 45 * SECOND)

    probe = ask(provider, again(book), START + 30 * SECOND, share=0, wanted=9)
    assert probe == Leave(1, START + 30 * SECOND + MINUTE)
    book = again(book)
    ask(provider, book, START + 30 * SECOND, share=0)
    second = ask(provider, book, START + 31 * SECOND, share=0)
    assert isinstance(second, Refusal)
    assert second.reason == "circuit.half_open"

    note(provider, book, START + 32 * SECOND, failed=False)
    assert book.is_clean
    assert isinstance(ask(provider, book, START + 32 * SECOND, share=0), Leave)


def test_a_probe_that_fails_opens_it_again_and_one_that_is_lost_is_followed_by_another() -> None:
    provider, book = Provider("p", circuit=Circuit(1, 30 * SECOND)), Book()
    assert note(provider, book, START, failed=True)
    # What was handed over before does not make it longer.
    assert not note(provider, book, START + SECOND, failed=True)
    assert book.open_until == START + 30 * SECOND
    assert isinstance(ask(provider, book, START + 30 * SECOND, share=0), Leave)
    assert note(provider, book, START + 31 * SECOND, failed=True)
    assert book.open_until == START + 61 * SECOND
    assert isinstance(ask(provider, book, START + 61 * SECOND, share=0), Leave)
    assert isinstance(ask(provider, book, START + 62 * SECOND, share=0), Refusal)
    assert isinstance(ask(provider, book, START + 121 * SECOND, share=0), Leave)


def test_any_answer_ends_a_row_of_failures() -> None:
    provider, book = Provider("p", circuit=Circuit(2, MINUTE)), Book()
    note(provider, book, START, failed=True)
    note(provider, book, START, failed=False)

    assert not note(provider, book, START, failed=True)


def test_leave_for_many_is_asked_for_only_where_a_rate_is_high() -> None:
    assert Provider("p", (Rate(20, MINUTE),)).at_once == 1
    assert Provider("p", (Rate(100_000, MINUTE), Rate(1000, SECOND))).at_once == 5
    assert Provider("p", (Rate(1_000_000, MINUTE),)).at_once == 50

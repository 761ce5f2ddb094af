"""The precedence of consent entries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.gate.consent import ConsentRecord, ConsentState, settle_consent

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=100)


def entry(
    day: int,
    decision: str,
    purpose: str = "marketing",
    channel: str = "*",
    *,
    source: str = "form",
    valid_for: int | None = None,
) -> ConsentRecord:
    at = START + timedelta(days=day)
    until = at + timedelta(days=valid_for) if valid_for is not None else None
    return ConsentRecord(purpose, channel, decision, at, until, source)


def state(*records: ConsentRecord, at: datetime = NOW, channel: str = "email") -> ConsentState:
    return settle_consent(records, "marketing", channel, at).state


def test_no_entry_is_unknown() -> None:
    assert state() is ConsentState.UNKNOWN


def test_a_grant_counts_from_its_own_moment() -> None:
    given_on_day_two = entry(2, "granted")
    assert state(given_on_day_two, at=START + timedelta(days=2)) is ConsentState.GRANTED
    assert state(given_on_day_two, at=START + timedelta(days=2, microseconds=-1)) is ConsentState.UNKNOWN


def test_a_grant_for_another_purpose_or_channel_says_nothing() -> None:
    assert state(entry(1, "granted", "service")) is ConsentState.UNKNOWN
    assert state(entry(1, "granted", channel="sms")) is ConsentState.UNKNOWN


def test_a_withdrawal_ends_an_earlier_grant() -> None:
    assert state(entry(1, "granted"), entry(2, "withdrawn")) is ConsentState.WITHDRAWN


def test_a_later_grant_of_the_same_scope_lifts_a_withdrawal() -> None:
    assert state(entry(1, "withdrawn"), entry(2, "granted")) is ConsentState.GRANTED


def test_a_withdrawal_on_one_channel_beats_a_wider_grant_even_a_later_one() -> None:
    records = (entry(1, "withdrawn", channel="email"), entry(2, "granted"), entry(3, "granted", "*"))
    assert state(*records) is ConsentState.WITHDRAWN
    assert state(*records, channel="sms") is ConsentState.GRANTED


def test_a_withdrawal_of_everything_is_not_undone_by_naming_a_purpose() -> None:
    assert state(entry(1, "withdrawn", "*"), entry(2, "granted")) is ConsentState.WITHDRAWN
    assert state(entry(1, "withdrawn", "*"), entry(2, "granted", "*")) is ConsentState.GRANTED


def test_a_channel_withdrawal_outranks_a_later_grant_of_the_purpose() -> None:
    assert state(entry(1, "withdrawn", "*", "email"), entry(2, "granted")) is ConsentState.WITHDRAWN


def test_naming_one_channel_reopens_only_that_channel_of_a_withdrawn_purpose() -> None:
    records = (entry(1, "withdrawn"), entry(2, "granted", channel="email"))
    assert state(*records) is ConsentState.GRANTED
    assert state(*records, channel="sms") is ConsentState.WITHDRAWN


@pytest.mark.parametrize("source", ["import", "import:old_crm"])
def test_an_import_never_lifts_a_withdrawal(source: str) -> None:
    assert state(entry(1, "withdrawn"), entry(2, "granted", source=source)) is ConsentState.WITHDRAWN
    assert state(entry(1, "granted", source=source)) is ConsentState.GRANTED


def test_a_denial_blocks_as_denied() -> None:
    assert state(entry(1, "granted"), entry(2, "denied")) is ConsentState.DENIED


def test_a_grant_past_its_validity_is_expired() -> None:
    grant = entry(1, "granted", valid_for=10)
    assert state(grant, at=START + timedelta(days=11)) is ConsentState.EXPIRED
    assert state(grant, at=START + timedelta(days=11, microseconds=-1)) is ConsentState.GRANTED


def test_the_deciding_entry_is_named() -> None:
    withdrawal = entry(2, "withdrawn")
    assert settle_consent([entry(1, "granted"), withdrawal], "marketing", "email", NOW).record == withdrawal


entries = st.builds(
    entry,
    st.integers(0, 90),
    st.sampled_from(["granted", "denied", "withdrawn"]),
    st.sampled_from(["marketing", "service", "*"]),
    st.sampled_from(["email", "sms", "*"]),
    source=st.sampled_from(["form", "import"]),
    valid_for=st.none() | st.integers(1, 60),
)


@settings(max_examples=150)
@given(st.lists(entries, max_size=8), st.sampled_from(["marketing", "*"]), st.sampled_from(["email", "*"]))
def test_a_refusal_recorded_last_always_stops_what_it_names(
    records: list[ConsentRecord], purpose: str, channel: str
) -> None:
    answer = settle_consent([*records, entry(95, "withdrawn", purpose, channel)], "marketing", "email", NOW)
    assert answer.state is ConsentState.WITHDRAWN


@settings(max_examples=150)
@given(st.lists(entries, max_size=8))
def test_granted_always_rests_on_a_valid_grant_that_names_this_use(records: list[ConsentRecord]) -> None:
    answer = settle_consent(records, "marketing", "email", NOW)
    if answer.is_granted:
        assert answer.record in records
        assert answer.record is not None
        assert answer.record.is_grant
        assert answer.record.purpose in {"marketing", "*"}
        assert answer.record.channel in {"email", "*"}
        assert answer.record.valid_until is None or answer.record.valid_until > NOW


@settings(max_examples=150)
@given(st.lists(entries, max_size=8), st.integers(0, 90))
def test_an_imported_grant_can_only_fill_silence(records: list[ConsentRecord], day: int) -> None:
    before = settle_consent(records, "marketing", "email", NOW).state
    after = settle_consent(
        [*records, entry(day, "granted", source="import")], "marketing", "email", NOW
    ).state
    assert after is before or before in {ConsentState.UNKNOWN, ConsentState.EXPIRED}

"""What phone numbers say: how they are written, their country, the clocks their owners may live by."""

from __future__ import annotations

from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.journeys.numbers import (
    countries,
    distinct_clocks,
    read_number,
    write_number,
    zones_by_numbers,
)

texts = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"(\+|00)?[0-9 ().\-]{3,22}(ext\. ?[0-9]+)?", fullmatch=True),
    st.from_regex(r"\+[1-9][0-9]{4,18}", fullmatch=True),
)


@pytest.mark.parametrize(
    ("given", "country", "zones"),
    [
        ("+8613812345678", "CN", ("Asia/Shanghai",)),
        ("+85291234567", "HK", ("Asia/Hong_Kong",)),
        ("+16502530000", "US", ("America/Los_Angeles",)),
        ("+61412345678", "AU", 6),
        ("+8007355327", None, None),
    ],
)
def test_a_number_tells_its_country_and_where_its_owner_may_be(
    given: str, country: str | None, zones: tuple[str, ...] | int | None
) -> None:
    number = read_number(given)
    if zones is None:
        assert number is None or number.zones == ()
        return
    assert number is not None
    assert number.country == country
    if isinstance(zones, int):
        assert len(number.zones) >= zones
        assert {"Australia/Sydney", "Australia/Perth"} <= set(number.zones)
    else:
        assert number.zones == zones


def test_zones_with_one_clock_leave_nothing_open() -> None:
    islands = ("Europe/Guernsey", "Europe/Isle_of_Man", "Europe/Jersey", "Europe/London")
    assert distinct_clocks(islands) == ("Europe/London",)
    number = read_number("+447911123456")
    assert number is not None and number.zones == ("Europe/London",)


def test_zones_with_the_same_offset_today_and_another_summer_stay_apart() -> None:
    assert distinct_clocks(["America/Phoenix", "America/Denver"]) == ("America/Denver", "America/Phoenix")


def test_a_number_without_a_plus_is_one_of_the_country_that_is_declared() -> None:
    assert write_number("138 1234 5678", "CN") == "+8613812345678"
    assert write_number("138 1234 5678") == "13812345678"
    assert read_number("13812345678") is None


def test_what_no_country_has_is_kept_and_tells_nothing() -> None:
    assert write_number("+1 555 555 0123") == "+15555550123"
    assert read_number("+15555550123") is None


def test_numbers_of_several_platforms_leave_open_what_they_do_not_agree_on() -> None:
    platforms = {"sms": "CN", "whatsapp": None}
    assert zones_by_numbers({"sms": "13812345678", "email": "a@b.cn"}, platforms) == ("Asia/Shanghai",)
    both = {"sms": "13812345678", "whatsapp": "+447911123456"}
    assert zones_by_numbers(both, platforms) == ("Asia/Shanghai", "Europe/London")
    assert zones_by_numbers({}, platforms) == ()


@given(given=texts, country=st.sampled_from([None, "CN", "US", "GB", "AQ"]))
def test_any_text_is_a_number_or_none_and_writing_it_again_changes_nothing(
    given: str, country: str | None
) -> None:
    written = write_number(given, country)
    if written is None:
        return
    assert written.removeprefix("+").isascii() and written.removeprefix("+").isdigit()
    assert write_number(written, country) == written
    number = read_number(written, country)
    if number is not None:
        assert set(number.zones) <= available_timezones()
        assert number.country is None or number.country in countries()
        assert distinct_clocks(number.zones) == number.zones

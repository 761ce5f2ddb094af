"""Texts that platforms have approved: which one a finished message is, and what stands in its gaps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plugins.channels.platforms.templates import filled, templates_in

THREE = "order: 您的${what}已发货，单号${number}。\\n预计{{1}}送达"
VALUES = st.text(st.characters(exclude_characters="已，。\n预送", exclude_categories=["Cs"]), min_size=1)


@given(VALUES, VALUES, VALUES)
def test_what_stood_in_the_gaps_is_found_again(what: str, number: str, when: str) -> None:
    text = f"您的{what}已发货，单号{number}。\n预计{when}送达"
    found = filled(templates_in(THREE), text)
    assert found is not None
    assert found.values == {"what": what, "number": number, "1": when}
    assert filled(templates_in(THREE), text + "！") is None


def test_a_gap_may_hold_what_follows_it_only_where_no_other_reading_is_shorter() -> None:
    found = filled(templates_in("t: ${a}-${b}-"), "x-y-z-")
    assert found is not None
    assert found.values == {"a": "x", "b": "y-z"}


def test_gaps_are_written_as_each_platform_does() -> None:
    (template,) = templates_in("t: 商品：{{thing2.DATA}}，{{1}}，${what}")
    assert template.gaps == ("thing2", "1", "what")


def test_a_name_that_stands_twice_has_one_value() -> None:
    twice = templates_in("t: ${a}-${a}")
    found = filled(twice, "x-y-x-y")
    assert found is not None
    assert found.values == {"a": "x-y"}
    assert filled(twice, "x-y") is None


def test_a_long_text_is_looked_at_once_however_many_gaps_there_are() -> None:
    # Tried in every way, this would take longer than anybody lives.
    lines = templates_in("t: " + "\\n".join(f"${{v{number}}}" for number in range(20)) + "\\n.")
    assert filled(lines, "x\n" * 1000) is None

"""Unsubscribe links say exactly what was signed, and nothing else is believed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.contacts.unsubscribe import Unsubscribe, read_token, sign, unsubscribe_url

WORDS = st.text(st.characters(exclude_characters="\x1f", exclude_categories=["Cs"]), max_size=40)


@given(WORDS, WORDS, WORDS)
def test_a_token_reads_as_it_was_signed(contact: str, purpose: str, channel: str) -> None:
    wish = Unsubscribe(contact, purpose, channel)
    assert read_token("secret", sign("secret", wish)) == wish


def test_a_token_of_another_secret_is_not_believed() -> None:
    assert read_token("theirs", sign("ours", Unsubscribe("c1", "marketing", "email"))) is None


@given(st.integers(min_value=0), st.characters())
def test_a_token_changed_anywhere_is_not_believed(place: int, letter: str) -> None:
    token = sign("secret", Unsubscribe("c1", "marketing", "email"))
    at = place % len(token)
    changed = token[:at] + letter + token[at + 1 :]
    assert changed == token or read_token("secret", changed) is None


@given(st.text(max_size=60))
def test_any_text_is_read_without_harm(text: str) -> None:
    assert read_token("secret", text) is None


def test_the_link_stands_under_the_public_address() -> None:
    url = unsubscribe_url("https://mail.example.com/", "secret", "c1", "marketing", "email")
    assert url.startswith("https://mail.example.com/u/")
    assert read_token("secret", url.rpartition("/")[2]) == Unsubscribe("c1", "marketing", "email")

"""What stands in the head of a mail, and which addresses it may go to: whatever the texts are."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.plugin.testing import EXAMPLE_MESSAGE
from plugins.channels.mail import Unsendable, ascii_address, envelope_of
from tests.plugins.conftest import NOW


@given(
    st.text(alphabet=st.characters(), max_size=80),
    st.text(alphabet=st.characters(), max_size=80),
    st.sampled_from(["\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\r\n "]),
)
@settings(max_examples=150)
def test_no_text_can_add_a_header_or_a_line_to_the_head(before: str, after: str, breaking: str) -> None:
    hostile = f"{before}{breaking}Bcc: other@example.com{breaking}{breaking}{after}"
    message = replace(EXAMPLE_MESSAGE, subject=hostile, headers={"X-Campaign": hostile}, body=hostile)
    envelope = envelope_of(message, hostile, sender="a@b.example", reply_to=None, now=NOW)
    head, _, body = envelope.content.partition(b"\r\n\r\n")
    starts = [line for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    names = [line.split(b":")[0].lower() for line in starts]
    assert sorted(names) == sorted(
        [
            *(b"from", b"to", b"subject", b"date", b"message-id", b"list-unsubscribe"),
            *(b"list-unsubscribe-post", b"x-campaign", b"content-type", b"content-transfer-encoding"),
            b"mime-version",
        ]
    )
    assert all(len(line) <= 998 for line in envelope.content.split(b"\r\n"))
    assert b"\n" not in envelope.content.replace(b"\r\n", b"")
    assert b"\r" not in envelope.content.replace(b"\r\n", b"")
    assert b"\x00" not in body


@given(st.text(alphabet=st.characters(), max_size=60))
@settings(max_examples=200)
def test_an_address_is_either_one_plain_address_or_refused(text: str) -> None:
    for candidate in (text, f"{text}@example.com", f"a@{text}"):
        try:
            address = ascii_address(candidate)
        except Unsendable:
            continue
        assert address.count("@") == 1
        assert not any(letter.isspace() or letter in "<>,;\x00\r\n" for letter in address)

"""What mails that come back say of addresses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.intake.bounces import Returned, read_returned

DSN = """From: MAILER-DAEMON@mx.example
To: news@shop.example
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It could not be delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; gone@example.com
Action: {action}
Status: {status}
--b--
"""
ARF = """From: feedback@provider.example
To: abuse@shop.example
Subject: FW: Offers
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

This is an abuse report.
--b
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
{named}
--b
Content-Type: message/rfc822

From: news@shop.example
To: Ann <ann@example.com>
Subject: Offers

Buy.
--b--
"""


def test_an_address_that_does_not_exist_is_a_hard_bounce() -> None:
    mail = DSN.format(action="failed", status="5.1.1").encode()
    assert read_returned(mail) == [Returned("gone@example.com", "hard_bounce")]


@pytest.mark.parametrize(("action", "status"), [("delayed", "4.2.2"), ("delivered", "2.0.0")])
def test_what_fails_only_for_now_is_none(action: str, status: str) -> None:
    assert read_returned(DSN.format(action=action, status=status).encode()) == []


def test_a_complaint_names_whom_the_report_names_else_whom_the_mail_was_for() -> None:
    named = ARF.format(kind="abuse", named="Original-Rcpt-To: <bob@example.com>").encode()
    assert read_returned(named) == [Returned("bob@example.com", "complaint")]
    unnamed = ARF.format(kind="abuse", named="Arrival-Date: Thu, 8 Mar 2026 14:00:00 +0000").encode()
    assert read_returned(unnamed) == [Returned("ann@example.com", "complaint")]


def test_whoever_says_that_a_mail_is_no_spam_does_not_complain() -> None:
    assert read_returned(ARF.format(kind="not-spam", named="X-A: b").encode()) == []


def test_an_ordinary_mail_says_nothing() -> None:
    assert read_returned(b"From: a@b.c\nTo: d@e.f\nSubject: Hello\n\nHow are you?\n") == []


@settings(max_examples=150)
@given(st.binary(max_size=300), st.sampled_from([b"", DSN.encode(), ARF.encode()]), st.integers(0, 900))
def test_no_mail_whatever_does_harm(noise: bytes, start: bytes, at: int) -> None:
    try:
        found = read_returned(start[:at] + noise + start[at:])
    except ValueError:
        return
    assert all("@" in each.address for each in found)


def test_a_mail_beyond_all_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="larger"):
        read_returned(b"x" * (10 * 1024 * 1024 + 1))

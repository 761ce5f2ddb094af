"""Mails that come back: which addresses do not exist and who complained; pure. The only door to flufl.bounce.

Delivery status notifications (RFC 3464) and the many forms before them are read by flufl.bounce, complaints
(ARF, RFC 5965) here: their form is one.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import Message
from email.utils import parseaddr

from flufl.bounce import all_failures

HARD_BOUNCE, COMPLAINT = "hard_bounce", "complaint"
LARGEST_MAIL = 10 * 1024 * 1024

# It tells each of its detectors at level INFO, and lets what one raises pass by, with a trace.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Returned:
    """What one mail says of an address."""

    address: str
    reason: str
    """hard_bounce | complaint"""


def read_returned(data: bytes) -> list[Returned]:
    """The addresses that a mail says must not be written to any more; none for any other mail.

    What failed for now (a full mailbox, a busy server) is no reason. ValueError for what cannot be read as a
    mail at all.
    """
    if len(data) > LARGEST_MAIL:
        raise ValueError(f"the mail is larger than {LARGEST_MAIL} bytes")
    try:
        mail = message_from_bytes(data, policy=policy.compat32)
        if _is_complaint(mail):
            found, reason = _complainers(mail), COMPLAINT
        else:
            _, permanent = all_failures(mail)
            found, reason = [each.decode("utf-8", "replace") for each in permanent], HARD_BOUNCE
    except Exception as error:
        # Whatever a stranger's mail makes of the many old detectors, it is that mail that cannot be read.
        raise ValueError(f"the mail cannot be read ({type(error).__name__})") from error
    addresses = {address for text in found if "@" in (address := parseaddr(text)[1])}
    return [Returned(address, reason) for address in sorted(addresses)]


def _is_complaint(mail: Message) -> bool:
    return (
        mail.get_content_type() == "multipart/report"
        and str(mail.get_param("report-type", "")).lower() == "feedback-report"
    )


def _complainers(mail: Message) -> list[str]:
    """Who got the mail that is complained of: as the report says, else as its own header does."""
    named: list[str] = []
    original: list[str] = []
    for part in mail.walk():
        match part.get_content_type():
            case "message/feedback-report":
                fields = _fields(part)
                if fields.get("Feedback-Type", "abuse").strip().lower() not in {"abuse", "fraud", "opt-out"}:
                    return []  # "not-spam" is the opposite
                named += fields.get_all("Original-Rcpt-To", [])
            case "message/rfc822" | "text/rfc822-headers":
                original += _fields(part).get_all("To", [])
    return [str(each) for each in named or original[:1]]


def _fields(part: Message) -> Message:
    payload = part.get_payload()
    if isinstance(payload, list):
        return payload[0] if payload and isinstance(payload[0], Message) else Message()
    raw = part.get_payload(decode=True)
    return message_from_bytes(raw if isinstance(raw, bytes) else b"", policy=policy.compat32)

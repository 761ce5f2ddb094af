"""The text of an e-mail: headers that cannot be injected into, unsubscribe headers that cannot be folded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime, parseaddr
from hashlib import sha256

from engine.plugin import Message

# Folding these breaks the DKIM signatures of some signers, and one-click unsubscribe with them.
UNFOLDED = frozenset({"list-unsubscribe", "list-unsubscribe-post", "message-id"})
OWN = frozenset(
    {
        *("from", "sender", "to", "cc", "bcc", "subject", "date", "message-id", "reply-to", "return-path"),
        *("received", "mime-version", "list-unsubscribe", "list-unsubscribe-post", "dkim-signature"),
    }
)
HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,75}")
LINE_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
LOCAL_PART = re.compile(r"[^\s\x00-\x1f\x7f()<>\[\]:;@\\,\"]{1,64}")
DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
URL = re.compile(r"https?://[!-;=?-~]+")
SAFE_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Unsendable(Exception):
    """No e-mail can be made of this message; `code` says why in one word, the text without personal data."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Envelope:
    """Everything one SMTP transaction needs."""

    sender: str
    recipient: str
    message_id: str
    content: bytes
    needs_utf8: bool


class _OneLinePolicy(EmailPolicy):
    """Folds as usual, but keeps some headers on one line whatever their length."""

    def fold(self, name: str, value: str) -> str:
        return f"{name}: {value}\r\n" if name.lower() in UNFOLDED else super().fold(name, value)

    def fold_binary(self, name: str, value: str) -> bytes:
        if name.lower() in UNFOLDED:
            return self.fold(name, value).encode("ascii")
        return super().fold_binary(name, value)


POLICY = _OneLinePolicy(linesep=SMTP.linesep, cte_type="7bit", raise_on_defect=False)


def envelope_of(message: Message, key: str, *, sender: str, reply_to: str | None, now: datetime) -> Envelope:
    """The message as an e-mail; Unsendable when its address or a header cannot be used."""
    origin, recipient = sender_of(sender), ascii_address(message.to)
    needs_utf8 = not recipient.isascii() or not origin.addr_spec.isascii()
    message_id = f"<{_id_of(key)}@{origin.domain}>"
    mail = EmailMessage(POLICY.clone(utf8=True) if needs_utf8 else POLICY)
    mail["From"] = origin
    mail["To"] = Address("", *recipient.rsplit("@", 1))
    mail["Subject"] = _one_line(message.subject)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = message_id
    if reply_to is not None:
        mail["Reply-To"] = sender_of(reply_to)
    if message.unsubscribe_url is not None:
        if not URL.fullmatch(message.unsubscribe_url):
            raise Unsendable("unsubscribe_url_invalid", "the unsubscribe link is not a plain http(s) address")
        mail["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    for name, value in message.headers.items():
        if not HEADER_NAME.fullmatch(name) or name.lower() in OWN or name.lower().startswith("content-"):
            raise Unsendable(
                "header_refused", f"the header {_one_line(name)[:40]!r} is not the message's to set"
            )
        mail[name] = _one_line(value)
    parts = [message.body, message.call_to_action, _way_out(message)]
    mail.set_content(_text("\n\n".join(part for part in parts if part)), charset="utf-8")
    return Envelope(origin.addr_spec, recipient, message_id, mail.as_bytes(), needs_utf8)


def _way_out(message: Message) -> str:
    """The unsubscribe link for people: not every mail program shows a button for the header."""
    url = message.unsubscribe_url
    if url is None or url in message.body or url in message.call_to_action:
        return ""
    return f"{'退订' if message.locale.lower().startswith('zh') else 'Unsubscribe'}: {url}"


def ascii_address(text: str) -> str:
    """The address with its domain in ASCII; only the part before the @ may hold other letters."""
    local, at, domain = text.rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        domain = ""
    dotted = local.startswith(".") or local.endswith(".") or ".." in local
    if not at or dotted or not LOCAL_PART.fullmatch(local) or not DOMAIN.fullmatch(domain):
        raise Unsendable("address_invalid", "not an e-mail address")
    try:
        local.encode()
    except UnicodeEncodeError:
        raise Unsendable("address_invalid", "not an e-mail address") from None
    return f"{local}@{domain}"


def sender_of(text: str) -> Address:
    """`Shop <news@shop.example>` taken apart; ValueError when it is not one address."""
    name, address = parseaddr(text)
    try:
        if LINE_BREAKS.search(text):
            raise ValueError(text)
        local, _, domain = ascii_address(address).rpartition("@")
        return Address(_one_line(name), local, domain)
    except (Unsendable, MessageError, ValueError, IndexError):
        raise ValueError("not a sender; write news@shop.example or Shop <news@shop.example>") from None


def _id_of(key: str) -> str:
    return key if SAFE_KEY.fullmatch(key) else sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _one_line(text: str) -> str:
    """Nothing in a header may end it: every kind of line break becomes a space."""
    return LINE_BREAKS.sub(" ", _encodable(text)).strip()


def _text(text: str) -> str:
    return CONTROLS.sub("", _encodable(text))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")

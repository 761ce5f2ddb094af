"""Opens what WeCom and WeChat post: a signed, sealed text around plain XML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from pydantic import Field, SecretStr, field_validator

from engine.plugin import Refused
from plugins.channels.http.asking import LineSettings
from plugins.channels.tencent.crypto import NotDecrypted, decrypted, is_signed, key_of

TOLERANCE = timedelta(minutes=10)
"""How far a callback's time may be from ours: the platform repeats one for some minutes."""
_SECONDS = re.compile(r"[0-9]{1,11}")


class SealedSettings(LineSettings):
    """What callbacks are signed and sealed with."""

    token: SecretStr | None = Field(
        title="Token", default=None, description="Of the callbacks; left out: none is believed."
    )
    encoding_aes_key: SecretStr | None = Field(
        title="EncodingAESKey", default=None, description="Seals the callbacks; left out: none is believed."
    )

    @field_validator("encoding_aes_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            key_of(value.get_secret_value())
        return value


def opened(
    settings: SealedSettings | None, sealed: str, receiver: str, query: Mapping[str, str], now: datetime
) -> bytes | Refused:
    """What is sealed for this receiver, once its signature and its time are right."""
    if settings is None or settings.token is None or settings.encoding_aes_key is None:
        return Refused("signature", "token and encoding_aes_key are not set")
    timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
    token = settings.token.get_secret_value()
    if not sealed or not is_signed(query.get("msg_signature", ""), token, timestamp, nonce, sealed):
        return Refused("signature", "msg_signature does not fit")
    if is_stale(timestamp, now):
        return Refused("stale", f"timestamp is more than {TOLERANCE.seconds // 60} minutes away")
    try:
        return decrypted(key_of(settings.encoding_aes_key.get_secret_value()), sealed, receiver)
    except NotDecrypted as error:
        return Refused("malformed", str(error))


def is_stale(timestamp: str, now: datetime) -> bool:
    """Whether it was signed too long ago, or for the future, or at no time at all."""
    return not _SECONDS.fullmatch(timestamp) or abs(now - _moment(timestamp)) > TOLERANCE


def moment(seconds: str) -> datetime:
    """The time that is meant; ValueError when it is none."""
    if not _SECONDS.fullmatch(seconds):
        raise ValueError("it is no time")
    return _moment(seconds)


def tree_of(xml: bytes) -> ElementTree.Element | None:
    """The root of plain XML; None of anything else."""
    # No document type: nobody honest sends one, and entities are how a small body becomes a large one.
    if b"<!" in xml.replace(b"<![CDATA[", b""):
        return None
    try:
        return ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError, RecursionError):
        return None


def fields_of(root: ElementTree.Element | None) -> dict[str, str]:
    """The texts right below an element."""
    return {} if root is None else {each.tag: each.text or "" for each in root}


def _moment(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)

"""The write key of intake and the operator token: made here, shown once, stored only as hashes.

SHA-256 without salt or stretching is right for these: a key holds 256 random bits, so there is nothing to
guess and no table to prepare, and intake verifies one with every request. Passwords, which people choose,
would need argon2.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from sqlalchemy.orm import Session

from engine.errors import CommandError
from engine.store.control import change_control, read_control

SHORTEST = 16
"""Characters a key given in the settings must have."""


@dataclass(frozen=True)
class Keys:
    """Keys as they are shown to their owner; None for one that exists already and cannot be shown again."""

    write_key: str | None
    operator_token: str | None


def generate_key(kind: str) -> str:
    """A new key of 256 random bits; `kind` (`write`, `operator`) stands in front so that people can tell."""
    return f"wl_{kind}_{secrets.token_urlsafe(32)}"


def hash_key(key: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def verify_key(given: str, stored: str | None) -> bool:
    """Whether `given` is the key behind the stored hash, in a time that tells nothing; False without one."""
    return stored is not None and hmac.compare_digest(hash_key(given).encode(), stored.encode())


def verify_write_key(session: Session, given: str) -> bool:
    """Whether `given` opens the intake of this workspace."""
    return verify_key(given, read_control(session).write_key_hash)


def verify_operator_token(session: Session, given: str) -> bool:
    """Whether `given` is the operator token of this workspace."""
    return verify_key(given, read_control(session).operator_token_hash)


def ensure_keys(session: Session, *, write_key: str | None = None, operator_token: str | None = None) -> Keys:
    """Both keys in force: those given in the settings, or the stored ones, or new ones where there are none.

    Only keys that are new or were given are returned. CommandError for a given key that is too short to be
    safe.
    """
    control = read_control(session)
    wanted = {
        "write": (write_key, control.write_key_hash),
        "operator": (operator_token, control.operator_token_hash),
    }
    shown: dict[str, str | None] = {}
    for kind, (given, stored) in wanted.items():
        if given is not None and len(given) < SHORTEST:
            raise CommandError(f"the {kind} key in the settings is shorter than {SHORTEST} characters")
        shown[kind] = given or (generate_key(kind) if stored is None else None)
    hashes = {kind: hash_key(key) for kind, key in shown.items() if key is not None}
    fields = {"write": "write_key_hash", "operator": "operator_token_hash"}
    change_control(session, **{fields[kind]: value for kind, value in hashes.items()})
    return Keys(shown["write"], shown["operator"])


def replace_write_key(session: Session) -> str:
    """A new write key; the old one stops working with the commit."""
    key = generate_key("write")
    change_control(session, write_key_hash=hash_key(key))
    return key


def replace_operator_token(session: Session) -> str:
    """A new operator token; the old one stops working with the commit."""
    key = generate_key("operator")
    change_control(session, operator_token_hash=hash_key(key))
    return key

"""Which identities of an event a workspace knows, and what is wrong with the others; pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from engine.intake.incoming import MAX_ID, Identity, IncomingEvent

BUILT_IN = ("user", "anonymous")


@dataclass(frozen=True)
class Identified:
    """Who an event says it is about."""

    identities: tuple[Identity, ...]
    """Ordered: the most trustworthy first, the device's anonymous id last."""
    notes: tuple[str, ...]
    """What was left aside and why, without the values."""


def identify(event: IncomingEvent, declared: Collection[str]) -> Identified:
    """The identities of `event` on the workspace's platforms: its ids, then the traits of platforms' names.

    An address that cannot be one is left aside with a note; the event itself stays good.
    """
    found: dict[Identity, None] = {}
    last: dict[Identity, None] = {}
    notes: list[str] = []
    stated = [
        *event.identities,
        *(
            (platform, value)
            for platform in declared
            if isinstance(value := event.traits.get(platform), str) and value.strip()
        ),
    ]
    for platform, given in stated:
        if platform in BUILT_IN:
            (last if platform == "anonymous" else found)[(platform, given)] = None
        elif platform not in declared:
            notes.append(f"identity on {platform[:40]!r} left aside: not a platform of this workspace")
        elif (address := normalised(platform, given)) is None:
            notes.append(f"{platform} left aside: not an address")
        else:
            found[(platform, address)] = None
    return Identified((*found, *last), tuple(notes))


def normalised(platform: str, given: str) -> str | None:
    """The address as it is stored and compared, or None when it cannot be one."""
    address = given.strip()
    if not address or len(address) > MAX_ID:
        return None
    match platform:
        case "email":
            return _email(address)
        case "phone":
            digits = re.sub(r"[\s().-]", "", address)
            return digits if re.fullmatch(r"\+?[0-9]{5,20}", digits) else None
        case _:
            return address


@lru_cache(maxsize=10_000)
def _email(address: str) -> str | None:
    try:
        # No look-up in the DNS: intake must not wait for the world. Reserved names such as example.test stay
        # usable, for they are what test systems send; nothing can be delivered there.
        return validate_email(address, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        return None

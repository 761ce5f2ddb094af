"""Which identities of an event a workspace knows, and what is wrong with the others; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from engine.authoring.bundle import Workspace
from engine.intake.incoming import Identity, IncomingEvent, is_too_long
from engine.journeys.numbers import write_number

BUILT_IN = ("user", "anonymous")


@dataclass(frozen=True)
class Identified:
    """Who an event says it is about."""

    identities: tuple[Identity, ...]
    """Ordered: the most trustworthy first, the device's anonymous id last."""
    notes: tuple[str, ...]
    """What was left aside and why, without the values."""


def identify(event: IncomingEvent, workspace: Workspace) -> Identified:
    """The identities of `event` on the workspace's platforms: its ids, then the traits of platforms' names.

    An address that cannot be one is left aside with a note; the event itself stays good.
    """
    declared, numbers = workspace.identities, workspace.numbers
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
        elif (address := normalised(platform, given, numbers)) is None:
            what = "a phone number" if platform in numbers else "an address"
            notes.append(f"{platform} left aside: not {what}")
        else:
            found[(platform, address)] = None
    return Identified((*found, *last), tuple(notes))


def normalised(platform: str, given: str, numbers: Mapping[str, str | None]) -> str | None:
    """The address as it is stored and compared, or None when it cannot be one.

    `numbers` are the platforms of phone numbers, each with whose numbers those without + are.
    """
    address = given.strip()
    if not address or is_too_long(address):
        return None
    if platform in numbers:
        return write_number(address, numbers[platform])
    return _email(address) if platform == "email" else address


@lru_cache(maxsize=10_000)
def _email(address: str) -> str | None:
    try:
        # No look-up in the DNS: intake must not wait for the world. Reserved names such as example.test stay
        # usable, for they are what test systems send; nothing can be delivered there.
        return validate_email(address, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        return None

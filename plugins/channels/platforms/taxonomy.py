"""What platforms say when they refuse, and what they bear, as dated data: one YAML file each.

A code that no file knows is a refusal for good: the platform answered, and nothing says that it will do
better later.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.plugin import Duration, Rejected, Retry, Window

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Every process that loads the plugins reads all files."""


class Means(StrEnum):
    """What an error of a platform comes to."""

    THROTTLED = "throttled"
    """Too many at once; later it works."""
    TRANSIENT = "transient"
    """The platform's own trouble; nothing was sent."""
    AUTH = "auth"
    """Keys, addresses or rights are wrong: whoever mends them still wants it sent."""
    WINDOW_CLOSED = "window_closed"
    """The person has to write first."""
    QUOTA = "quota"
    """An allowance is used up."""
    NOT_REACHABLE = "not_reachable"
    OPTED_OUT = "opted_out"
    CONTENT_REJECTED = "content_rejected"


LATER = frozenset({Means.THROTTLED, Means.TRANSIENT, Means.AUTH})


class _Fact(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(min_length=1)
    as_of: str = Field(pattern=r"\d{4}-\d\d-\d\d")
    basis: Literal["official", "third_party", "unverified"]
    """official: the platform's own page; unverified: as it is commonly known, not read there"""


class ErrorFact(_Fact):
    """One code of a platform, and what it comes to."""

    code: str
    means: Means
    told: str
    """What the platform says by it, in plain words."""
    after: Duration | None = None
    """When to come back, where the platform says how long."""
    of_provider: bool = False
    """It says so of everything through this account."""
    closes_address: bool = False
    """The address will never work and is suppressed, on all channels that write to its platform. Said only
    of codes that mean nothing else: one that a phone which is switched off gets as well closes nothing."""
    complaint: bool = False
    """The person has complained of us: it counts as a complaint, and the address is closed."""
    stops_marketing: bool = False
    """The person has told the platform that they want no marketing from us: consent to it is withdrawn."""

    @model_validator(mode="after")
    def _rests_on_what_was_read(self) -> ErrorFact:
        if self.basis == "unverified" and (self.closes_address or self.complaint):
            raise ValueError(f"{self.code}: what nobody has read closes no address")
        return self


class LimitFact(_Fact):
    """One figure a platform documents."""

    name: str
    value: int = Field(gt=0)
    told: str


class RateFact(_Fact):
    """How fast a platform takes messages; the ruleset's channel declares it as one of its `rates`."""

    limit: int = Field(gt=0)
    per: Duration
    scope: str


class WindowFact(_Fact):
    """In which time, and with how many messages, a platform lets one write to somebody who was heard."""

    name: str = Field(pattern=r"[a-z][a-z0-9_]*")
    length: Duration | None = None
    """None: until the allowance is used up."""
    opened_by: tuple[str, ...] = ("message_received",)
    """Types of events."""
    allowance: int | None = Field(default=None, gt=0)
    adds_up: bool = False
    """Two openings are two allowances."""
    per: str = ""
    """The property of the events by which it is several."""
    closed_by: tuple[str, ...] = ()
    told: str

    def as_window(self) -> Window:
        return Window(
            self.name,
            self.length,
            self.opened_by,
            self.allowance,
            self.source,
            self.as_of,
            self.adds_up,
            self.per,
            self.closed_by,
        )


class Taxonomy(BaseModel):
    """All that is written down of one platform."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    platform: str
    title: str
    limits: tuple[LimitFact, ...] = ()
    rates: tuple[RateFact, ...] = ()
    windows: tuple[WindowFact, ...] = ()
    errors: tuple[ErrorFact, ...] = ()

    @property
    def reply_windows(self) -> tuple[Window, ...]:
        """The windows as a channel declares them (`Capabilities.windows`)."""
        return tuple(each.as_window() for each in self.windows)

    def limit(self, name: str) -> int:
        """The figure of that name; KeyError when the file has none."""
        for each in self.limits:
            if each.name == name:
                return each.value
        raise KeyError(name)

    def knows(self, code: str) -> ErrorFact | None:
        """What is known of a code."""
        return self._by_code().get(code)

    def means(self, code: str) -> Means | None:
        known = self.knows(code)
        return None if known is None else known.means

    def closes(self, code: str) -> bool:
        """Whether a refusal or a bounce with this code says that the address will never work."""
        known = self.knows(code)
        return known is not None and known.closes_address

    def complains(self, code: str) -> bool:
        """Whether a refusal with this code says that the person has complained of us."""
        known = self.knows(code)
        return known is not None and known.complaint

    def stops_marketing(self, code: str) -> bool:
        """Whether a refusal with this code says that the person wants no marketing from us."""
        known = self.knows(code)
        return known is not None and known.stops_marketing

    def refusal(
        self, code: str, *, retry_after: timedelta, asked: timedelta | None = None
    ) -> Retry | Rejected:
        """What a channel answers when the platform refused with this code.

        `asked` is what it said of when to come back, `retry_after` what goes where nobody says.
        """
        known = self.knows(code)
        if known is None:
            return Rejected(code, "a code that is not documented")
        if known.means in LATER or (known.means is Means.QUOTA and (known.after or asked)):
            return Retry(asked or known.after or retry_after, code, of_provider=known.of_provider)
        return Rejected(code, f"{known.means.value}: {known.told}", permanent_address=known.closes_address)

    def _by_code(self) -> Mapping[str, ErrorFact]:
        return {each.code: each for each in self.errors}


@cache
def taxonomy(platform: str) -> Taxonomy:
    """What is written down of a platform; read once."""
    text = files("plugins.channels.platforms").joinpath(f"{platform}.yaml").read_text(encoding="utf-8")
    return Taxonomy.model_validate(yaml.load(text, Loader=_LOADER))

"""What a platform takes and shows of a text: the entries of a workspace's rule book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from engine.plugin.contracts import Severity
from engine.plugin.lengths import LengthUnit


@dataclass(frozen=True)
class LengthRule:
    """How long one part of a message may be, and where that is said."""

    least: int = 0
    most: int | None = None
    unit: LengthUnit = "characters"
    beyond: Severity = Severity.BLOCK
    """What follows when it is longer; shorter than `least` is a warning."""
    source: str = ""
    """The page that says so, with the day on which it was read."""


@dataclass(frozen=True)
class LineRule:
    """A line that messages have: it is added to those that do not say it."""

    text: str
    at: str = "last"
    """first | last"""
    apart: bool = True
    """On a line of its own; otherwise directly beside the text."""
    others: tuple[str, ...] = ()
    """Other wordings that will do."""
    purposes: tuple[str, ...] = ()
    """Only in messages of these purposes; empty: in all."""


@dataclass(frozen=True)
class PlatformFact:
    """A figure of the platform that people should know of."""

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class Platform:
    """The rules of one platform, as of a day."""

    id: str
    title: str
    source: str
    as_of: date
    basis: str
    """official | third_party | unverified"""
    check_again: date
    """From this day on the facts should be looked up anew."""
    lengths: Mapping[str, LengthRule] = field(default_factory=dict)
    """By part of the message: subject, body, call_to_action."""
    subject_as: str = "subject"
    """subject | first_line | left_out"""
    call_to_action_as: str = "button"
    """button | last_line | left_out"""
    markup: str = "kept"
    """kept | markdown (HTML is taken out) | none"""
    links: str = "anywhere"
    """anywhere | own_line | refused"""
    emoji: str = "kept"
    """kept | left_out | refused"""
    lines: tuple[LineRule, ...] = ()
    facts: tuple[PlatformFact, ...] = ()

"""Finds personal data in a text: numbers of identity cards, bank cards and phones, addresses, plates.

A number counts only where its check digit is right, so that order numbers are left alone. The numbers
themselves never stand in a finding's words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from engine.plugin import Check, CheckContext, Draft, Finding, Severity, hookimpl
from plugins.checks.parts import parts_of, told
from plugins.checks.text import Form, plain

LAW = "《个人信息保护法》第五、六、二十八条"
MOST_NUMBERS = 200
"""Written with a plus, in one text, that are asked about: asking takes its time."""

IDENTITY = re.compile(r"(?<![\da-z])[1-8]\d{5}[ ._·-]?\d{8}[ ._·-]?\d{3}[\dx](?![\da-z])")
CARD = re.compile(r"(?<![\d.-])[2-6]\d(?:[ _·-]?\d){12,17}(?![\d.])(?!-\d)")
MOBILE = re.compile(
    r"(?<![\d.])(?:\+?86[ -]?)?1[3-9]\d(?:[ ._·-]?\d{4}){2}(?!\.?\d)(?! ?[件个元次])"
    r"|(?<![\d.] )(?<![\d.])1 [3-9](?: \d){9}(?! ?\d)"
)
AT = re.compile(r" ?[(\[] ?at ?[)\]] ?")
EMAIL = re.compile(
    rf"(?<![a-z0-9._%+-])[a-z0-9][a-z0-9._%+-]{{0,63}}(?:@|{AT.pattern})"
    r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,5}\.[a-z]{2,24}"
)
PASSPORT = re.compile(r"(?:护照|通行证|passport)[^\n]{0,12}?(?<![a-z0-9])([a-z]{1,2}\d{7,8})(?![a-z0-9])")
PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]"
    r"[a-hj-np-z] ?·?[a-hj-np-z0-9]{5,6}(?![a-z0-9])"
)
INTERNATIONAL = re.compile(r"\+\d[\d ().-]{6,20}\d")
SPOKEN = re.compile(r"[〇零一二三四五六七八九幺]{11,18}")
DIGITS = {letter: str(value) for value, letter in enumerate("零一二三四五六七八九")} | {"〇": "0", "幺": "1"}

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
"""Of the digits of an identity number (GB 11643)."""


class PersonalDataSettings(BaseModel):
    """What a ruleset may set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    allowed: str = Field(
        "",
        description="numbers and addresses of one's own that may stand in messages, separated by commas",
        max_length=2_000,
    )


@dataclass(frozen=True)
class _Kind:
    code: str
    severity: Severity
    title: str
    suggestion: str


IDENTITY_NUMBER = _Kind("id_number", Severity.BLOCK, "the number of an identity card", "删去，或只留后四位")
CARD_NUMBER = _Kind("bank_card", Severity.BLOCK, "the number of a bank card", "只留尾号后四位")
PASSPORT_NUMBER = _Kind("passport", Severity.BLOCK, "the number of a passport", "删去，或遮盖中间几位")
PHONE_NUMBER = _Kind("phone", Severity.WARN, "somebody's phone number", "遮盖中间四位，如 138****1234")
EMAIL_ADDRESS = _Kind("email", Severity.WARN, "somebody's e-mail address", "删去，或遮盖一部分")
PLATE_NUMBER = _Kind("plate", Severity.WARN, "the plate of a vehicle", "遮盖一部分")


class PersonalDataCheck:
    """Looks for personal data in subject, body and call to action."""

    name = "personal_data"
    settings = PersonalDataSettings
    immediate = True

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        """One finding for each number or address that is nobody's of `allowed`."""
        settings = PersonalDataSettings.model_validate(dict(context.settings))
        allowed = {_bare(plain(each).text) for each in settings.allowed.split(",") if each.strip()}
        parts = parts_of(draft)
        found = [
            *parts.too_long,
            *(finding for part, text in parts.texts for finding in _found(part, text, allowed)),
        ]
        return told(found)


def _found(part: str, text: str, allowed: set[str]) -> Iterator[Finding]:
    form = plain(text)
    taken: list[tuple[int, int]] = []
    for kind, start, end in _places(form.text):
        if any(start < last and first < end for first, last in taken):
            continue
        taken.append((start, end))
        if _bare(form.text[start:end]) not in allowed:
            yield _finding(kind, form, start, end, part)


def _places(text: str) -> Iterator[tuple[_Kind, int, int]]:
    """What may be found where, the most certain kinds first."""
    read = SPOKEN.sub(lambda said: "".join(DIGITS[letter] for letter in said.group()), text)
    yield from _matches(IDENTITY_NUMBER, IDENTITY, read, _is_identity)
    yield from _matches(CARD_NUMBER, CARD, read, _is_card)
    for match in PASSPORT.finditer(read):
        yield PASSPORT_NUMBER, *match.span(1)
    yield from _matches(EMAIL_ADDRESS, EMAIL, read, lambda _: True)
    yield from _matches(PHONE_NUMBER, MOBILE, read, lambda _: True)
    for count, match in enumerate(INTERNATIONAL.finditer(read)):
        if count < MOST_NUMBERS and _is_phone(match.group()):
            yield PHONE_NUMBER, *match.span()
    yield from _matches(PLATE_NUMBER, PLATE, read, lambda found: any(each.isdigit() for each in found))


def _matches(
    kind: _Kind, pattern: re.Pattern[str], text: str, is_one: Callable[[str], bool]
) -> Iterator[tuple[_Kind, int, int]]:
    for match in pattern.finditer(text):
        if is_one(match.group()):
            yield kind, *match.span()


def _is_identity(found: str) -> bool:
    """Whether the check digit is right and the day of birth is a day (GB 11643)."""
    number = _bare(found)
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], WEIGHTS, strict=True))
    if "10x98765432"[total % 11] != number[17]:
        return False
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    return 1850 <= born.year <= 2100


def _is_card(found: str) -> bool:
    """Whether the length is one that its network gives, and the check digit is right (Luhn)."""
    number = _bare(found)
    if not _fits_network(number) or len(set(number)) < 2:
        return False
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _fits_network(number: str) -> bool:
    length, first = len(number), number[:2]
    if first in {"34", "37"}:
        return length == 15
    if first in {"62", "60"}:
        return 16 <= length <= 19
    return length == 16 and ("40" <= first <= "59" or "22" <= first <= "27" or first in {"35", "36", "65"})


def _is_phone(found: str) -> bool:
    """Whether it is a number that some country could have given to somebody."""
    import phonenumbers  # takes a tenth of a second, and most texts hold no such number

    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(found)))
    except phonenumbers.NumberParseException:
        return False


def _bare(found: str) -> str:
    """A number or an address without what it is only set apart by."""
    found = AT.sub("@", found)
    return found.replace(" ", "") if "@" in found else re.sub(r"[ ()._·-]", "", found)


def _finding(kind: _Kind, form: Form, start: int, end: int, part: str) -> Finding:
    first, last = form.original(start, end)
    return Finding(
        code=f"personal_data.{kind.code}",
        severity=kind.severity,
        start=first,
        end=last,
        message=f"{kind.title} stands in the text",
        part=part,
        rule=f"{LAW}: {kind.title}",
        suggestion=kind.suggestion,
    )


@hookimpl
def register_checks() -> Iterable[Check]:
    return [PersonalDataCheck()]

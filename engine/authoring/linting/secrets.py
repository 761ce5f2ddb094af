"""Secrets that stand in files, whatever key they stand under, comments included."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from engine.errors import Place, Problem

# What it is -> how it looks. Forms that their issuers made recognisable, and nothing that only looks random.
_FORMS: tuple[tuple[str, str], ...] = (
    ("a private key", r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY-----"),
    ("an AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("an Alibaba Cloud access key", r"\bLTAI[0-9A-Za-z]{12,24}\b"),
    ("a Tencent Cloud secret id", r"\bAKID[0-9A-Za-z]{32}\b"),
    ("a Google API key", r"\bAIza[0-9A-Za-z_-]{35}"),
    ("a GitHub token", r"\b(?:gh[pousr]_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{50,})"),
    ("a GitLab token", r"\bglpat-[0-9A-Za-z_-]{20,}"),
    ("a Slack token", r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}"),
    ("a Stripe key", r"\b[rs]k_live_[0-9A-Za-z]{16,}"),
    ("a webhook secret", r"\bwhsec_[0-9A-Za-z+/=]{24,}"),
    ("an API key of a language model", r"\bsk-(?:proj-|ant-)?[0-9A-Za-z_-]{20,}"),
    ("a SendGrid key", r"\bSG\.[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,}"),
    ("a signed token", r"\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}"),
    (
        "a password in an address",
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'{}<>$]{1,100}:[^\s/@\"'{}<>$]{3,200}@",
    ),
)
_ANY = re.compile("|".join(f"({form})" for _, form in _FORMS))
# One of these stands in every form; a text without any is not searched.
_SIGNS = (
    "PRIVATE KEY", "AKIA", "ASIA", "LTAI", "AKID", "AIza", "gh", "glpat-", "xox", "k_live_", "whsec_", "sk-",
    "SG.", "eyJ", "://",
)  # fmt: skip


def secrets_in(text: str, file: str) -> Iterator[Problem]:
    """RS065 for every secret in a text; the message never repeats it."""
    if not any(sign in text for sign in _SIGNS):
        return
    starts: list[int] = []
    for found in _ANY.finditer(text):
        if not starts:
            starts = [0, *(each.end() for each in re.finditer(r"\r\n|\r|\n", text))]
        line = bisect_right(starts, found.start())
        noun = _FORMS[(found.lastindex or 1) - 1][0]
        place = Place(file, line, found.start() - starts[line - 1] + 1)
        hint = "have a new one issued, for this one is known now; write {env: NAME} and set that variable"
        yield Problem(
            place, "RS065", "(file)", f"{noun} stands here, and secrets do not stand in files", hint
        )

"""Secrets that stand in files, whatever key they stand under, comments included."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from engine.errors import Place, Problem

# What it is, what every one of them holds, and how it looks: forms that their issuers made recognisable, and
# nothing that only looks random.
_FORMS: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (noun, sign, re.compile(form))
    for noun, sign, form in (
        ("a private key", "PRIVATE KEY-----", r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY-----"),
        ("an AWS access key", "AKIA", r"\bAKIA[0-9A-Z]{16}\b"),
        ("an AWS access key", "ASIA", r"\bASIA[0-9A-Z]{16}\b"),
        ("an Alibaba Cloud access key", "LTAI", r"\bLTAI[0-9A-Za-z]{12,24}\b"),
        ("a Tencent Cloud secret id", "AKID", r"\bAKID[0-9A-Za-z]{32}\b"),
        ("a Google API key", "AIza", r"\bAIza[0-9A-Za-z_-]{35}"),
        *(("a GitHub token", f"gh{kind}_", rf"\bgh{kind}_[0-9A-Za-z]{{36,}}") for kind in "pousr"),
        ("a GitHub token", "github_pat_", r"\bgithub_pat_[0-9A-Za-z_]{50,}"),
        ("a GitLab token", "glpat-", r"\bglpat-[0-9A-Za-z_-]{20,}"),
        ("a Slack token", "xox", r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}"),
        ("a Stripe key", "k_live_", r"\b[rs]k_live_[0-9A-Za-z]{16,}"),
        ("a webhook secret", "whsec_", r"\bwhsec_[0-9A-Za-z+/=]{24,}"),
        (
            "an API key of a language model",
            "sk-",
            r"\bsk-(?:proj-|ant-)?(?=[A-Za-z_-]*[0-9])[0-9A-Za-z_-]{20,}",
        ),
        ("a SendGrid key", "SG.", r"\bSG\.[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,}"),
        ("a signed token", "eyJ", r"\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}"),
        (
            "a password in an address",
            "://",
            r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'{}<>$]{1,100}:[^\s/@\"'{}<>$]{3,200}@",
        ),
    )
)


def secrets_in(text: str, file: str) -> Iterator[Problem]:
    """RS065 for every secret in a text; the message never repeats it."""
    starts: list[int] = []
    for noun, sign, form in _FORMS:
        if sign not in text:
            continue
        for found in form.finditer(text):
            starts = starts or [0, *(each.end() for each in re.finditer(r"\r\n|\r|\n", text))]
            line = bisect_right(starts, found.start())
            place = Place(file, line, found.start() - starts[line - 1] + 1)
            message = f"{noun} stands here, and secrets do not stand in files"
            hint = "have a new one issued, for this one is known now; write {env: NAME} and set that variable"
            yield Problem(place, "RS065", "(file)", message, hint)

"""Secrets are found wherever they stand, never repeated, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.authoring.linting.secrets import secrets_in

ROOT = Path(__file__).parents[3]
# Put together here, so that no tool that looks for secrets takes this file for one that holds some.
SECRETS = [
    "-----BEGIN RSA " + "PRIVATE KEY-----",
    "-----BEGIN " + "PRIVATE KEY-----",
    "AKIA" + "ABCDEFGHIJKLMNOP",
    "LTAI" + "5tABCDEFGHIJKLMN",
    "ghp" + "_" + "a1B2c3D4" * 5,
    "xoxb" + "-1234567890-abcdefghij",
    "sk_live" + "_" + "a1B2c3D4e5F6g7H8",
    "whsec" + "_" + "YmVuY2htYXJrLWJlbmNobWFyay1iZW5jaG1hcms=",
    "sk-" + "proj-" + "a1B2c3D4" * 4,
    "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJ" + "zdWIiOiIxMjM0In0.c2lnbmF0dXJlLWhlcmU",
    "postgresql://wayline:" + "hunter22@db.internal/wayline",
    "smtp://user:" + "p4ssw0rd@mail.example.com:587",
]
HARMLESS = [
    "https://example.com/a:b@c",
    "http://127.0.0.1:8090/messages",
    "mailto:someone@example.com",
    "联系 someone@example.com，或 https://example.com",
    "{env: WAYLINE_SMTP_PASSWORD}",
    "https://user:{{ password }}@example.com",
    "https://user:$PASSWORD@example.com",
    "sk-learn-models-and-other-names-of-things",
    "AKIABC",
    "a private key is never kept here",
    "eyJust.a.word",
    "weight, height, lightning",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_found_under_any_key_and_in_comments(secret: str) -> None:
    for line in (f"note: {secret}", f'note: "{secret}"', f"# {secret}", f"- {{a: '{secret}'}}"):
        (problem,) = secrets_in(f"kind: caps\n{line}\n", "a.yaml")

        assert (problem.code, problem.place.line) == ("RS065", 2)
        assert line[problem.place.column - 1 :].startswith(secret[:6])
        assert secret not in problem.message + problem.hint


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_one_is_left_alone(text: str) -> None:
    assert list(secrets_in(f"note: {text}\n", "a.yaml")) == []


def test_nothing_that_is_shipped_holds_one() -> None:
    for file in (ROOT / "rulesets").rglob("*.*"):
        assert list(secrets_in(file.read_text("utf-8"), file.name)) == []

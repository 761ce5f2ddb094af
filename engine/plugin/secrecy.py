"""Secret settings of plugins: which they are, and for contract tests whether they stay unsaid."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from pydantic import BaseModel, SecretBytes, SecretStr

WORDS = ("password", "secret", "token", "api_key", "private_key")
SHORTEST = 4
"""Characters of a secret that is looked for; a shorter one stands in any text."""
QUIET = ("httpx", "httpcore")
"""Loggers that every process of Wayline silences below warnings; they write addresses."""


def check_declared(settings: type[BaseModel]) -> None:
    """AssertionError when a setting sounds like a secret and is declared as plain text."""
    for name, field in settings.model_fields.items():
        looks_secret = any(word in name for word in WORDS)
        assert not looks_secret or "Secret" in str(field.annotation), (
            f"setting {name!r} looks like a secret; make it a pydantic.SecretStr so that it is never shown"
        )


def secrets_of(model: BaseModel) -> list[str]:
    """The values of its secret settings."""
    values = [getattr(model, name) for name in type(model).model_fields]
    texts = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
    texts += [
        value.get_secret_value().decode("utf-8", "replace")
        for value in values
        if isinstance(value, SecretBytes)
    ]
    return [text for text in texts if len(text) >= SHORTEST]


def check_unsaid(secrets: list[str], text: str, what: str) -> None:
    """AssertionError when the text holds one of the secrets; it does not say which."""
    assert not any(secret in text for secret in secrets), f"{what} shows a secret setting"


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(QUIET) or record.levelno >= logging.WARNING:
            self.lines.append(self.format(record))


@contextmanager
def listening_for(secrets: list[str], who: str) -> Iterator[None]:
    """AssertionError at the end when a secret was printed or logged meanwhile."""
    printed, logged, root = io.StringIO(), _Kept(), logging.getLogger()
    level = root.level
    root.addHandler(logged)
    root.setLevel(min(level, logging.INFO) if level else logging.INFO)
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            yield
    finally:
        root.removeHandler(logged)
        root.setLevel(level)
    check_unsaid(secrets, printed.getvalue(), f"what the {who} prints")
    check_unsaid(secrets, "\n".join(logged.lines), f"what the {who} logs")

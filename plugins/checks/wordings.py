"""Settings that hold several wordings, with bars between: 投资有风险|投资须谨慎."""

from __future__ import annotations

from plugins.checks.text import joined, plain


def read(text: str) -> str:
    """The text as it reads, whatever stands between its letters."""
    return joined(plain(text)).text


def wordings_in(setting: str) -> list[str]:
    """The wordings, as they are written."""
    return setting.split("|") if setting else []


def check_wordings(setting: str) -> str:
    """The same setting; ValueError when nothing can be read of one of its wordings."""
    if not all(read(each).strip() for each in wordings_in(setting)):
        # Every text would have it, and the check would find nothing for ever.
        raise ValueError(
            "beside a bar stands no word; write wordings as one|another, without a bar at the end"
        )
    return setting

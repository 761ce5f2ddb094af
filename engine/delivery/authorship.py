"""Who wrote a message's text, in words: what decisions keep of generators, as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BECAUSE: Mapping[str, str] = {
    "timeout": "the endpoint did not answer in time",
    "server_error": "the endpoint had an error of its own",
    "unreachable": "the endpoint cannot be reached or understood",
    "busy": "the endpoint has had enough for now",
    "left_alone": "the endpoint is left alone for a while after failures",
    "misconfigured": "its key, address or model is wrong",
    "bad_request": "the endpoint refused this request",
    "unavailable": "its plugin or one of its settings is missing here",
    "not_configured": "it has no settings",
    "refused": "the model refused",
    "malformed": "the answer is not in the form that was asked for",
    "empty": "the answer is empty",
    "too_long": "the answer is too long",
    "not_plain_text": "the answer holds markup, or letters that do not show",
    "link_missing": "the answer lacks a link of the content",
    "link_not_allowed": "the answer has a link that the content has not",
    "contact_not_allowed": "the answer has an address or number that the content has not",
    "budget_spent": "its tokens of the day are used",
    "money_spent": "its money of the day is spent",
    "residence": "it may be told nothing of people who live there, or nobody knows where they live",
    "cross_border": "the contact did not agree by itself that facts about them leave their country",
    "virtual_time": "nobody is asked in virtual time",
    "erased": "the text was erased",
}
"""Why there is no text, in a word and in words; plugins may have words of their own."""


def author_lines(text: Mapping[str, Any]) -> list[str]:
    """Who wrote it or why that one did not, what it cost, and where facts of the contact went."""
    who = str(text.get("generator", ""))
    lines = []
    if "because" in text:
        because = str(text["because"])
        words = f" ({BECAUSE[because]})" if because in BECAUSE else ""
        lines.append(f"text: the content's own, not that of {who}: {because}{words}")
    else:
        model = f", model {text['model']}" if text.get("model") else ""
        tokens = f", {text['tokens']} tokens" if text.get("tokens") is not None else ""
        lines.append(f"text: written by {who}{model}{tokens}")
    if cost := text.get("cost"):
        lines.append(f"cost: {cost['amount']} {cost['currency']}, at prices of {cost['as_of']}")
    abroad = text.get("abroad")
    if abroad and "on" in abroad:
        lines.append(f"facts of the contact went to {abroad['to'] or 'another country'} on: {abroad['on']}")
    return lines

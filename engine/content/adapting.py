"""Makes a text fit for a platform, as the platform's entry in the rule book declares; nothing is cut off."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from engine.content.markup import LINK, without_html, without_markdown
from engine.content.platforms import LineRule, Platform
from engine.plugin.contracts import Draft

EMOJI = re.compile(
    "(?:[\U0001f1e6-\U0001f1ff]{2}"  # flags
    "|[0-9#*]\ufe0f?\u20e3"  # keycaps
    "|[\U0001f000-\U0001faff\u2600-\u27bf\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u231a\u231b\u23e9-\u23fa]"
    "[\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*(?:\u200d[\U0001f000-\U0001faff\u2600-\u27bf]\ufe0f?)*)"
)
"""One emoji, with all that it is put together of."""
_PARTING = re.compile("[ ,，;；。.]*")
TRAILING = ".,;:!?)]}"
"""Signs behind a link that are the sentence's, not the link's."""


@dataclass(frozen=True)
class Adapted:
    """A text as its platform shows it."""

    draft: Draft
    done: tuple[str, ...] = ()
    """What was changed, in this order; empty: it is the text as it was written."""


def adapt(draft: Draft, platform: Platform | None, purpose: str) -> Adapted:
    """The text as it goes out on a platform; as it is where no rules are declared.

    In this order: markup, emoji, links; then subject and call to action find their place; then lines that are
    wanted are added. The same text always becomes the same.
    """
    if platform is None:
        return Adapted(draft)
    done: list[str] = []
    parts = {"subject": draft.subject, "body": draft.body, "call_to_action": draft.call_to_action}

    def changed(what: str, other: dict[str, str]) -> None:
        if other != parts:
            parts.update(other)
            done.append(what)

    if platform.markup != "kept":
        changed("markup", {name: _plain(text, platform.markup) for name, text in parts.items()})
    if platform.emoji == "left_out":
        changed("emoji", {name: _without_emoji(text) for name, text in parts.items()})
    if platform.links == "own_line":
        changed("links", {**parts, "body": _links_apart(parts["body"])})
    if platform.subject_as != "subject" and parts["subject"]:
        body = parts["body"] if platform.subject_as == "left_out" else f"{parts['subject']}\n{parts['body']}"
        changed(f"subject_{platform.subject_as}", {**parts, "subject": "", "body": body})
    if platform.call_to_action_as != "button" and (told := parts["call_to_action"]):
        body = parts["body"] if platform.call_to_action_as == "left_out" else f"{parts['body']}\n{told}"
        changed(f"call_to_action_{platform.call_to_action_as}", {**parts, "call_to_action": "", "body": body})
    for line in platform.lines:
        if not line.purposes or purpose in line.purposes:
            changed("line", {**parts, "body": _with_line(parts["body"], line)})
    if not done:
        return Adapted(draft)
    shown = replace(
        draft, subject=parts["subject"], body=parts["body"], call_to_action=parts["call_to_action"]
    )
    return Adapted(shown, tuple(dict.fromkeys(done)))


def links_in(text: str) -> list[tuple[int, int]]:
    """Where links stand in a text."""
    found = []
    for link in LINK.finditer(text):
        found.append((link.start(), link.start() + len(link[0].rstrip(TRAILING))))
    return found


def _plain(text: str, markup: str) -> str:
    text = without_html(text)
    return text if markup == "markdown" else without_markdown(text)


def _without_emoji(text: str) -> str:
    if EMOJI.search(text) is None:
        return text
    return re.sub(r"(?<=\S) {2,}(?=\S)", " ", EMOJI.sub("", text)).strip(" ")


def _links_apart(body: str) -> str:
    """Each link on a line of its own, where it stood; those that stand so already stay."""
    lines, at = [], 0
    for start, end in links_in(body):
        if not _stands_alone(body, start, end):
            lines += [body[at:start].rstrip(" "), body[start:end]]
            # A comma that parted the link from the next words would begin a line.
            parting = _PARTING.match(body, end)
            at = end if parting is None else parting.end()
    if not at:
        return body
    return "\n".join(filter(None, [*lines, body[at:]]))


def _stands_alone(text: str, start: int, end: int) -> bool:
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    return not (text[line_start:start] + text[end : line_end if line_end >= 0 else len(text)]).strip()


def _with_line(body: str, line: LineRule) -> str:
    said = _bare(body)
    if any(_bare(each) in said for each in (line.text, *line.others)):
        return body
    between = "\n" if line.apart else ""
    return f"{line.text}{between}{body}" if line.at == "first" else f"{body}{between}{line.text}"


def _bare(text: str) -> str:
    """The text as far as it matters for whether it says something: without spaces, in one case."""
    return "".join(text.split()).casefold()

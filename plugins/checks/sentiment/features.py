"""What a model sees of a text: Chinese characters by ones to threes, words by ones and twos, ! and ?."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plugins.checks.text import plain

LONGEST_GRAM = 3
LONGEST_WORD = 20
RUNS = re.compile(r"[\u3400-\u9fff]+|[^\W\d_\u3400-\u9fff]+(?:['’][^\W\d_\u3400-\u9fff]+)*|[!?]+|[^\w\s]|\d+")
HAN = re.compile(r"[\u3400-\u9fff]")


def features_of(text: str) -> list[str]:
    """Each feature once, in a settled order: sums over them come out the same in every process."""
    return sorted(set(_features(text)))


def _features(text: str) -> Iterator[str]:
    before = ""
    for match in RUNS.finditer(plain(text).text):
        run = match.group()
        if HAN.match(run):
            for size in range(1, LONGEST_GRAM + 1):
                yield from (run[at : at + size] for at in range(len(run) - size + 1))
        elif run[0].isalpha():
            word = run.replace("’", "'")[:LONGEST_WORD]
            yield word
            if before:
                yield f"{before} {word}"
            before = word
            continue
        elif run[0] in "!?":
            yield run[:2]
        # Words with a sign or a number between them do not belong together.
        before = ""

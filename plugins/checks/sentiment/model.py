"""Weights of features, as they are kept beside this file, and what they make of a text."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from plugins.checks.sentiment.features import features_of

FOLDER = Path(__file__).parent
LANGUAGES = ("zh", "en")
"""Languages that have a model."""
FORM = "1"
"""Of the files; raised when what a feature is changes."""
FINENESS = 1_000
"""Weights are kept as whole thousandths."""
HIGHEST = 30.0


@dataclass(frozen=True)
class Model:
    """A logistic regression over the features of a text."""

    weights: Mapping[str, float]
    intercept: float

    def kindness(self, text: str) -> tuple[float, int]:
        """From 0, as a customer who complains, to 1, as one who praises; and how many features it knew."""
        return self.judged(features_of(text))

    def tells(self, text: str, most: int) -> list[str]:
        """The features that speak against the text, the gravest first; one within another only once."""
        known = [each for each in features_of(text) if each in self.weights]
        # A single character says little to whoever reads it, unless there is nothing else.
        telling = [each for each in known if len(each) > 1 and self.weights[each] < 0] or known
        found = sorted((self.weights[each], each) for each in telling)
        told: list[str] = []
        for weight, feature in found:
            if weight >= 0 or len(told) == most:
                break
            if not any(feature in each or each in feature for each in told):
                told.append(feature)
        return told

    def judged(self, features: Sequence[str]) -> tuple[float, int]:
        """As `kindness`, of features."""
        known = [self.weights[each] for each in features if each in self.weights]
        if not known:
            return 0.5, 0
        # By the root of their number: a long text is not surer of itself than it should be.
        return likelihood(self.intercept + sum(known) / math.sqrt(len(known))), len(known)


def likelihood(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-HIGHEST, min(HIGHEST, logit))))


_READ: dict[str, Model] = {}
_TURN = threading.Lock()


def is_read(language: str) -> bool:
    """Whether the model of a language has been read: the first time that takes its time."""
    return language in _READ


def model_of(language: str) -> Model:
    """The model of one of `LANGUAGES`. RuntimeError when its file is of another form."""
    with _TURN:
        if language not in _READ:
            _READ[language] = _read(language)
        return _READ[language]


def _read(language: str) -> Model:
    said: dict[str, str] = {}
    weights: dict[str, float] = {}
    for line in (FOLDER / f"{language}.tsv").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            key, _, value = line[2:].partition(": ")
            said[key] = value
        elif line:
            feature, _, weight = line.partition("\t")
            weights[feature] = int(weight) / FINENESS
    if said.get("form") != FORM:
        raise RuntimeError(f"the model of {language!r} is of form {said.get('form')!r}, not {FORM!r}")
    return Model(weights, int(said["intercept"]) / FINENESS)

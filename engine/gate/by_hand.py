"""What a channel that is carried by people asks of them: one task for each message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal


@dataclass(frozen=True)
class TaskAnswer:
    """One thing that a person may say of the message."""

    id: str
    """In lower_snake; of one that says `bounced` it is the receipt's code."""
    title: str
    said: Literal["delivered", "bounced"]
    permanent: bool = False
    """Of `bounced`: the address does not exist, and is not written to again."""


@dataclass(frozen=True)
class Task:
    """A message that a person is to bring to somebody: where, what, until when, and what they may answer."""

    queue: str
    """Whose list it stands on: a queue of wayline.yaml."""
    question: str
    """What is to be done, in a sentence."""
    to: str
    """Whom it goes to, as the person finds them on the platform."""
    text: str
    """What is to be copied."""
    within: timedelta
    """Journey time; whoever answers later answers too late, and the message counts as not delivered."""
    answers: tuple[TaskAnswer, ...]
    link: str = ""
    """Where to begin: the page of whom it goes to."""

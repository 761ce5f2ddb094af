"""What plugin authors implement for the step `call`: Action, and what it is asked and answers.

An action does something for one contact outside Wayline: it gives points, opens a ticket, tells another
system. It never writes to people: a message that does not pass the gate could not be capped, stopped or
explained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from engine.plugin.contracts import Retry, Unknown

Scalar = int | float | str | bool


@dataclass(frozen=True)
class Call:
    """One thing to do for one contact."""

    values: BaseModel
    """What the step says, as an instance of the action's own model."""
    contact_id: str
    journey: str
    step: str
    run_id: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    """`event`, the properties of the event that started the run, and `journey`, what the run knows: plain
    values under their names, as templates of messages see them."""
    address: str = ""
    """The contact's address on the platform that the ruleset names for the action (`identity`), for what is
    done there; empty where it names none."""


@dataclass(frozen=True)
class Done:
    """It is done, now or by an earlier call with the same key."""

    values: Mapping[str, Scalar] = field(default_factory=dict)
    """What there is to tell, by the names of the action's `results`; the step says what of it is kept."""


@dataclass(frozen=True)
class Failed:
    """It cannot be done, and asking again would not help; nothing was done."""

    code: str
    detail: str = ""
    """For the log of whoever runs the workers; without personal data."""


ActionResult = Done | Retry | Failed | Unknown
"""`Retry`: nothing was done, come back later. `Unknown`: nobody can tell whether it was done."""


@runtime_checkable
class Action(Protocol):
    """Something that journeys can have done.

    `settings` is the pydantic model that the ruleset's `settings` must satisfy, `values` the one of what a
    step tells it, `results` the one of what it answers: all three are checked where the ruleset is written.
    A model with `extra="allow"` takes names that it does not know. The registry offers unconfigured actions
    by `name`; `configured` returns one bound to validated settings.
    """

    name: str
    settings: type[BaseModel]
    values: type[BaseModel]
    results: type[BaseModel]
    idempotent: bool
    """Whether a repeated key has one effect. What is not is never repeated once its answer is missing."""

    def configured(self, settings: BaseModel) -> Action: ...

    async def run(self, call: Call, idempotency_key: str) -> ActionResult: ...

    async def close(self) -> None:
        """Let go of connections; the action is not used afterwards."""

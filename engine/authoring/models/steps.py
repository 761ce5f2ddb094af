"""All kinds of steps of a journey, each `<kind>: <id>` and then its settings, and how they are told apart."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from engine.authoring.models.branching_steps import Arm, BranchStep, Case, ExperimentStep, RepeatStep
from engine.authoring.models.doing_steps import CallStep, SendStep
from engine.authoring.models.part import Part
from engine.authoring.models.single_steps import SetStep, StartStep, StopStep, TagStep, WaitStep
from engine.authoring.models.waiting_steps import AskStep, Choice, WaitForStep

STEP_KINDS: dict[str, type[Part]] = {
    "send": SendStep,
    "wait": WaitStep,
    "wait_for": WaitForStep,
    "branch": BranchStep,
    "experiment": ExperimentStep,
    "ask": AskStep,
    "set": SetStep,
    "tag": TagStep,
    "call": CallStep,
    "start": StartStep,
    "repeat": RepeatStep,
    "stop": StopStep,
}


def kind_of_step(raw: Any) -> str | None:
    """The union tag of a step; None when it has no kind or several."""
    if isinstance(raw, Part):
        return next((f"<{kind}>" for kind, model in STEP_KINDS.items() if isinstance(raw, model)), None)
    if not isinstance(raw, dict):
        return None
    found = [kind for kind in STEP_KINDS if kind in raw]
    return f"<{found[0]}>" if len(found) == 1 else None


Step = Annotated[
    Annotated[SendStep, Tag("<send>")]
    | Annotated[WaitStep, Tag("<wait>")]
    | Annotated[WaitForStep, Tag("<wait_for>")]
    | Annotated[BranchStep, Tag("<branch>")]
    | Annotated[ExperimentStep, Tag("<experiment>")]
    | Annotated[AskStep, Tag("<ask>")]
    | Annotated[SetStep, Tag("<set>")]
    | Annotated[TagStep, Tag("<tag>")]
    | Annotated[CallStep, Tag("<call>")]
    | Annotated[StartStep, Tag("<start>")]
    | Annotated[RepeatStep, Tag("<repeat>")]
    | Annotated[StopStep, Tag("<stop>")],
    Discriminator(kind_of_step, custom_error_type="wayline_step", custom_error_message="step"),
]

for _model in (
    SendStep,
    WaitForStep,
    Case,
    BranchStep,
    Arm,
    ExperimentStep,
    Choice,
    AskStep,
    CallStep,
    RepeatStep,
):
    _model.model_rebuild(_types_namespace={"Step": Step})

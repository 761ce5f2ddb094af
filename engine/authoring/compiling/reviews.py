"""Which texts people have to approve, and by which stages."""

from __future__ import annotations

from engine.authoring.definitions import Definitions
from engine.authoring.models.review import ReviewFile
from engine.gate.reviewing import ReviewPolicy, ReviewStage


def compile_reviews(found: Definitions) -> tuple[ReviewPolicy, ...]:
    """The policies in the order of their files; the first that fits a text is its own."""
    policies = []
    for defined in found.policies:
        if isinstance(defined.item, ReviewFile):
            stages = {each.id: ReviewStage(each.id, each.queue) for each in defined.item.stages}
            for number, entry in enumerate(defined.item.policies):
                place = defined.place("policies", number)
                policies.append(
                    ReviewPolicy(
                        entry.id,
                        tuple(stages[name] for name in entry.stages),
                        entry.contents,
                        entry.purposes,
                        entry.channels,
                        entry.four_eyes,
                        place.file,
                        place.line,
                    )
                )
    return tuple(policies)


def review_stages(found: Definitions) -> tuple[ReviewStage, ...]:
    """Every stage that there is."""
    return tuple(
        ReviewStage(stage.id, stage.queue)
        for defined in found.policies
        if isinstance(defined.item, ReviewFile)
        for stage in defined.item.stages
    )

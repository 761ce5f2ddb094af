"""What is defined and nobody names: mostly a slip of the pen, or what a removed journey left behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.authoring.built_in import BUILT_IN_EVENTS
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.scripts import named_in
from engine.errors import Problem

# Keys whose values are names of something else, whatever stands there.
_NOT_A_USE = {"id", "kind", "title", "owner", "description", "plugin", "identity", "generator", "metric"}


def check_unused(found: Definitions) -> Iterator[Problem]:
    """RW036 for contents, scripts, channels, word lists, purposes, queues, silent event types without use."""
    used: set[str] = set()
    for source in found.sources:
        used.update(_named(source.data, ""))
    for content in _without_use(found.contents, used):
        yield _unused(content, f"no journey sends the content '{content.item.id}'")
    spoken = {name for text in used for name in named_in(text)}
    for script in _without_use(found.scripts, spoken):
        yield _unused(script, f"no content says the script '{script.item.id}'")
    for channel in _without_use(found.channels, used):
        yield _unused(channel, f"no journey sends through the channel '{channel.item.id}'")
    for lexicon in _without_use(found.lexicons, used):
        yield _unused(lexicon, f"no check uses the word list '{lexicon.item.id}'")
    writing = {content.item.generator for content in found.contents.values()}
    for generator in _without_use(found.generators, writing):
        yield _unused(generator, f"no content is written by '{generator.item.id}'")
    for purpose in _without_use(found.purposes, used):
        # Others are named by services that send through the API; consent is asked for what is sent from here.
        if purpose.item.kind == "marketing":
            yield _unused(
                purpose, f"people are asked to consent to '{purpose.item.id}', and no journey sends it"
            )
    if found.workspace is not None:
        for queue in found.workspace.item.queues:
            if queue not in used:
                message = f"no step gives a task to the queue '{queue}', and no review names it"
                yield found.workspace.problem("RW036", message, "use it, or remove it", at=("queues", queue))
    for event in _without_use(found.events, used):
        entry = event.item
        if entry.id not in BUILT_IN_EVENTS and entry.effect is None and not entry.counts_as_activity:
            yield _unused(event, f"nothing happens on the event '{entry.id}', not even as a sign of life")


def _without_use(defined: Mapping[str, Defined[Any]], used: set[str]) -> Iterator[Defined[Any]]:
    return (each for name, each in defined.items() if name not in used)


def _unused(defined: Defined[Any], message: str) -> Problem:
    return defined.problem("RW036", message, "use it, or remove it", at=("id",))


def _named(value: Any, key: str) -> Iterator[str]:
    """Every text that could be a name, wherever it stands."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _named(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner, key)
    elif isinstance(value, str) and key not in _NOT_A_USE:
        yield value

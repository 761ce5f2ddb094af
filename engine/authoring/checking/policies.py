"""Checks what channels, breakers, contents and the policies say about the rest of the workspace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from engine.authoring.checking.experiments import check_draws, check_hold_out
from engine.authoring.checking.references import References
from engine.authoring.compiling.brand import check_brand
from engine.authoring.compiling.budgets import check_budgets
from engine.authoring.compiling.catalogues import Catalogues
from engine.authoring.compiling.conditions import Rulebook
from engine.authoring.compiling.metrics import check_metrics
from engine.authoring.compiling.opt_outs import check_opt_outs
from engine.authoring.compiling.platforms import check_platforms
from engine.authoring.compiling.quiet import check_quiet_hours
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.experiment import ExperimentFile
from engine.authoring.models.limits import CapsFile
from engine.authoring.models.review import ReviewFile
from engine.authoring.models.scope import ScopeEntry
from engine.errors import Problem
from engine.rules.condition import YamlPath


def check_policies(found: Definitions, references: References) -> Iterator[Problem]:
    """Names that lead nowhere."""
    for channel in found.channels.values():
        entry = channel.item
        named: list[tuple[YamlPath, str]] = [
            (("routes", number, "to"), route.to) for number, route in enumerate(entry.routes)
        ]
        if entry.mirror is not None:
            named.append((("mirror",), entry.mirror))
        for at, name in named:
            yield from references.check("channel", name, channel, at)
            if name == entry.id:
                yield channel.problem("RS055", f"'{name}' cannot stand in for itself", "name another", at=at)
    for breaker in found.breakers.values():
        if breaker.item.on_red is not None and (other := breaker.item.on_red.switch_to) is not None:
            yield from references.check("channel", other, breaker, ("on_red", "switch_to"))
    yield from check_metrics(found, references)
    for content in found.contents.values():
        for number, variant in enumerate(content.item.variants):
            here: YamlPath = ("variants", number)
            yield from _names("channel", variant.channels, content, (*here, "channels"), references)
            for locale in variant.locales:
                yield from references.check("locale", locale, content, (*here, "locales", locale))
    yield from check_brand(found)
    yield from check_platforms(found, references)
    yield from check_budgets(found, references)
    yield from check_quiet_hours(found, references)
    yield from check_opt_outs(found, references)
    for policy in found.policies:
        yield from _policy(policy, found, references)
    yield from check_draws(found)


def check_policy_conditions(found: Definitions, catalogues: Catalogues, rulebook: Rulebook) -> None:
    """Read the conditions and facts that policies name; what is wrong with them is noted in the rulebook."""
    contact = catalogues.contact
    for channel in found.channels.values():
        for number, route in enumerate(channel.item.routes):
            rulebook.read(channel, ("routes", number, "when"), route.when, contact)


def _policy(
    policy: Defined[CapsFile | ReviewFile | ExperimentFile], found: Definitions, references: References
) -> Iterator[Problem]:
    match policy.item:
        case ReviewFile(stages=stages, policies=policies):
            for number, stage in enumerate(stages):
                if stage.queue is not None:
                    yield from references.check("queue", stage.queue, policy, ("stages", number, "queue"))
            for number, entry in enumerate(policies):
                at: YamlPath = ("policies", number)
                yield from _names("content", entry.contents, policy, (*at, "contents"), references)
                yield from _names("purpose", entry.purposes, policy, (*at, "purposes"), references)
                yield from _names("channel", entry.channels, policy, (*at, "channels"), references)
        case ExperimentFile(hold_out=hold_out):
            yield from _scope(hold_out.of, policy, ("hold_out", "of"), references)
            yield from check_hold_out(policy, hold_out, found)


def _scope(scope: ScopeEntry, user: Defined[Any], at: YamlPath, references: References) -> Iterator[Problem]:
    yield from _names("purpose", scope.purposes, user, (*at, "purposes"), references)
    yield from _names("channel", scope.channels, user, (*at, "channels"), references)
    yield from _names("journey", scope.journeys, user, (*at, "journeys"), references)


def _names(
    noun: str, names: Sequence[str], user: Defined[Any], at: YamlPath, references: References
) -> Iterator[Problem]:
    for number, name in enumerate(names):
        yield from references.check(noun, name, user, (*at, number))

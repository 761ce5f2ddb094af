"""What `wayline plugins` and `GET /v1/plugins` show: every plugin, where it is from, what it offers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from engine.plugin.collecting import KINDS
from engine.plugin.registry import Registry
from engine.plugin.tallying import tallied

MODELS = {
    "channel": ("settings",),
    "generator": ("settings",),
    "check": ("settings",),
    "action": ("settings", "values", "results"),
    "fact": (),
    "event type": (),
    "metric": (),
}
"""The pydantic models that say of each kind what a ruleset may write."""  # fmt: skip


def describe(registry: Registry) -> list[dict[str, Any]]:
    """Every plugin by name as plain values: `state` is active, broken or disabled.

    Models are shown as JSON Schema, in which secrets are `writeOnly`; no value of any setting is in it.
    `in_this_process` counts the calls of this process; null before the first.
    """
    offers = list(_offers(registry))
    return [
        {
            "name": origin.name,
            "module": origin.module,
            "distribution": origin.distribution,
            "version": origin.version,
            "state": "disabled"
            if origin.is_disabled
            else "broken"
            if _told(registry, origin.name)
            else "active",
            "faults": _told(registry, origin.name),
            "notes": [str(note) for note in registry.notes if note.plugin == origin.name],
            "offers": [shown for owner, shown in offers if owner == origin.name],
        }
        for origin in registry.plugins
    ]


def offers_of(registry: Registry) -> Mapping[str, Mapping[str, Any]]:
    """Kind -> name -> what is offered."""
    return {
        "channel": registry.channels,
        "generator": registry.generators,
        "check": registry.checks,
        "action": registry.actions,
        "fact": registry.facts,
        "event type": registry.event_types,
        "metric": registry.metrics,
    }


def _offers(registry: Registry) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in KINDS:
        for name, offer in sorted(offers_of(registry)[kind].items()):
            shown: dict[str, Any] = {"kind": kind, "name": name}
            shown |= {part: _schema(getattr(offer, part, None)) for part in MODELS[kind]}
            if kind == "channel":
                shown["capabilities"] = asdict(offer.capabilities)
            if kind == "action":
                shown["idempotent"] = offer.idempotent
            if kind == "fact":
                shown |= {"type": offer.type, "title": offer.title, "reads": list(offer.reads)}
            if kind == "event type":
                shown |= {"title": offer.title, "schema": dict(offer.schema)}
            if kind == "metric":
                told = {"receipts": list(offer.receipts), "events": list(offer.events)}
                shown |= {"title": offer.title, "of": offer.of, **told, "scopes": list(offer.scopes)}
            shown["in_this_process"] = tallied(kind, name)
            yield registry.owners[f"{kind}:{name}"], shown


def _schema(model: type[BaseModel] | None) -> dict[str, Any] | None:
    if model is None:
        return None
    try:
        return model.model_json_schema()
    except Exception:  # noqa: BLE001 - a type of a stranger's may have no JSON form; it works all the same
        return {}


def _told(registry: Registry, plugin: str) -> list[str]:
    return [str(fault) for fault in registry.faults if fault.plugin == plugin]

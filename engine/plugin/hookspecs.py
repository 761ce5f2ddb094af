"""The hooks of the pluggy project `wayline`: how a plugin offers what it has, once, at start."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import pluggy

from engine.plugin.actions import Action
from engine.plugin.contracts import Channel, Check, Generator
from engine.plugin.declaring import ContactFact, EventKind, Metric

PROJECT = "wayline"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Hooks(Protocol):
    """Every hook. A plugin is a module or an object with functions of these names, marked `@hookimpl`."""

    @hookspec
    def register_channels(self) -> Iterable[Channel]:
        """Offer the channels this plugin can send through.

        Called: once, when a worker or a command starts; never per message.
        Receives: nothing; settings come later, with `configured`.
        Return: unconfigured channels, each with a name of its own; an empty list is fine.
        If it fails: your channels are left out and everything else starts; `wayline plugins` says why.
        Since: 0.1
        """

    @hookspec
    def register_generators(self) -> Iterable[Generator]:
        """Offer the generators this plugin can write texts with.

        Called: once, when a worker or a command starts; never per message.
        Receives: nothing.
        Return: generators, each with a name of its own; an empty list is fine.
        If it fails: your generators are left out and everything else starts; `wayline plugins` says why.
        Since: 0.1
        """

    @hookspec
    def register_checks(self) -> Iterable[Check]:
        """Offer the checks this plugin can examine drafts with.

        Called: once, when a worker or a command starts; never per message.
        Receives: nothing.
        Return: checks, each with a name of its own; an empty list is fine.
        If it fails: your checks are left out and everything else starts; `wayline plugins` says why.
        Since: 0.1
        """

    @hookspec
    def register_actions(self) -> Iterable[Action]:
        """Offer the actions that journeys can call.

        Called: once, when a worker or a command starts; never per call.
        Receives: nothing; settings come later, with `configured`.
        Return: unconfigured actions, each with a name of its own; an empty list is fine.
        If it fails: your actions are left out and everything else starts; `wayline plugins` says why.
        Since: 0.1
        """

    @hookspec
    def register_facts(self) -> Iterable[ContactFact]:
        """Offer facts about contacts that conditions can ask for.

        Called: once, when a worker or a command starts; `compute` is asked when a contact is looked at.
        Receives: nothing.
        Return: facts, each with a name of its own; an empty list is fine.
        If it fails: your facts are left out and everything else starts; `wayline plugins` says why.
        Since: 0.1
        """

    @hookspec
    def register_event_types(self) -> Iterable[EventKind]:
        """Offer types of events that senders report, and that your channels bring.

        Called: once, when a worker or a command starts; never per event.
        Receives: nothing.
        Return: types of events, each with a name of its own; an empty list is fine.
        If it fails: your types are left out and everything else starts; `wayline plugins` says why.
        Since: 0.1
        """

    @hookspec
    def register_metrics(self) -> Iterable[Metric]:
        """Offer figures that breakers can watch.

        Called: once, when a worker or a command starts; `counts` is asked when something is told.
        Receives: nothing.
        Return: metrics, each with a name of its own; an empty list is fine.
        If it fails: your metrics are left out and everything else starts; `wayline plugins` says why.
        Since: 0.1
        """

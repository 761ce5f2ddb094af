"""The hooks of the pluggy project `wayline`: how a plugin offers what it has, once, at start."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import pluggy

from engine.plugin.actions import Action
from engine.plugin.contracts import Channel, Check, Generator

PROJECT = "wayline"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Hooks(Protocol):
    """Every hook. A plugin is a module or an object with functions of these names, marked `@hookimpl`."""

    @hookspec
    def register_channels(self) -> Iterable[Channel]:
        """Offer the channels this plugin can send through.

        Called: once, when a worker or a command starts; never per message.
        Return: unconfigured channels, each with a name of its own; an empty list is fine.
        If it fails: nothing starts, and the message names your plugin.
        Since: 0.1
        """

    @hookspec
    def register_generators(self) -> Iterable[Generator]:
        """Offer the generators this plugin can write texts with.

        Called: once, when a worker or a command starts; never per message.
        Return: generators, each with a name of its own; an empty list is fine.
        If it fails: nothing starts, and the message names your plugin.
        Since: 0.1
        """

    @hookspec
    def register_checks(self) -> Iterable[Check]:
        """Offer the checks this plugin can examine drafts with.

        Called: once, when a worker or a command starts; never per message.
        Return: checks, each with a name of its own; an empty list is fine.
        If it fails: nothing starts, and the message names your plugin.
        Since: 0.1
        """

    @hookspec
    def register_actions(self) -> Iterable[Action]:
        """Offer the actions that journeys can call.

        Called: once, when a worker or a command starts; never per call.
        Return: unconfigured actions, each with a name of its own; an empty list is fine.
        If it fails: nothing starts, and the message names your plugin.
        Since: 0.1
        """

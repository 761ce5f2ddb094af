"""plugins/REFERENCE.md has every name a plugin may use, under its signature as the code has it."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

import engine.plugin
import engine.plugin.testing
from engine.calls.service import TIMEOUT
from engine.delivery.limits import Limits
from engine.plugin.hookspecs import Hooks

REFERENCE = (Path(__file__).parents[2] / "plugins" / "REFERENCE.md").read_text(encoding="utf-8")
METHODS = ("Channel", "Listens", "Asks", "Generator", "Check", "Action", "Clock")
"""What authors implement, or are given: each of its methods has a heading."""


def headings() -> list[str]:
    return re.findall(r"^### `(.*)`$", REFERENCE, flags=re.MULTILINE)


def parameters_of(function: Any) -> str:
    """The names as they are given: those after * only by name."""
    told = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in told:
            told.append("*")
        told.append(parameter.name)
    return ", ".join(told)


def signature_of(name: str, function: Any) -> str:
    returned = inspect.signature(function).return_annotation
    prefix = "async " if inspect.iscoroutinefunction(function) else ""
    return f"{prefix}{name}({parameters_of(function)}) -> {returned}"


def expected() -> Iterator[str]:
    for name, function in vars(Hooks).items():
        if name.startswith("register_"):
            yield signature_of(name, function)
    for name in engine.plugin.__all__:
        value = getattr(engine.plugin, name)
        if name in METHODS:
            yield name
            for method, function in vars(value).items():
                if inspect.isfunction(function) and not method.startswith("_"):
                    yield signature_of(f"{name}.{method}", function)
        elif dataclasses.is_dataclass(value):
            yield f"{name}({', '.join(field.name for field in dataclasses.fields(value))})"
        elif isinstance(value, type) and issubclass(value, Enum):
            yield f"{name}: {', '.join(each.value for each in value)}"
        elif inspect.isfunction(value):
            yield signature_of(name, value)
        else:
            yield signature_of(name, value) if inspect.isfunction(value) else name
    for name in engine.plugin.testing.__all__:
        value = getattr(engine.plugin.testing, name)
        yield signature_of(name, value) if inspect.isfunction(value) else name


def test_every_name_stands_in_the_reference_with_its_signature_and_no_other() -> None:
    assert sorted(headings()) == sorted(expected())


def test_what_a_hook_promises_in_the_code_stands_in_the_reference() -> None:
    for name, function in vars(Hooks).items():
        if name.startswith("register_"):
            section = section_of(signature_of(name, function))
            lines = [line.strip() for line in (inspect.getdoc(function) or "").splitlines() if line.strip()]
            for line in lines:
                promise = re.sub(r"^(Called|Receives|Return|If it fails|Since): ", r"**\1** ", line)
                assert promise in section, f"{name}: {promise}"


def test_every_field_of_what_plugins_see_and_give_is_explained() -> None:
    for name in engine.plugin.__all__:
        value = getattr(engine.plugin, name)
        if dataclasses.is_dataclass(value):
            heading = f"{name}({', '.join(field.name for field in dataclasses.fields(value))})"
            section = section_of(heading)
            for field in dataclasses.fields(value):
                assert f"`{field.name}`" in section, f"{name}.{field.name} is not explained"


def test_times_are_the_ones_in_force() -> None:
    limits = Limits()
    for heading, allowed in (
        ("Channel.preflight(message) -> Preflight", limits.preflight),
        ("async Channel.send(message, idempotency_key) -> SendResult", limits.send),
        ("Generator.generate(request) -> Draft", limits.generate),
        ("Check.examine(draft, context) -> Sequence[Finding]", limits.check),
        ("async Action.run(call, idempotency_key) -> ActionResult", TIMEOUT),
    ):
        assert f"ithin {allowed.total_seconds():g} seconds" in section_of(heading), heading


def test_optional_parts_are_named() -> None:
    of_checks = ("needs_lexicons", "dimension", "score", "reads_contents")
    for part in ("immediate", "nonblocking", "poll_every", *of_checks):
        assert f"`{part}" in REFERENCE


@pytest.mark.parametrize("hook", [name for name in vars(Hooks) if name.startswith("register_")])
def test_every_hook_names_a_plugin_that_uses_it(hook: str) -> None:
    section = section_of(signature_of(hook, getattr(Hooks, hook)))
    (named,) = re.findall(r"Used by `(.*?)`", section)
    file = Path(__file__).parents[2] / named
    assert f"def {hook}(" in file.read_text(encoding="utf-8")


def section_of(heading: str) -> str:
    """The text under a heading."""
    _, _, rest = REFERENCE.partition(f"### `{heading}`\n")
    return re.split(r"^#{2,3} ", rest, maxsplit=1, flags=re.MULTILINE)[0]

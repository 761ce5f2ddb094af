"""Identities: which are known to a workspace, how addresses are written."""

from __future__ import annotations

from typing import Any

import pytest

from engine.authoring.bundle import Workspace
from engine.intake.identifying import identify, normalised
from engine.intake.incoming import IncomingEvent

DECLARED = Workspace(
    "w", "", "Asia/Shanghai", ("zh",), ("email", "phone", "wecom", "app"), {}, numbers={"phone": "CN"}
)


def event(traits: dict[str, Any] | None = None, *identities: tuple[str, str]) -> IncomingEvent:
    return IncomingEvent(message_id="m", type="track", identities=identities, traits=traits or {})


def test_traits_named_like_platforms_are_identities() -> None:
    found = identify(event({"email": "Bob@Example.COM", "city": "x"}, ("user", "u1")), DECLARED)
    assert found.identities == (("user", "u1"), ("email", "Bob@example.com"))


def test_the_device_comes_last_however_it_was_sent() -> None:
    found = identify(event({"wecom": "ext_1"}, ("anonymous", "a1"), ("user", "u1")), DECLARED)
    assert [platform for platform, _ in found.identities] == ["user", "wecom", "anonymous"]


def test_a_bad_address_is_left_aside_and_the_others_stay() -> None:
    found = identify(event({"email": "not an address"}, ("user", "u1")), DECLARED)
    assert found.identities == (("user", "u1"),)
    assert found.notes == ("email left aside: not an address",)


def test_a_platform_the_workspace_does_not_have_is_left_aside() -> None:
    found = identify(event(None, ("fax", "123"), ("user", "u1")), DECLARED)
    assert found.identities == (("user", "u1"),)
    assert "'fax'" in found.notes[0]


def test_the_same_address_said_twice_is_one_identity() -> None:
    found = identify(event({"email": "a@b.cn"}, ("email", "a@B.cn")), DECLARED)
    assert found.identities == (("email", "a@b.cn"),)


@pytest.mark.parametrize(
    ("platform", "given", "wanted"),
    [
        ("email", " Zoë@Exämple.com ", "Zoë@exämple.com"),
        ("email", "a@b", None),
        ("email", "a b@c.cn", None),
        ("phone", "+86 138-1234-5678", "+8613812345678"),
        ("phone", "138 1234 5678", "+8613812345678"),
        ("phone", "0086 138 1234 5678", "+8613812345678"),
        ("phone", "+44 (0)20 7946 0958", "+442079460958"),
        ("phone", "+86 1", None),
        ("phone", "+86 138 000", "+86138000"),
        ("phone", "100 86", "10086"),
        ("phone", "call me", None),
        ("wecom", " ext_1 ", "ext_1"),
        ("wecom", "x" * 2000, "x" * 2000),
        ("wecom", "x" * 2001, None),
        ("wecom", "长" * 667, None),
        ("app", "", None),
    ],
)
def test_addresses_are_written_one_way(platform: str, given: str, wanted: str | None) -> None:
    assert normalised(platform, given, DECLARED.numbers) == wanted

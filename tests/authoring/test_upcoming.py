"""The next firings as authors see them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from engine.authoring.loading import bundle_of
from engine.authoring.upcoming import upcoming

NOW = datetime(2026, 3, 27, 12, tzinfo=UTC)
SEND = "  - {send: hi, content: hello, channels: [email]}\n"


def test_the_next_five_firings_are_shown_on_the_clock_they_are_meant_for(
    with_journey: Callable[..., dict[str, str]],
) -> None:
    files = with_journey(SEND, '{schedule: {cron: "30 2 * * *", timezone: Europe/Berlin}}')

    (found,) = upcoming(bundle_of(files), NOW)

    shown = [f"{each.astimezone(found.zone):%d %H:%M}" for each in found.firings]
    assert shown == ["28 02:30", "29 03:00", "30 02:30", "31 02:30", "01 02:30"]
    assert found.as_data()["firings"][1] == {
        "utc": "2026-03-29T01:00:00+00:00",
        "local": "2026-03-29T03:00:00+02:00",
    }


def test_each_contact_s_own_clock_is_shown_for_the_workspace(
    with_journey: Callable[..., dict[str, str]],
) -> None:
    files = with_journey(SEND, '{schedule: {cron: "0 10 29 2 *", timezone: contact}}')

    (found,) = upcoming(bundle_of(files), NOW, 2)

    assert [each.year for each in found.firings] == [2028, 2032]
    assert found.zone.key == "Asia/Shanghai" and "own clock" in found.whose


def test_a_workspace_without_schedules_has_nothing_to_show(
    with_journey: Callable[..., dict[str, str]],
) -> None:
    assert upcoming(bundle_of(with_journey(SEND)), NOW) == []

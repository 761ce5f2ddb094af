"""Programs drawn as Mermaid."""

from __future__ import annotations

from datetime import time, timedelta

from engine.journeys.graph import to_mermaid
from engine.journeys.program import (
    Branch,
    ChangeTags,
    Entry,
    Goal,
    Leave,
    Program,
    Reentry,
    ReentryKind,
    Repeat,
    Send,
    SetValues,
    Start,
    Stop,
    Wait,
    WaitFor,
)

DAY = timedelta(days=1)


def test_every_step_exit_and_end_is_drawn() -> None:
    steps = (
        Send("hello", "hello_text", ("email", "app"), "marketing", "night", outcomes={"capped": "end"}),
        Wait("night", "look", days=1, at=time(10), weekdays=(1, 5)),
        WaitFor("look", ("viewed",), None, 2 * DAY, "fork", "end"),
        Branch("fork", (("branch:j/fork/1", "mark"),), "keep"),
        ChangeTags("mark", ("vip",), ("new",), None),
        SetValues("keep", {"tier": "plain"}, None),
        Start("on", "other", {"why": "x"}, None),
        Repeat("twice", "mark", None, 2, None, frozenset({"mark"})),
        Stop("end"),
    )
    program = Program(
        journey="j",
        version="v",
        purpose="marketing",
        priority=50,
        entry=Entry(("added", "imported"), None, Reentry(ReentryKind.NEVER)),
        leaves=(Leave("1", ("deleted",), None), Leave("2", (), "leave:j/2")),
        goal=Goal(("paid",), None, 7 * DAY),
        first="hello",
        steps={step.id: step for step in steps},
    )
    assert to_mermaid(program) == (
        "flowchart TD\n"
        '  ENTER_(["j: added or imported"]) --> s_hello\n'
        '  s_hello["send hello: hello_text by email, app"]\n'
        "  s_hello --> s_night\n"
        "  s_hello -->|capped| s_end\n"
        '  s_night("wait night: the next day, at 10:00, on Mon, Fri")\n'
        "  s_night --> s_look\n"
        '  s_look("wait for look: viewed")\n'
        "  s_look -->|seen| s_fork\n"
        "  s_look -->|after 2d| s_end\n"
        '  s_fork{"branch fork"}\n'
        "  s_fork -->|case 1| s_mark\n"
        "  s_fork -->|else| s_keep\n"
        '  s_mark["tag mark: +vip -new"]\n'
        "  s_mark --> END_\n"
        '  s_keep["set keep: tier"]\n'
        "  s_keep --> END_\n"
        '  s_on[["start on: other"]]\n'
        "  s_on --> END_\n"
        '  s_twice{{"repeat twice: 2 times"}}\n'
        "  s_twice -->|again| s_mark\n"
        "  s_twice -->|done| END_\n"
        '  s_end(["stop end"])\n'
        "  s_end --> END_\n"
        '  END_(["end"])\n'
        '  ANY_1["leave: deleted"] -.-> END_\n'
        '  ANY_2["leave: condition"] -.-> END_\n'
        '  ANY_3["goal: paid within 7d"] -.-> END_\n'
    )


def test_a_way_in_that_its_event_does_not_tell_is_drawn_in_words() -> None:
    entry = Entry(("replied",), None, Reentry(ReentryKind.NEVER), words="3 times replied in a row within 1d")
    program = Program("j", "v", "marketing", 50, entry, (), None, "end", {"end": Stop("end")})
    assert 'ENTER_(["j: 3 times replied in a row within 1d"]) --> s_end' in to_mermaid(program)

"""Journeys drawn as SVG: everything is there, nothing over anything else, and text is whole."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.authoring.loading import bundle_of
from engine.authoring.picturing import picture
from engine.journeys.drawing import Counts, to_svg
from engine.journeys.layout import BETWEEN_BOXES, Size, lay_out
from engine.journeys.program import (
    Branch,
    Entry,
    Goal,
    Leave,
    Program,
    Reentry,
    ReentryKind,
    Send,
    Stop,
    WaitFor,
)

SVG = "{http://www.w3.org/2000/svg}"
TITLE = "一个名字特别长的旅程：先问候，再介绍，然后等待对方的回复，最后根据对方的回复决定送什么样的权益 <&>"


def journey() -> Program:
    steps = (
        Send("hello", "hello_text", ("email", "app"), "marketing", "look", outcomes={"capped": "end"}),
        WaitFor("look", ("viewed",), None, None, "fork", "end"),
        Branch("fork", (("branch:j/fork/1", "gift"), ("branch:j/fork/2", "gift")), None),
        Send("gift", "gift_text", ("app",), "marketing", None),
        Stop("end"),
    )
    return Program(
        journey="j",
        version="v",
        purpose="marketing",
        priority=50,
        entry=Entry(("added",), None, Reentry(ReentryKind.NEVER)),
        leaves=(Leave("1", ("deleted",), None),),
        goal=Goal(("paid",), None, None),
        first="hello",
        steps={step.id: step for step in steps},
        title=TITLE,
    )


def texts(svg: str) -> list[str]:
    """Every piece of text that is shown, without what only the pointer shows."""
    root = ElementTree.fromstring(svg)
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


def test_every_step_way_and_end_is_drawn_and_nothing_is_cut() -> None:
    drawn = to_svg(
        journey(),
        contents={"hello_text": "您好，这是一条非常长的主题，长到一行放不下，必须分成好几行才行"},
        conditions={"branch:j/fork/1": "total_spent ≥ 300"},
    )
    shown = "".join(texts(drawn)).replace(" ", "")
    for wanted in (
        TITLE,
        "send hello",
        "wait for look",
        "branch fork",
        "stop end",
        "capped",
        "seen",
        "never",
    ):
        assert wanted.replace(" ", "") in shown
    assert "您好，这是一条非常长的主题，长到一行放不下，必须分成好几行才行" in shown
    assert "total_spent≥300/case2" in shown  # two ways to one step are one line
    assert "atanytime:leave1:deleted" in shown
    assert "atanytime:goal:paid" in shown


def test_counts_stand_on_the_lines_and_what_nobody_took_is_marked() -> None:
    counts = Counts(
        visits={"hello": 1200, "look": 1100, "end": 40, "fork": 60, "gift": 60},
        went={(None, "hello"): 1200, ("hello", "look"): 1100, ("look", "fork"): 60, ("fork", "gift"): 60},
        cases={("fork", 1): 45, ("fork", 2): 15},
        left={"goal": 7},
    )
    drawn = to_svg(journey(), counts=counts)
    shown = " ".join(texts(drawn))
    for wanted in ("hello · 1,200", "1,100", "case 1 45", "case 2 15", "goal: paid · 7", "never"):
        assert wanted in shown
    assert "stroke-dasharray" in drawn
    assert "stroke-dasharray" not in to_svg(journey())


def test_shipped_journeys_are_drawn_without_a_box_over_another(shipped_files: Mapping[str, str]) -> None:
    shipped = bundle_of(shipped_files)
    for name in shipped.programs:
        root = ElementTree.fromstring(picture(shipped, name))
        boxes = [
            tuple(float(box.get(part, "0")) for part in ("x", "y", "width", "height"))
            for group in root.iter(f"{SVG}g")
            for box in group.findall(f"{SVG}rect")
            if box.get("stroke")
        ]
        assert len(boxes) > len(shipped.programs[name].steps) - 1
        for one, other in combinations(boxes, 2):
            assert not overlap(one, other), name


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return (
        one[0] < other[0] + other[2]
        and other[0] < one[0] + one[2]
        and one[1] < other[1] + other[3]
        and other[1] < one[1] + one[3]
    )


@settings(max_examples=60, deadline=None)
@given(
    widths=st.lists(st.integers(20, 220), min_size=1, max_size=14),
    ways=st.lists(st.tuples(st.integers(0, 13), st.integers(0, 13)), max_size=24),
)
def test_boxes_keep_apart_and_ways_lead_down_whatever_the_chart(
    widths: list[int], ways: list[tuple[int, int]]
) -> None:
    sizes = {f"n{number}": Size(width, 40) for number, width in enumerate(widths)}
    many = len(widths)
    given_ways = [(f"n{one % many}", f"n{other % many}") for one, other in ways]
    layout = lay_out(sizes, given_ways)

    assert set(layout.boxes) == set(sizes)
    rows: dict[float, list[tuple[float, float]]] = {}
    for box in layout.boxes.values():
        rows.setdefault(box.top, []).append((box.x - box.size.width / 2, box.x + box.size.width / 2))
        assert box.x - box.size.width / 2 >= -1e-6
        assert box.x + box.size.width / 2 <= layout.size.width + 1e-6
        assert box.bottom <= layout.size.height + 1e-6
    for row in rows.values():
        row.sort()
        assert all(one[1] + BETWEEN_BOXES - 1e-6 <= two[0] for one, two in pairwise(row))
    for one, other in given_ways:
        if one != other and (one, other) not in layout.back:
            assert layout.boxes[one].bottom < layout.boxes[other].top

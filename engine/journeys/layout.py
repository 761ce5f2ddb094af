"""Where the boxes of a flow chart go: layer by layer from the top, neighbours near each other; pure geometry.

The ways of a journey lead down, those that lead back to a repeat aside. A box lies one layer below the lowest
box that leads to it; a way past several layers keeps its own lane between their boxes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Name = str

BETWEEN_BOXES = 36.0
BETWEEN_LAYERS = 66.0
_LANE = 14.0
"""Width of a way that passes a layer."""
_SWEEPS = 12
_SETTLING = 120
_STRAIGHT = 6


@dataclass(frozen=True)
class Size:
    width: float
    height: float


@dataclass(frozen=True)
class Box:
    """A placed box; x and y of its middle and its top."""

    x: float
    top: float
    size: Size

    @property
    def bottom(self) -> float:
        return self.top + self.size.height


@dataclass(frozen=True)
class Layout:
    """Boxes by name, the points that each way goes by from its box to the next, and the size of the whole."""

    boxes: Mapping[Name, Box]
    ways: Mapping[tuple[Name, Name], tuple[tuple[float, float], ...]]
    back: frozenset[tuple[Name, Name]]
    """Ways that lead up again: their points are not laid out."""
    size: Size


def lay_out(sizes: Mapping[Name, Size], ways: Sequence[tuple[Name, Name]]) -> Layout:
    """Place every box; `sizes` in the order in which they are written, the first at the top."""
    back = _back_ways(list(sizes), ways)
    down = [way for way in dict.fromkeys(ways) if way not in back and way[0] != way[1]]
    ranks = _ranks(list(sizes), down)
    layers: list[list[Name]] = [[] for _ in range(max(ranks.values(), default=0) + 1)]
    for name in sizes:
        layers[ranks[name]].append(name)
    chains: dict[tuple[Name, Name], list[Name]] = {}
    links: list[tuple[Name, Name]] = []
    widths = {name: size.width for name, size in sizes.items()}
    for number, way in enumerate(down):
        lane = [f"\0{number}/{rank}" for rank in range(ranks[way[0]] + 1, ranks[way[1]])]
        for rank, name in enumerate(lane, ranks[way[0]] + 1):
            layers[rank].append(name)
            widths[name] = _LANE
        chains[way] = [way[0], *lane, way[1]]
        links += pairwise(chains[way])
    _order(layers, links)
    places = _places(layers, links, widths)
    tops, heights, top = [], [], 0.0
    for layer in layers:
        height = max((sizes[name].height for name in layer if name in sizes), default=0.0)
        tops.append(top)
        heights.append(height)
        top += height + BETWEEN_LAYERS
    left = min((places[name] - widths[name] / 2 for name in places), default=0.0)
    places = {name: at - left for name, at in places.items()}
    boxes = {name: Box(places[name], tops[ranks[name]], size) for name, size in sizes.items()}
    points: dict[tuple[Name, Name], tuple[tuple[float, float], ...]] = {}
    for way, chain in chains.items():
        found = [(boxes[way[0]].x, boxes[way[0]].bottom)]
        for rank, name in enumerate(chain[1:-1], ranks[way[0]] + 1):
            found += [(places[name], tops[rank]), (places[name], tops[rank] + heights[rank])]
        found.append((boxes[way[1]].x, boxes[way[1]].top))
        points[way] = tuple(found)
    width = max((places[name] + widths[name] / 2 for name in places), default=0.0)
    return Layout(boxes, points, frozenset(back), Size(width, max(top - BETWEEN_LAYERS, 0.0)))


def _back_ways(names: Sequence[Name], ways: Sequence[tuple[Name, Name]]) -> set[tuple[Name, Name]]:
    """Ways to a box that the way there came by: without them there is no circle."""
    following: dict[Name, list[Name]] = {name: [] for name in names}
    for one, other in ways:
        following[one].append(other)
    back: set[tuple[Name, Name]] = set()
    done: set[Name] = set()
    for start in names:
        trail: list[tuple[Name, int]] = [(start, 0)] if start not in done else []
        on_trail = {start} if trail else set[Name]()
        while trail:
            here, number = trail.pop()
            if number == len(following[here]):
                done.add(here)
                on_trail.discard(here)
                continue
            trail.append((here, number + 1))
            there = following[here][number]
            if there in on_trail:
                back.add((here, there))
            elif there not in done:
                trail.append((there, 0))
                on_trail.add(there)
    return back


def _ranks(names: Sequence[Name], down: Sequence[tuple[Name, Name]]) -> dict[Name, int]:
    """Box -> its layer: the longest way there, and not higher than just above what it leads to."""
    ranks = dict.fromkeys(names, 0)
    for _ in names:
        moved = False
        for one, other in down:
            if ranks[other] <= ranks[one]:
                ranks[other], moved = ranks[one] + 1, True
        if not moved:
            break
    return ranks


def _order(layers: list[list[Name]], links: Sequence[tuple[Name, Name]]) -> None:
    """Bring each layer into the order in which its ways cross least: by the middle of their neighbours."""
    above: dict[Name, list[Name]] = {}
    below: dict[Name, list[Name]] = {}
    for one, other in links:
        below.setdefault(one, []).append(other)
        above.setdefault(other, []).append(one)

    def crossings() -> int:
        count = 0
        for upper, lower in pairwise(layers):
            at = {name: place for place, name in enumerate(lower)}
            ends = [at[each] for name in upper for each in sorted(below.get(name, ()), key=at.__getitem__)]
            count += sum(one > other for number, one in enumerate(ends) for other in ends[number + 1 :])
        return count

    best, fewest = [list(layer) for layer in layers], crossings()
    for sweep in range(_SWEEPS):
        is_down = sweep % 2 == 0
        order = range(1, len(layers)) if is_down else range(len(layers) - 2, -1, -1)
        for number in order:
            fixed = layers[number - 1 if is_down else number + 1]
            at = {name: place for place, name in enumerate(fixed)}
            neighbours = above if is_down else below
            own = {name: place for place, name in enumerate(layers[number])}
            layers[number].sort(key=_middle(neighbours, at, own))
        if (found := crossings()) < fewest:
            best, fewest = [list(layer) for layer in layers], found
    layers[:] = best


def _middle(
    neighbours: Mapping[Name, Sequence[Name]], at: Mapping[Name, int], own: Mapping[Name, int]
) -> Callable[[Name], float]:
    def key(name: Name) -> float:
        places = [at[each] for each in neighbours.get(name, ()) if each in at]
        return sum(places) / len(places) if places else float(own[name])

    return key


def _places(
    layers: Sequence[Sequence[Name]], links: Sequence[tuple[Name, Name]], widths: Mapping[Name, float]
) -> dict[Name, float]:
    """Name -> x of its middle: each near the middle of what it is linked with, none over another."""
    places: dict[Name, float] = {}
    for layer in layers:
        at = 0.0
        for name in layer:
            places[name] = at + widths[name] / 2
            at += widths[name] + BETWEEN_BOXES
    leaving = Counter(one for one, _ in links)
    arriving = Counter(other for _, other in links)
    linked: dict[Name, list[Name]] = {}
    for one, other in links:
        # What only follows each other stands straight below each other.
        pull = _STRAIGHT if leaving[one] == 1 == arriving[other] else 1
        linked.setdefault(one, []).extend([other] * pull)
        linked.setdefault(other, []).extend([one] * pull)
    for sweep in range(_SETTLING):
        order = layers if sweep % 2 == 0 else layers[::-1]
        for layer in order:
            wished = []
            for name in layer:
                found = [places[each] for each in linked.get(name, ())]
                wished.append(sum(found) / len(found) if found else places[name])
            for name, at in zip(layer, _apart(layer, wished, widths), strict=True):
                places[name] = at
    return places


def _apart(layer: Sequence[Name], wished: Sequence[float], widths: Mapping[Name, float]) -> list[float]:
    """Places as near the wished ones as the widths allow, in the order of the layer.

    Neighbours that would overlap form a block, which lies where its members wish on the average.
    """
    blocks: list[tuple[list[float], list[float]]] = []  # (offsets inside, wishes for the first)
    for number, name in enumerate(layer):
        blocks.append(([0.0], [wished[number]]))
        del name
        while len(blocks) > 1 and _end(blocks[-2]) + _gap(layer, blocks, widths) > _start(blocks[-1]):
            (offsets, wishes), (more, others) = blocks[-2], blocks.pop()
            shift = offsets[-1] + _gap(layer, [*blocks, (more, others)], widths)
            blocks[-1] = (
                [*offsets, *(shift + each for each in more)],
                [*wishes, *(w - shift for w in others)],
            )
    return [_start(block) + offset for block in blocks for offset in block[0]]


def _start(block: tuple[list[float], list[float]]) -> float:
    return sum(block[1]) / len(block[1])


def _end(block: tuple[list[float], list[float]]) -> float:
    return _start(block) + block[0][-1]


def _gap(
    layer: Sequence[Name], blocks: Sequence[tuple[list[float], list[float]]], widths: Mapping[Name, float]
) -> float:
    """Between the middles of the last two blocks' neighbouring members."""
    before = sum(len(block[0]) for block in blocks[:-1])
    one, other = layer[before - 1], layer[before]
    return (widths[one] + widths[other]) / 2 + BETWEEN_BOXES

"""A back-test as one HTML page that needs nothing else: figures, sends per day, a picture of each journey."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from html import escape
from zoneinfo import ZoneInfo

from engine.authoring.picturing import picture
from engine.simulation.backtesting import Backtest
from engine.simulation.reporting import Source, assumptions, counts_of, report_lines
from engine.simulation.tallying import Tally

_STYLE = """
body{font:15px/1.5 system-ui,'Noto Sans','Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif;
color:#1b2430;max-width:1080px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.2rem}
pre{background:#f6f8fa;padding:1rem;overflow-x:auto;font-size:13px;line-height:1.45;border-radius:6px}
figure{margin:1rem 0 2.5rem;overflow-x:auto;border:1px solid #dfe3e8;border-radius:6px}
figure svg{max-width:100%;height:auto;display:block;margin:auto}li{margin:.2rem 0}
.bars text{font-size:11px;fill:#44546a}
"""
_COLOURS = ("#1a56b0", "#1e7d3c", "#a36a00", "#7627bb", "#b3134f", "#0f7c8a", "#8a5a2b", "#5f6b7a")
_WIDE, _HIGH = 1000.0, 180.0


def web_page(done: Backtest, source: Source) -> str:
    """The page; it loads nothing and runs nothing."""
    here = done.here
    zone = ZoneInfo(here.bundle.workspace.timezone)
    last = here.period.until - timedelta(microseconds=1)
    days = f"{here.period.since.astimezone(zone):%Y-%m-%d} – {last.astimezone(zone):%Y-%m-%d}"
    title = f"{here.bundle.workspace.title}: {days}"
    colours = _colours(*(tally for tally in (here, done.there) if tally is not None))
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        "<h2>What this rests on</h2><ul>",
        *(f"<li>{escape(line)}</li>" for line in assumptions(done, source)),
        "</ul>",
        f"<h2>Messages a day{_of(done.there)}</h2>{_bars(here, colours)}",
    ]
    if done.there is not None:
        parts.append(f"<h3>There: bundle {done.there.bundle.hash[:12]}</h3>{_bars(done.there, colours)}")
    parts.append(f"<h2>Figures</h2><pre>{escape(chr(10).join(report_lines(done, source)))}</pre>")
    parts.append("<h2>Journeys</h2>")
    for name, program in here.bundle.programs.items():
        drawn = picture(here.bundle, name, counts_of(program, here))
        parts.append(f'<figure id="{escape(name)}">{_own_marks(drawn, name)}</figure>')
    return "\n".join([*parts, "</body></html>"]) + "\n"


def _of(there: Tally | None) -> str:
    return "" if there is None else ", here"


def _own_marks(svg: str, name: str) -> str:
    """The picture with names of its own: those of several pictures on one page must differ."""
    return svg.replace('id="tip"', f'id="tip-{name}"').replace("url(#tip)", f"url(#tip-{name})")


def _colours(*tallies: Tally) -> dict[str, str]:
    """Journey -> colour, the same in all charts; the commonest have colours of their own."""
    whole: Counter[str] = Counter()
    for tally in tallies:
        for (_, journey, _), count in tally.sends.items():
            whole[journey] += count
    names = [name for name, _ in whole.most_common()]
    return {name: _COLOURS[min(at, len(_COLOURS) - 1)] for at, name in enumerate(names)}


def _bars(tally: Tally, colours: dict[str, str]) -> str:
    """Messages per day as stacked bars, one colour a journey."""
    per_day: dict[date, Counter[str]] = {}
    for (day, journey, _), count in tally.sends.items():
        per_day.setdefault(day, Counter())[journey] += count
    if not per_day:
        return "<p>No message was sent.</p>"
    sent = frozenset(name for counts in per_day.values() for name in counts)
    names = [name for name in colours if name in sent]
    first, last = min(per_day), max(per_day)
    days = (last - first).days + 1
    most = max(sum(counts.values()) for counts in per_day.values())
    wide = _WIDE / days
    parts = [
        f'<svg class="bars" viewBox="-46 -8 {_WIDE + 60:g} {_HIGH + 60:g}" width="100%" role="img">'
        f"<title>Messages a day</title>"
    ]
    for share in (0.0, 0.5, 1.0):
        y = _HIGH - share * _HIGH
        parts.append(
            f'<line x1="0" x2="{_WIDE:g}" y1="{y:g}" y2="{y:g}" stroke="#dfe3e8"/>'
            f'<text x="-6" y="{y + 4:g}" text-anchor="end">{most * share:,.0f}</text>'
        )
    for at in range(days):
        day = first + timedelta(days=at)
        parts += _stack(per_day.get(day, Counter()), names, colours, day, at * wide, wide, most)
    for at in sorted({0, days // 2, days - 1}):
        parts.append(
            f'<text x="{(at + 0.5) * wide:.1f}" y="{_HIGH + 16:g}" text-anchor="middle">'
            f"{first + timedelta(days=at)}</text>"
        )
    x = 0.0
    for name in names:
        parts.append(
            f'<rect x="{x:.0f}" y="{_HIGH + 28:g}" width="10" height="10" fill="{colours[name]}"/>'
            f'<text x="{x + 14:.0f}" y="{_HIGH + 37:g}">{escape(name)}</text>'
        )
        x += 32 + 6.6 * len(name)
    return "".join([*parts, "</svg>"])


def _stack(
    counts: Counter[str],
    names: Sequence[str],
    colours: dict[str, str],
    day: date,
    x: float,
    wide: float,
    most: int,
) -> Iterator[str]:
    y = _HIGH
    for name in names:
        if counts[name]:
            high = counts[name] / most * _HIGH
            y -= high
            yield (
                f'<rect x="{x:.2f}" y="{y:.2f}" width="{max(wide * 0.86, 0.4):.2f}" height="{high:.2f}" '
                f'fill="{colours[name]}"><title>{day} {escape(name)}: {counts[name]:,}</title></rect>'
            )

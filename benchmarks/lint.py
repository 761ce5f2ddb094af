"""How long `wayline lint` takes over a generated workspace of 500 files, seen from a terminal.

Run it with `python -m benchmarks.lint`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from benchmarks.commands import Timed, time_command
from benchmarks.ground import machine

FILES = 500
TIMES = 5

_WORKSPACE = """\
kind: workspace
id: bench
title: 基准
owner: bench
timezone: Asia/Shanghai
locales: [zh, en]
identities: [email, app]
attributes:
  nickname: {type: text}
  city: {type: text}
  spend_90d: {type: number}
  member: {type: boolean}
  trial_ends_at: {type: instant}
"""
_PURPOSES = """\
kind: purposes
id: purposes
title: 用途
owner: bench
purposes:
  - {id: marketing, title: 营销, version: "1", kind: marketing, max_hold: 3d}
  - {id: service, title: 服务, version: "1", kind: transactional, max_hold: 1d}
"""
_CHANNELS = """\
kind: channels
id: channels
title: 渠道
owner: bench
channels:
  - id: email
    plugin: email
    identity: email
    settings: {host: localhost, sender: a@example.com, password: {env: SMTP_PASSWORD}}
  - {id: letter, plugin: file, identity: app, settings: {folder: {env: FOLDER, default: letters}}}
"""
_CAPS = """\
kind: caps
id: caps
title: 频次
owner: bench
caps:
  - id: one_a_day
    counts: {purpose: marketing}
    limit: 1
    window: {calendar: day, timezone: contact}
    when_full: defer
  - {id: three_a_week, counts: {purpose: marketing}, limit: 3, window: {rolling: 7d}, when_full: skip}
"""


def workspace(files: int = FILES) -> dict[str, str]:
    """Path -> text of a clean workspace of so many files: mostly journeys and contents."""
    made: dict[str, str] = {
        "wayline.yaml": _WORKSPACE,
        "purposes.yaml": _PURPOSES,
        "channels.yaml": _CHANNELS,
        "caps.yaml": _CAPS,
    }
    for number in range(10):
        made[f"events/events_{number}.yaml"] = _events(number)
        made[f"tags/tags_{number}.yaml"] = _tags(number)
        made[f"compliance/words_{number}.lexicon.yaml"] = _lexicon(number)
        made[f"compliance/checks_{number}.yaml"] = _checks(number)
    pairs = (files - len(made)) // 2
    for number in range(pairs):
        made[f"content/content_{number}.yaml"] = _content(number)
        made[f"journeys/journey_{number}.yaml"] = _journey(number)
    return made


def _head(kind: str, name: str) -> str:
    return f"kind: {kind}\nid: {name}\ntitle: {name}\nowner: bench\ndescription: 由脚本生成，供测量用。\n"


def _events(number: int) -> str:
    types = "".join(
        f"  - id: event_{number}_{each}\n    title: 事件 {number}-{each}\n    schema:\n      type: object\n"
        "      required: [amount]\n      properties:\n"
        "        amount: {type: number, title: 金额, minimum: 0}\n"
        "        category: {type: string, title: 类目, maxLength: 100}\n"
        for each in range(5)
    )
    return f"{_head('events', f'events_{number}')}events:\n{types}"


def _tags(number: int) -> str:
    tags = "".join(
        f"  - tag: tag_{number}_{each}\n    level: value\n    when:\n      any:\n"
        f"        - contact.total_spent: {{gte: {100 * each + number + 1}}}\n"
        f"        - contact.spend_90d: {{gte: {50 * each + number + 1}}}\n"
        for each in range(10)
    )
    return f"{_head('tags', f'tags_{number}')}tags:\n{tags}"


def _lexicon(number: int) -> str:
    terms = "".join(
        f"  - {{term: 词语{number}之{each}, severity: warn, law: 基准, suggestion: 换一个说法}}\n"
        for each in range(100)
    )
    return f'{_head("lexicon", f"words_{number}")}source: 基准\nas_of: "2026-01-01"\nentries:\n{terms}'


def _checks(number: int) -> str:
    return (
        f"{_head('checks', f'checks_{number}')}checks:\n"
        f"  - {{id: check_{number}, plugin: lexicon, lexicons: [words_{number}]}}\n"
    )


def _content(number: int) -> str:
    contents = "".join(
        f"  - id: content_{number}_{each}\n    locales:\n      zh:\n        subject: 主题 {each}\n"
        "        body: \"{{ contact.nickname | default('您', true) }}好，这里有一条消息。\"\n"
        "      en:\n        subject: Subject\n"
        "        body: \"Hello {{ contact.nickname | default('there', true) }}, here is a message.\"\n"
        for each in range(3)
    )
    return f"{_head('content', f'content_{number}')}contents:\n{contents}"


def _journey(number: int) -> str:
    event = f"event_{number % 10}_{number % 5}"
    return f"""\
{_head("journey", f"journey_{number}")}purpose: marketing
priority: {number % 100}
enter:
  event: {event}
  when:
    all:
      - event.amount: {{gte: {number + 1}}}
      - contact.tags: {{has: tag_{number % 10}_{number % 7}}}
      - any:
          - contact.city: {{in: [上海, 北京, 广州]}}
          - contact.order_count: {{gte: 3}}
      - none:
          - contact.tags: {{has_any: [employee, do_not_disturb]}}
  reentry: {{after: 90d}}
leave:
  - when: {{contact.tags: {{has: do_not_disturb}}}}
goal: {{event: {event}, when: {{event.amount: {{gt: {number + 100}}}}}, within: 30d}}
steps:
  - send: hello
    content: content_{number}_0
    channels: [email, letter]
    deadline: 12h
  - {{wait: overnight, days: 1, at: "10:00"}}
  - wait_for: again
    event: {event}
    when: {{event.amount: {{gt: 5}}}}
    up_to: 5d
    then:
      - branch: worth
        cases:
          - when: {{contact.total_spent: {{gte: 1000}}, contact.member: true}}
            steps: [{{send: much, content: content_{number}_1, channels: [email]}}]
          - when: {{contact.total_spent: {{gte: 500}}}}
            steps: [{{send: some, content: content_{number}_1, channels: [letter, email]}}]
        else:
          - {{set: nothing, values: {{benefit: 5}}}}
    otherwise:
      - {{send: reminder, content: content_{number}_2, channels: [email]}}
      - {{tag: noted, add: [reminded]}}
"""


def write(folder: Path, files: Mapping[str, str]) -> None:
    """The files below the folder."""
    for name, text in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def measure(files: int = FILES, times: int = TIMES) -> Timed:
    """The command over a workspace of so many files."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), workspace(files))
        timed = time_command(["lint", folder], times)
    assert f"{files} files" in timed.printed, timed.printed
    return timed


def main() -> int:
    """Print how long it takes, and how many files that is a second."""
    print(machine())
    timed = measure()
    print(f"lint of {FILES} files: {timed}; {FILES / median(timed.seconds):,.0f} files/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

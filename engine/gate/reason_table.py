"""All reason codes as one table for people, in English and Chinese; `rulesets/REASONS.md` is made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.gate.reasons import CHANGED_BY_ZH, FAMILIES, REASONS, words

_HEAD = """\
# Reasons · 原因代码

Why something was sent, held or not sent, why somebody entered or left: each decision carries one of these
codes, and `wayline explain` and `GET /v1/decisions` find decisions by code or by family (`--reason cap.full`,
`--reason cap`). Codes are never reused.
每条决定都带有其中一个代码；可按代码或类别查找。代码不会被重复使用。

Written by `wayline reasons --format markdown`. 本文件由该命令生成。
"""


def reason_rows(family: str | None = None) -> Iterator[Mapping[str, str]]:
    """Each code with its words and who can change what it says, by family in the gate's order."""
    for each in FAMILIES if family is None else (family,):
        for code in sorted(name for name in REASONS if name.partition(".")[0] == each):
            reason, also = REASONS[code], words(code)
            yield {
                "code": code,
                "sentence": reason.sentence,
                "sentence_zh": also.sentence_zh,
                "would_pass_if": also.otherwise,
                "would_pass_if_zh": also.otherwise_zh,
                "changed_by": reason.changed_by,
                "changed_by_zh": CHANGED_BY_ZH[reason.changed_by],
            }


def reasons_markdown() -> str:
    """The whole document."""
    lines = [_HEAD]
    for family in FAMILIES:
        rows = list(reason_rows(family))
        if not rows:
            continue
        lines += [
            f"## {family}\n",
            "| code · 代码 | it means · 含义 | it would have passed if · 怎样才会通过 "
            "| can be changed by · 可由谁改变 |",
            "| --- | --- | --- | --- |",
        ]
        for row in rows:
            passes = " · ".join(filter(None, (row["would_pass_if"], row["would_pass_if_zh"])))
            lines.append(
                f"| `{row['code']}` | {row['sentence']} · {row['sentence_zh']} | {passes} "
                f"| {row['changed_by']} · {row['changed_by_zh']} |"
            )
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"

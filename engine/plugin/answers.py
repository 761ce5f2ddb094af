"""What is wrong with a plugin's answer, as the end of a sentence; nothing when it is as promised.

Sizes are bounded as well: an answer without bounds would end up in decisions, in memory or in a mail.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from engine.masking import mask_text
from engine.plugin.actions import Done, Failed
from engine.plugin.contracts import (
    Accepted,
    Draft,
    Finding,
    Preflight,
    Provenance,
    Rejected,
    Retry,
    Severity,
    Task,
    TaskAnswer,
    Unknown,
)

PARTS = ("body", "subject", "call_to_action")
LONGEST_CODE = 100
LONGEST_ID = 500
LONGEST_DETAIL = 500
"""Of a detail only the beginning is kept; it is for people who run the workers."""
LONGEST_DRAFT = 1_000_000
MOST_FINDINGS = 1_000
LONGEST_NOTE = 2_000
MOST_TOKENS = 100_000_000
LONGEST_VALUE = 10_000
LONGEST_AFTER = timedelta(days=366)
"""Until when a provider may ask to be left alone; a moment beyond it may be none that a calendar has."""
GREATEST_NUMBER = 2**63 - 1
MOST_VALUES = 100
_REASON = re.compile(r"[a-z][a-z0-9_]{0,99}")


def fault_of_result(result: object) -> str:
    """What is wrong with a channel's answer."""
    if not isinstance(result, Accepted | Retry | Rejected | Unknown):
        return f"returned {type(result).__name__}, not Accepted, Retry, Rejected or Unknown"
    if (
        isinstance(result, Accepted)
        and result.provider_id is not None
        and not _is_short(result.provider_id, LONGEST_ID)
    ):
        return f"returned an Accepted whose provider_id is no text of at most {LONGEST_ID} characters"
    if isinstance(result, Accepted) and result.task is not None and (fault := _fault_of_task(result.task)):
        return f"returned an Accepted whose task {fault}"
    return _fault_of_refusal(result)


def _fault_of_task(task: object) -> str:
    if not isinstance(task, Task):
        return f"is {type(task).__name__}, not a Task"
    if not all(_is_short(each, LONGEST_NOTE) for each in (task.queue, task.question, task.to, task.link)):
        return (
            f"has a queue, a question, a `to` or a link that is no text of at most {LONGEST_NOTE} characters"
        )
    if not (task.queue and task.question and task.to):
        return "lacks a queue, a question or whom it goes to"
    if not _is_short(task.text, LONGEST_DRAFT):
        return f"has no text of at most {LONGEST_DRAFT} characters"
    if not (isinstance(task.within, timedelta) and task.within > timedelta(0)):
        return "has a `within` that is no timedelta of more than zero"
    answers = task.answers
    if not all(isinstance(each, TaskAnswer) and _is_answer(each) for each in answers):
        return "has an answer without an id in lower_snake, a title, or one of delivered and bounced"
    said = {each.said for each in answers}
    if len({each.id for each in answers}) < len(answers) or said != {"delivered", "bounced"}:
        return "needs answers of different ids, one that says delivered and one that says bounced"
    return ""


def _is_answer(answer: TaskAnswer) -> bool:
    is_named = _is_text(answer.id) and _REASON.fullmatch(answer.id) is not None
    is_titled = _is_short(answer.title, LONGEST_NOTE) and bool(answer.title)
    return is_named and is_titled and answer.said in ("delivered", "bounced")


def fault_of_action_result(result: object) -> str:
    """What is wrong with an action's answer."""
    if not isinstance(result, Done | Retry | Failed | Unknown):
        return f"returned {type(result).__name__}, not Done, Retry, Failed or Unknown"
    if isinstance(result, Done):
        return _fault_of_values(result.values)
    return _fault_of_refusal(result)


def _fault_of_refusal(result: object) -> str:
    kind = type(result).__name__
    if isinstance(result, Retry) and not (
        isinstance(result.after, timedelta) and timedelta(0) <= result.after <= LONGEST_AFTER
    ):
        days = LONGEST_AFTER.days
        return f"returned a Retry whose `after` is not a timedelta of zero or more, of {days} days at most"
    if isinstance(result, Rejected | Failed) and not result.code:
        return f"returned a {kind} without a code"
    if isinstance(result, Retry | Rejected | Failed) and not _is_short(result.code, LONGEST_CODE):
        return f"returned a {kind} whose code is no text of at most {LONGEST_CODE} characters"
    if isinstance(result, Rejected | Failed | Unknown) and not _is_text(result.detail):
        return f"returned a {kind} whose detail is no text"
    return ""


def _fault_of_values(values: object) -> str:
    if not isinstance(values, Mapping):
        return "returned a Done whose values are not a mapping"
    if len(values) > MOST_VALUES:
        return f"returned a Done with more than {MOST_VALUES} values"
    for name, value in values.items():
        is_finite = not isinstance(value, float) or math.isfinite(value)
        if not (_is_short(name, LONGEST_CODE) and isinstance(value, str | int | float | bool) and is_finite):
            return f"returned the result {name!r:.120}, which is neither a text, a number, true nor false"
        if isinstance(value, str) and not _is_short(value, LONGEST_VALUE):
            return f"returned the result {name!r}, which is no text of at most {LONGEST_VALUE} characters"
        if isinstance(value, int) and abs(value) > GREATEST_NUMBER:
            return f"returned the result {name!r}, a whole number of more than 64 bits"
    return ""


def fault_of_preflight(answer: object) -> str:
    """What is wrong with a channel's word on a message; its reason becomes a reason code."""
    if not isinstance(answer, Preflight):
        return f"returned {type(answer).__name__}, not a Preflight"
    if not answer.ok and answer.reason and not (_is_text(answer.reason) and _REASON.fullmatch(answer.reason)):
        return "returned a Preflight whose reason is not lower_snake text such as 'no_address'"
    moment: object = answer.not_before
    if moment is not None and not (isinstance(moment, datetime) and moment.tzinfo is not None):
        return "returned a Preflight whose not_before is not a moment with its time zone"
    within: object = answer.within
    if within is not None and not (isinstance(within, tuple) and all(_is_text(each) for each in within)):
        return "returned a Preflight whose within is not a tuple of names of windows"
    return ""


def fault_of_draft(draft: object) -> str:
    """What is wrong with a generator's answer."""
    if not isinstance(draft, Draft):
        return f"returned {type(draft).__name__}, not a Draft"
    if not all(_is_text(getattr(draft, part)) for part in PARTS):
        return "returned a Draft whose texts are not text"
    if sum(len(getattr(draft, part)) for part in PARTS) > LONGEST_DRAFT:
        return f"returned a Draft of more than {LONGEST_DRAFT} characters"
    if not all(can_be_kept(getattr(draft, part)) for part in PARTS):
        return "returned a Draft with U+0000 or half of a surrogate pair in it, which are no characters"
    if not _is_short(draft.locale, LONGEST_CODE):
        return f"returned a Draft whose locale is no text of at most {LONGEST_CODE} characters"
    return _fault_of_provenance(draft.provenance)


def _fault_of_provenance(told: object) -> str:
    """It stands in decisions."""
    if not isinstance(told, Provenance):
        return "returned a Draft without a Provenance"
    if not all(_is_short(each, LONGEST_ID) for each in (told.generator, told.model, told.prompt_hash)):
        return f"returned a Provenance whose texts are no texts of at most {LONGEST_ID} characters"
    tokens: object = told.tokens
    if not (tokens is None or (isinstance(tokens, int) and 0 <= tokens <= MOST_TOKENS)):
        return "returned a Provenance whose tokens are no number"
    answered: object = told.answered
    if not (answered is None or (isinstance(answered, int) and 0 <= answered <= (tokens or 0))):
        return "returned a Provenance whose answer has no number of its tokens"
    return (
        "" if isinstance(told.ai_generated, bool) else "returned a Provenance that does not say who wrote it"
    )


def fault_of_findings(found: Sequence[object], draft: Draft) -> str:
    """What is wrong with a check's answer."""
    if len(found) > MOST_FINDINGS:
        return f"returned more than {MOST_FINDINGS} findings"
    for finding in found:
        if not isinstance(finding, Finding):
            return f"returned {type(finding).__name__}, not a Finding"
        if finding.part not in PARTS:
            return f"returned a finding in {finding.part!r:.100}, which is not one of {', '.join(PARTS)}"
        if not _is_severity(finding.severity):
            return "returned a finding whose severity is not a Severity"
        if not (_is_short(finding.code, LONGEST_CODE) and finding.code):
            return f"returned a finding whose code is no text of 1 to {LONGEST_CODE} characters"
        # The message is shown and never kept, so it may quote whatever the text has.
        is_told = _is_text(finding.message) and len(finding.message) <= LONGEST_NOTE
        if not (
            is_told and all(_is_short(note, LONGEST_NOTE) for note in (finding.rule, finding.suggestion))
        ):
            return f"returned a finding with a note that is no text of at most {LONGEST_NOTE} characters"
        length = len(getattr(draft, finding.part))
        if not (_is_position(finding.start) and _is_position(finding.end)):
            return "returned a finding whose start or end is not a number"
        if not 0 <= finding.start <= finding.end <= length:
            return f"returned the span {finding.start}–{finding.end} in a text of {length} characters"
    return ""


def kept(result: object) -> object:
    """An answer with the beginning of its detail only, and personal data in that masked."""
    if isinstance(result, Rejected | Failed | Unknown) and result.detail:
        detail = mask_text(result.detail[: 2 * LONGEST_DETAIL])[:LONGEST_DETAIL]
        return result if detail == result.detail else replace(result, detail=detail)
    return result


def can_be_kept(text: str) -> bool:
    """Whether it can be written down: no database has half of a surrogate pair, and PostgreSQL no U+0000."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_short(value: object, longest: int) -> bool:
    """Whether it is a text that is kept, and no longer."""
    return isinstance(value, str) and len(value) <= longest and can_be_kept(value)


def _is_position(value: object) -> bool:
    return isinstance(value, int)


def _is_severity(value: object) -> bool:
    return isinstance(value, Severity)

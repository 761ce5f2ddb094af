"""Every reason code a decision may carry: what it means in a sentence, and who can change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.gate.reason_words import WORDS, Words

FAMILIES = (
    "entry",
    "kill",
    "plan",
    "breaker",
    "suppressed",
    "expired",
    "channel",
    "consent",
    "quiet",
    "cap",
    "budget",
    "experiment",
    "content",
    "review",
    "rate",
    "circuit",
    "sent",
    "failed",
    "unknown",
    "task",
    "run",
    "call",
)
"""What stands before the dot of a reason code."""

OPERATIONS = "operations staff"
COMPLIANCE = "compliance officers"
RUNNERS = "the people who run the workers"
CONTACT = "the contact alone"
PLUGINS = "the plugin's developers"
NOBODY = "nobody"


CHANGED_BY_ZH: Mapping[str, str] = {
    OPERATIONS: "运营人员",
    COMPLIANCE: "合规人员",
    RUNNERS: "运行维护人员",
    CONTACT: "仅联系人本人",
    PLUGINS: "插件开发者",
    NOBODY: "无人",
}
"""The same in Chinese."""


@dataclass(frozen=True)
class Reason:
    """What a code says of an intent, an entry or a run; `engine.gate.reason_words` says it in Chinese too."""

    sentence: str
    changed_by: str


REASONS: Mapping[str, Reason] = {
    "kill.switch": Reason("everything is stopped by the kill switch", RUNNERS),
    "plan.paused": Reason("a plan that is on pauses these messages", OPERATIONS),
    "breaker.open": Reason("a breaker has stopped this scope", OPERATIONS),
    "breaker.half_open": Reason("a breaker lets only probes or a share through", OPERATIONS),
    "suppressed.no_contact": Reason("there is no such contact", NOBODY),
    "suppressed.erased": Reason("the contact was erased", NOBODY),
    "suppressed.merged": Reason("the contact was merged into another one", OPERATIONS),
    "suppressed.contact": Reason("the contact must not be reached at all", COMPLIANCE),
    "expired.deadline": Reason("its deadline has passed", OPERATIONS),
    "expired.held_too_long": Reason("it was held longer than it is worth sending", OPERATIONS),
    "channel.none": Reason("the step names no channel", OPERATIONS),
    "channel.not_configured": Reason("the ruleset does not configure the channel", OPERATIONS),
    "channel.no_identity": Reason("the contact has no address there", CONTACT),
    "channel.suppressed_address": Reason("the contact's address there must not be used", COMPLIANCE),
    "channel.window_closed": Reason(
        "the platform lets us write only for a while after the contact was heard", CONTACT
    ),
    "channel.window_spent": Reason(
        "the platform lets us write no more before the contact is heard again", CONTACT
    ),
    "channel.rejected": Reason("the provider of this channel has refused the message", RUNNERS),
    "channel.preflight": Reason("the channel cannot carry this message", OPERATIONS),
    "channel.preflight_failed": Reason("the channel could not say whether it can carry it", PLUGINS),
    "channel.unavailable": Reason("the channel's plugin or settings cannot be used", RUNNERS),
    "consent.unknown": Reason("there is no consent on record", CONTACT),
    "consent.withdrawn": Reason("the contact withdrew consent", CONTACT),
    "consent.denied": Reason("the contact denied consent", CONTACT),
    "consent.expired": Reason("the consent on record is no longer valid", CONTACT),
    "consent.outdated": Reason("consent was given under a notice that counts no longer", CONTACT),
    "consent.pending": Reason("the consent on record was not confirmed yet", CONTACT),
    "consent.lapsed": Reason("the consent asked for was not confirmed in time", CONTACT),
    "consent.unknown_purpose": Reason("the ruleset does not define the purpose", OPERATIONS),
    "run.contact_deleted": Reason("the contact has left us, and nothing goes on about them", CONTACT),
    "run.contact_merged": Reason(
        "the contact is one with another, who is further on in the journey or has been through it", NOBODY
    ),
    "quiet.hours": Reason("it is a time at which the contact must not be disturbed", COMPLIANCE),
    "quiet.skipped": Reason("at such a time it is not sent, and it does not wait either", COMPLIANCE),
    "quiet.too_late": Reason("the quiet ends later than the message may wait", OPERATIONS),
    "quiet.always": Reason("the quiet hours together leave no time at all", COMPLIANCE),
    "quiet.unreadable_wish": Reason("when the contact wishes to be left alone cannot be read", OPERATIONS),
    "cap.full": Reason("a frequency cap has no place left", OPERATIONS),
    "cap.too_soon": Reason("the last message is too recent", OPERATIONS),
    "cap.quota": Reason("a quota that the platform sets has no place left", NOBODY),
    "cap.yielded": Reason("it leaves the last place to a message of higher value that is due", OPERATIONS),
    "cap.silence": Reason("the contact has not answered for long, so marketing leaves them alone", CONTACT),
    "cap.defer_too_long": Reason("the cap frees later than the message may wait", OPERATIONS),
    "budget.ahead": Reason("the budget lasts by its pace, and does not allow the message yet", OPERATIONS),
    "budget.share_spent": Reason(
        "the share of the budget is used up until it is shared out anew", OPERATIONS
    ),
    "budget.spent": Reason("the budget is used up", OPERATIONS),
    "budget.halted": Reason("what the share brings in is unsteady, and nothing is spent of it", OPERATIONS),
    "budget.not_open": Reason("the budget has not begun, or is over", OPERATIONS),
    "budget.too_late": Reason("the budget allows it later than the message may wait", OPERATIONS),
    "experiment.exposed": Reason("the run came to an experiment and went the way of its arm", OPERATIONS),
    "experiment.held_out": Reason("the contact is held out, so that an effect can be measured", OPERATIONS),
    "content.missing": Reason("the content is not in the ruleset", OPERATIONS),
    "content.not_generated": Reason("no text could be made for this contact", OPERATIONS),
    "content.personal_only": Reason(
        "the contact refused personalisation, and the content has no other text", OPERATIONS
    ),
    "content.does_not_fit": Reason("the platform of the channel does not take such a text", OPERATIONS),
    "content.check_blocked": Reason("a check found something that must not be said", COMPLIANCE),
    "content.check_failed": Reason("a check could not do its work, so the message is blocked", PLUGINS),
    "review.pending": Reason("people have still to approve this very text", COMPLIANCE),
    "review.rejected": Reason("people have rejected this very text", COMPLIANCE),
    "review.withdrawn": Reason("the approval of this very text was taken back", COMPLIANCE),
    "sent.accepted": Reason("the provider took the message", NOBODY),
    "sent.receipt": Reason("a receipt says that the provider took the message after all", NOBODY),
    "failed.rejected": Reason("the provider refused the message for good", RUNNERS),
    "failed.retries": Reason("the provider stayed busy until no attempt was left", RUNNERS),
    "rate.limited": Reason("the provider takes no more messages at this moment", RUNNERS),
    "rate.provider_busy": Reason("the provider asked for nothing at all until later", RUNNERS),
    "circuit.open": Reason("the provider keeps failing and is left alone for a while", RUNNERS),
    "circuit.half_open": Reason("one message tries whether the provider is well again", RUNNERS),
    "rate.retry": Reason("the provider asked to come back later", RUNNERS),
    "unknown.no_answer": Reason("nobody can tell whether it was sent, and it must not be repeated", NOBODY),
    "entry.entered": Reason("the journey took the contact in", OPERATIONS),
    "entry.no_match": Reason("the journey's condition did not hold", OPERATIONS),
    "entry.paused": Reason("the journey is paused", OPERATIONS),
    "entry.draining": Reason("those on an earlier version of the journey finish first", OPERATIONS),
    "entry.late": Reason("the event happened too long ago to start a journey", OPERATIONS),
    "entry.running": Reason("the contact is in the journey already", NOBODY),
    "entry.reentry": Reason("the journey does not take the contact in again, or not yet", OPERATIONS),
    "task.opened": Reason("the run gave a task to a person and waits for the answer", OPERATIONS),
    "task.decided": Reason("a person decided the task", OPERATIONS),
    "task.expired": Reason("nobody decided the task before its deadline", OPERATIONS),
    "task.withdrawn": Reason("the run ended before anybody decided the task", OPERATIONS),
    "call.done": Reason("the action did what the step asked for", NOBODY),
    "call.failed": Reason("the action cannot do what the step asked for", OPERATIONS),
    "call.retry": Reason("the action could not be done yet and is tried again", RUNNERS),
    "call.expired": Reason("the action was not done before its deadline", OPERATIONS),
    "call.unavailable": Reason("the action's plugin or settings cannot be used", RUNNERS),
    "call.unknown": Reason("nobody can tell whether it was done, and it must not be repeated", NOBODY),
    "run.retimed": Reason("the date or the clock that a wait hangs on has changed", CONTACT),
    "entry.unknown_journey": Reason(
        "the journey that was to be started is not there, or nobody can ask it to take contacts in",
        OPERATIONS,
    ),
    "entry.parameters": Reason("the journey that was to be started takes other parameters", OPERATIONS),
    "entry.chain": Reason("too many journeys have started one another without ever waiting", OPERATIONS),
    "run.branched": Reason("the run came to a branch and took one of its ways", OPERATIONS),
    "run.repeated": Reason("a repeat began another round", OPERATIONS),
    "run.repeat_over": Reason("a repeat was over, and the run went on behind it", OPERATIONS),
    "run.completed": Reason("the run came to the end of its journey", OPERATIONS),
    "run.goal": Reason("the goal was reached", CONTACT),
    "run.left": Reason("a leave condition came true", CONTACT),
    "run.stopped": Reason("the journey stopped the run", OPERATIONS),
    "run.loop": Reason("the journey went round without ever waiting", OPERATIONS),
    "run.moved": Reason("the run was taken over to another version of its journey", OPERATIONS),
    "run.retired": Reason("another version of the journey, or none, ended the run", OPERATIONS),
    "run.cancelled": Reason("an operator cancelled the run", OPERATIONS),
    "run.ended": Reason("the run that asked for it has ended", OPERATIONS),
}

_ANY = {
    "channel": Reason("the channel cannot carry this message", PLUGINS),
}
"""Families whose details plugins name; the sentence for a detail that is not listed above."""

_ANY_WORDS = {
    "channel": Words("渠道无法承载此消息", "the message fitted the channel", "消息符合渠道要求"),
}


def describe(code: str) -> Reason:
    """The sentence for a code, also for a detail that a plugin named; KeyError for an unknown family."""
    found = REASONS.get(code)
    return found if found is not None else _ANY[code.partition(".")[0]]


def words(code: str) -> Words:
    """The other words for a code, as `describe` gives the sentence; KeyError for an unknown family."""
    found = WORDS.get(code)
    return found if found is not None else _ANY_WORDS[code.partition(".")[0]]


def titles(code: str) -> dict[str, str]:
    """The code's sentence by language, for operators; the code itself for one that is not known."""
    try:
        return {"en": describe(code).sentence, "zh": words(code).sentence_zh}
    except KeyError:
        # Written by a version that knew more reasons than this one.
        return {"en": code, "zh": code}

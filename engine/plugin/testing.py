"""What plugin authors test with: the contract tests our own plugins pass, and a channel that records.

A contract test raises AssertionError with a sentence that says what to change; call it from an ordinary test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from engine.clock import FixedClock
from engine.plugin.actions import Action, Call, Done
from engine.plugin.answers import (
    fault_of_action_result,
    fault_of_draft,
    fault_of_findings,
    fault_of_preflight,
    fault_of_result,
)
from engine.plugin.callbacks import Callback, Listens, Refused
from engine.plugin.contracts import (
    Accepted,
    Channel,
    Check,
    CheckContext,
    ContentSpec,
    Draft,
    GenerateRequest,
    Generator,
    GeneratorFailed,
    Lexicon,
    LexiconEntry,
    Message,
    SendResult,
    Severity,
)
from engine.plugin.counting import fault_of_count
from engine.plugin.declaring import (
    ContactFact,
    EventKind,
    Known,
    Metric,
    fault_of_event_kind,
    fault_of_fact,
    fault_of_metric,
)
from engine.plugin.knowing import fault_of_value
from engine.plugin.recording import Recorded, RecordedCall, RecordingAction, RecordingChannel
from engine.plugin.registry import load_registry
from engine.plugin.secrecy import check_declared, check_unsaid, listening_for, secrets_of
from engine.plugin.shapes import fault_of_action, fault_of_channel, fault_of_check, fault_of_generator

__all__ = [
    "EXAMPLE_CONTEXT",
    "EXAMPLE_MESSAGE",
    "EXAMPLE_REQUEST",
    "FixedClock",
    "Recorded",
    "RecordedCall",
    "RecordingAction",
    "RecordingChannel",
    "check_action",
    "check_channel",
    "check_check",
    "check_event_kind",
    "check_fact",
    "check_generator",
    "check_metric",
    "check_plugin",
]

_ANYTHING: Any = object()

EXAMPLE_MESSAGE = Message(
    to="reader@example.com",
    subject="您好，Ann 🌸",
    body="第一行\nsecond line\n.a line that starts with a dot\n\u202bשלום\u202c",
    call_to_action="https://example.com/offer",
    contact_id="c-1",
    purpose="marketing",
    content="hello",
    locale="zh-CN",
    unsubscribe_url="https://example.com/u/token",
)

EXAMPLE_REQUEST = GenerateRequest(
    content=ContentSpec(id="hello", locale="en", body="Hello {{ contact.name }}", subject="For you"),
    facts={"contact": {"name": "Ann"}, "event": {}, "journey": {}},
    channel="email",
    purpose="marketing",
)

EXAMPLE_CONTEXT = CheckContext(
    channel="email",
    purpose="marketing",
    locale="zh-CN",
    settings={},
    lexicons=(Lexicon("example", (LexiconEntry("forbidden", Severity.BLOCK),), "an example", "2026-01-01"),),
)

ODD_TEXTS = (
    "",
    " ",
    "plain forbidden text",
    "最近有新品，欢迎选购",
    "\u202bمرحبا\u202c 👩‍👩‍👧‍👦 e\u0301 ﬁ ㈱ \u200b\ufeff",
    "\x00\x1b[31m\r\n\t",
    "{{ 7 * 7 }} {% raw %} </script>",
    "forbidden " * 2_000,
)


def check_plugin(plugin: object) -> None:
    """Pass when the module or object offers what its hooks promise, as it would be loaded; nothing is called
    but the hooks."""
    registry = load_registry(entry_points=False, extra=[plugin])
    told = [str(each) for each in (*registry.faults, *registry.notes)]
    assert not told, "\n".join(told)


def check_channel(
    channel: Channel, *, message: Message = EXAMPLE_MESSAGE, settings: Mapping[str, Any] | None = None
) -> None:
    """Pass when the channel keeps its contract; sends about ten messages, so point it at a test server.

    Give a configured channel, or an unconfigured one and its `settings`. The channel is closed afterwards.
    """
    fault = fault_of_channel(channel)
    assert not fault, fault
    capabilities = channel.capabilities
    assert capabilities.length_unit in ("characters", "bytes"), "length_unit must be 'characters' or 'bytes'"
    assert capabilities.max_length is None or capabilities.max_length > 0, (
        "max_length must be positive or None"
    )
    secrets: list[str] = []
    channel.settings.model_json_schema()  # shown to operators; raises when a field has no JSON form
    check_declared(channel.settings)
    if settings is not None:
        model = channel.settings.model_validate(settings)
        configured = channel.configured(model)
        assert configured is not None, "configured() must return a channel"
        assert not fault_of_channel(configured), f"configured(): {fault_of_channel(configured)}"
        assert configured.name == channel.name, "configured() must keep the channel's name"
        secrets = secrets_of(model)
        check_unsaid(secrets, repr(configured), "the channel's repr")
        channel = configured
    with listening_for(secrets, "channel"):
        if isinstance(channel, Listens):
            _listen(channel)
        _run(_exercise(channel, message, secrets))


def _listen(channel: Listens) -> None:
    """What strangers may send is answered, and never believed."""
    for body in (b"", b"{}", b"[" * 10_000, b"<xml></xml>", b"\x00\xff\xfe", b"x" * 100_000):
        for headers in ({}, {"content-type": "application/json", "user-agent": "\x00"}):
            for query in ({}, {"timestamp": "1", "nonce": "\U0001f338", "signature": "0" * 40}):
                try:
                    said = channel.parse_callback(body, headers, query)
                except Exception as error:
                    raise AssertionError(
                        f"parse_callback raised {type(error).__name__} on a stranger's bytes: return Refused"
                    ) from error
                assert isinstance(said, Callback | Refused), (
                    f"parse_callback returned {type(said).__name__}, not Callback or Refused"
                )
                assert isinstance(said, Refused) or not said.told, (
                    "parse_callback believed a callback that nobody signed"
                )


async def _exercise(channel: Channel, message: Message, secrets: list[str]) -> None:
    async def _send(channel: Channel, message: Message, key: str, *, accepted: bool = False) -> None:
        check_unsaid(
            secrets, repr(await _sent(channel, message, key, accepted=accepted)), "what send answers"
        )

    try:
        answer = channel.preflight(message)
        fault = fault_of_preflight(answer)
        assert not fault, f"preflight {fault}"
        assert answer.ok or answer.reason, "a preflight that says no must give a reason"
        nameless = channel.preflight(replace(message, to=""))
        assert not nameless.ok, "preflight must say no to a message without an address"

        await _send(channel, message, "contract-1", accepted=True)
        if channel.capabilities.idempotency_key:
            await _send(channel, message, "contract-1", accepted=True)
        await _send(
            channel, replace(message, subject="", call_to_action="", unsubscribe_url=None), "contract-2"
        )
        keys = [f"contract-together-{number}" for number in range(5)]
        await asyncio.gather(*(_send(channel, message, key, accepted=True) for key in keys))
        # Whatever a contact's name or address contains, the answer is a result and never an exception.
        await _send(channel, replace(message, subject="Hi\r\nBcc: other@example.com"), "contract-3")
        await _send(channel, replace(message, to="a@example.com\r\nRCPT TO:<b@example.com>"), "contract-4")
        await _send(channel, message, "key with spaces\r\nX-Injected: 1 ключ")
    finally:
        await channel.close()
        await channel.close()  # closing twice is what a stopping worker may do


async def _sent(channel: Channel, message: Message, key: str, *, accepted: bool) -> SendResult:
    try:
        result = await channel.send(message, key)
    except Exception as error:
        raise AssertionError(
            f"send raised {type(error).__name__}: return Retry, Rejected or Unknown instead of raising"
        ) from error
    fault = fault_of_result(result)
    assert not fault, f"send {fault}"
    assert not accepted or isinstance(result, Accepted), (
        f"send answered {result!r} to an ordinary message; is the test server running and accepting?"
    )
    return result


def check_action(
    action: Action, *, values: Mapping[str, Any], settings: Mapping[str, Any] | None = None
) -> None:
    """Pass when the action keeps its contract; calls it about ten times, so point it at a test server.

    `values` are what a step could tell it. Give a configured action, or an unconfigured one and its
    `settings`. The action is closed afterwards.
    """
    fault = fault_of_action(action)
    assert not fault, fault
    for each in (action.settings, action.values, action.results):
        each.model_json_schema()  # shown to operators; raises when a field has no JSON form
    check_declared(action.settings)
    told = action.values.model_validate(values)
    secrets: list[str] = []
    if settings is not None:
        model = action.settings.model_validate(settings)
        configured = action.configured(model)
        assert configured is not None, "configured() must return an action"
        assert not fault_of_action(configured), f"configured(): {fault_of_action(configured)}"
        assert configured.name == action.name, "configured() must keep the action's name"
        secrets = secrets_of(model)
        check_unsaid(secrets, repr(configured), "the action's repr")
        action = configured
    with listening_for(secrets, "action"):
        _run(_exercise_action(action, told))


async def _exercise_action(action: Action, values: BaseModel) -> None:
    call = Call(values, "c-1", "welcome", "points", "r-1", {"event": {"type": "contact_added"}})
    try:
        first = await _do(action, call, "contract-1", done=True)
        if action.idempotent:
            again = await _do(action, call, "contract-1", done=True)
            assert set(again) <= set(first), "a repeated key must not answer more than the first call did"
        keys = [f"contract-together-{number}" for number in range(5)]
        await asyncio.gather(*(_do(action, call, key, done=True) for key in keys))
        # Whatever a contact's own words are, the answer is a result and never an exception.
        odd = {"event": {"note": "\x00\r\nHost: other \ud800", "deep": [{"a": [1]}]}}
        await _do(action, replace(call, contact_id="c\r\nX: 1", variables=odd), "contract-2")
        await _do(action, call, "key with spaces\r\nX-Injected: 1 ключ")
    finally:
        await action.close()
        await action.close()  # closing twice is what a stopping worker may do


async def _do(action: Action, call: Call, key: str, *, done: bool = False) -> Mapping[str, Any]:
    try:
        result = await action.run(call, key)
    except Exception as error:
        raise AssertionError(
            f"run raised {type(error).__name__}: return Retry, Failed or Unknown instead of raising"
        ) from error
    fault = fault_of_action_result(result)
    assert not fault, f"run {fault}"
    assert not done or isinstance(result, Done), (
        f"run answered {result!r} to an ordinary call; is the test server running and accepting?"
    )
    if not isinstance(result, Done):
        return {}
    action.results.model_validate(result.values)  # raises when an answer is not as declared
    unknown = set(result.values) - set(action.results.model_fields)
    assert not unknown or action.results.model_config.get("extra") == "allow", (
        f"run answered {sorted(unknown)}, which its results do not declare"
    )
    return result.values


def check_generator(generator: Generator, *, request: GenerateRequest = EXAMPLE_REQUEST) -> None:
    """Pass when the generator keeps its contract for this request, for no facts and for hostile ones."""
    fault = fault_of_generator(generator)
    assert not fault, fault
    draft = generator.generate(request)
    fault = fault_of_draft(draft)
    assert not fault, f"generate {fault}"
    assert draft.body, "generate returned an empty body; raise GeneratorFailed when there is no text"
    assert draft.provenance.generator == generator.name, "provenance.generator must be the generator's name"
    hostile = {"name": "{{ 7 * 191 }}{% raw %}", "__class__": "x"}
    for facts in ({}, {"contact": hostile, "event": hostile, "journey": hostile}):
        try:
            other = generator.generate(replace(request, facts=facts))
        except GeneratorFailed:
            continue
        except Exception as error:
            raise AssertionError(
                f"generate raised {type(error).__name__}; raise GeneratorFailed when there is no text"
            ) from error
        assert "1337" not in other.body, "a contact's own text was executed as a template"


def check_check(check: Check, *, context: CheckContext = EXAMPLE_CONTEXT) -> None:
    """Pass when the check gives valid findings, twice the same, for odd texts in every part of a draft."""
    fault = fault_of_check(check)
    assert not fault, fault
    model = getattr(check, "settings", None)
    if model is not None:
        model.model_json_schema()  # shown to operators; raises when a field has no JSON form
        check_declared(model)
    for text in ODD_TEXTS:
        for draft in (Draft(text), Draft("body", subject=text), Draft("body", call_to_action=text)):
            try:
                first, second = list(check.examine(draft, context)), list(check.examine(draft, context))
            except Exception as error:
                raise AssertionError(
                    f"examine raised {type(error).__name__} on {text[:40]!r}; such messages would be blocked"
                ) from error
            fault = fault_of_findings(first, draft)
            assert not fault, f"examine {fault} (on {text[:40]!r})"
            assert first == second, f"examine answered differently the second time (on {text[:40]!r})"


def check_fact(
    fact: ContactFact, *, examples: Sequence[tuple[Mapping[str, Known], Known | None]] = ()
) -> None:
    """Pass when the fact keeps its contract where nothing is known, and for examples with their answers."""
    fault = fault_of_fact(fact)
    assert not fault, fault
    for given, wanted in [({}, _ANYTHING), *examples]:
        known = {name: value for name, value in given.items() if name in fact.reads}
        assert len(known) == len(given), f"an example has what the fact does not read: {sorted(given)}"
        try:
            first, second = fact.compute(known), fact.compute(dict(known))
        except Exception as error:
            raise AssertionError(
                f"compute raised {type(error).__name__} for {known!r}; return None for what is not known"
            ) from error
        fault = fault_of_value(fact, first)
        assert not fault, f"compute {fault} (for {known!r})"
        assert first == second, f"compute answered differently the second time (for {known!r})"
        assert wanted is _ANYTHING or first == wanted, f"compute answered {first!r} for {known!r}"


def check_event_kind(kind: EventKind, *, examples: Sequence[Mapping[str, Any]] = ()) -> None:
    """Pass when the type of event can be used, and events with these properties would be taken in."""
    fault = fault_of_event_kind(kind)
    assert not fault, fault
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(dict(kind.schema), format_checker=Draft202012Validator.FORMAT_CHECKER)
    for properties in examples:
        wrong = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(dict(properties))]
        assert not wrong, f"such an event would become a dead letter: {'; '.join(wrong)}"


def check_metric(
    metric: Metric, *, examples: Sequence[tuple[str, Mapping[str, Any], bool | None]] = ()
) -> None:
    """Pass when the metric keeps its contract for what it listens to, odd properties included, and for
    examples: what is told, its properties, and whether that counts against (None: not at all)."""
    fault = fault_of_metric(metric)
    assert not fault, fault
    heard = (*metric.receipts, *metric.events)
    odd: list[Mapping[str, Any]] = [
        {},
        {"code": "\x00"},
        {"score": "many", "text": ["\ud800"], "deep": {"a": None}},
    ]
    given = [(told, properties, _ANYTHING) for told in heard for properties in odd]
    for told, properties, wanted in [*given, *examples]:
        assert told in heard, f"an example is told by {told!r}, to which the metric does not listen"
        if metric.counts is None:
            assert wanted is _ANYTHING or wanted is True, "without `counts` everything counts against"
            continue
        try:
            first, second = metric.counts(told, dict(properties)), metric.counts(told, dict(properties))
        except Exception as error:
            raise AssertionError(
                f"counts raised {type(error).__name__} for {told} {properties!r}; return None for what it "
                "cannot read"
            ) from error
        fault = fault_of_count(first)
        assert not fault, f"counts {fault} (for {told} {properties!r})"
        assert first == second, f"counts answered differently the second time (for {told} {properties!r})"
        assert wanted is _ANYTHING or first is wanted, f"counts answered {first!r} for {told} {properties!r}"


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    work.close()
    raise AssertionError("call check_channel from an ordinary `def` test; it runs an event loop of its own")

"""The contract tests for plugin authors: good plugins pass, each kind of mistake is told in a sentence."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from engine.plugin import (
    Accepted,
    Capabilities,
    Check,
    CheckContext,
    Draft,
    Finding,
    GenerateRequest,
    GeneratorFailed,
    Message,
    Preflight,
    Provenance,
    Rejected,
    Retry,
    SendResult,
    Severity,
    hookimpl,
)
from engine.plugin.registry import load_registry
from engine.plugin.testing import (
    EXAMPLE_MESSAGE,
    FixedClock,
    RecordingChannel,
    check_channel,
    check_check,
    check_generator,
    check_plugin,
)


class PlainPasswordSettings(BaseModel):
    password: str = ""


class TokenSettings(BaseModel):
    token: SecretStr


class Raising(RecordingChannel):
    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        if "\n" in message.to:
            raise ValueError(message.to)
        return Accepted()


class Talkative(RecordingChannel):
    settings: type[BaseModel] = TokenSettings

    def configured(self, settings: BaseModel) -> Talkative:
        self.token = settings.token.get_secret_value() if isinstance(settings, TokenSettings) else ""
        return self

    def __repr__(self) -> str:
        return f"Talkative({self.token})"


def plain_password() -> RecordingChannel:
    channel = RecordingChannel()
    channel.settings = PlainPasswordSettings
    return channel


def with_capabilities(capabilities: Capabilities) -> RecordingChannel:
    channel = RecordingChannel()
    channel.capabilities = capabilities
    return channel


def test_a_good_channel_passes() -> None:
    channel = RecordingChannel(idempotent=True)
    check_channel(channel, settings={})
    assert channel.closed


@pytest.mark.parametrize(
    ("channel", "sentence"),
    [
        (object, "object is not a Channel"),
        (plain_password, "setting 'password' looks like a secret; make it a pydantic.SecretStr"),
        (lambda: with_capabilities(Capabilities(length_unit="words")), "length_unit must be"),
        (lambda: with_capabilities(Capabilities(max_length=0)), "max_length must be positive"),
        (lambda: RecordingChannel(preflight=Preflight(False)), "must give a reason"),
        (lambda: RecordingChannel(preflight=Preflight(False, "No Code")), "is not lower_snake text"),
        (lambda: RecordingChannel(results=[Accepted("x" * 501)]), "provider_id is no text of at most 500"),
        (lambda: RecordingChannel(results=[Accepted(), Retry(timedelta(0), "x" * 101)]), "code is no text"),
        (lambda: RecordingChannel(preflight=Preflight(True)), "without an address"),
        (lambda: RecordingChannel(results=[Rejected("550")]), "is the test server running"),
        (lambda: RecordingChannel(results=[Retry(timedelta(seconds=-1))]), "timedelta of zero or more"),
        (lambda: Raising("raising"), "send raised ValueError: return Retry, Rejected or Unknown instead"),
    ],
)
def test_each_mistake_of_a_channel_is_told(channel: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_channel(channel())
    assert sentence in str(caught.value)


def test_a_channel_that_shows_its_secret_is_told() -> None:
    with pytest.raises(AssertionError, match="repr shows a secret"):
        check_channel(Talkative("talkative"), settings={"token": "s3cr3t"})


class Whispering(RecordingChannel):
    """Says its token wherever it is told to."""

    settings: type[BaseModel] = TokenSettings

    def __init__(self, how: Callable[[str], object]) -> None:
        super().__init__("whispering")
        self.how = how
        self.token = ""

    def configured(self, settings: BaseModel) -> Whispering:
        assert isinstance(settings, TokenSettings)
        self.token = settings.token.get_secret_value()
        return self

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        said = self.how(self.token)
        return Accepted(said) if isinstance(said, str) else Accepted()


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        (lambda token: sys.stdout.write(token) and None, "what the channel prints shows a secret"),
        (lambda token: sys.stderr.write(token) and None, "what the channel prints shows a secret"),
        (
            lambda token: logging.getLogger("mine").info("asked with %s", token),
            "what the channel logs shows a secret",
        ),
        (lambda token: f"id-of-{token}", "what send answers shows a secret"),
    ],
)
def test_a_channel_that_says_its_secret_anywhere_is_told(how: Callable[[str], object], sentence: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_channel(Whispering(how), settings={"token": "s3cr3t-token"})
    assert sentence in str(caught.value)
    assert "s3cr3t-token" not in str(caught.value)


def test_a_channel_that_says_nothing_of_it_passes() -> None:
    check_channel(Whispering(lambda _: None), settings={"token": "s3cr3t-token"})


def test_a_plugin_is_loaded_as_the_engine_would() -> None:
    class Good:
        @hookimpl
        def register_checks(self) -> list[Check]:
            return [FindsTheWord()]

    class Misspelt:
        @hookimpl
        def register_check(self) -> list[Check]:
            return [FindsTheWord()]

    check_plugin(Good())
    with pytest.raises(AssertionError, match="did you mean 'register_checks'"):
        check_plugin(Misspelt())


async def test_inside_a_running_loop_the_contract_test_says_how_to_call_it() -> None:
    with pytest.raises(AssertionError, match="from an ordinary `def` test"):
        check_channel(RecordingChannel())


class Shouting:
    name = "shouting"

    def generate(self, request: GenerateRequest) -> Draft:
        name = request.facts.get("contact", {}).get("name")
        if name is None:
            raise GeneratorFailed("contact.name is not known")
        return Draft(f"HELLO {name}", provenance=Provenance(self.name))


def test_a_good_generator_passes() -> None:
    check_generator(Shouting())


@pytest.mark.parametrize(
    ("generate", "sentence"),
    [
        (lambda request: "text", "not a Draft"),
        (lambda request: Draft("", provenance=Provenance("mine")), "an empty body"),
        (lambda request: Draft("x", provenance=Provenance("other")), "provenance.generator must be"),
        (
            lambda request: Draft(request.facts["contact"]["name"], provenance=Provenance("mine")),
            "generate raised KeyError",
        ),
        (
            lambda request: Draft(
                str(request.facts.get("contact", {}).get("name")).replace("{{ 7 * 191 }}", "1337") or "x",
                provenance=Provenance("mine"),
            ),
            "executed as a template",
        ),
    ],
)
def test_each_mistake_of_a_generator_is_told(
    generate: Callable[[GenerateRequest], Draft], sentence: str
) -> None:
    class Mine:
        name = "mine"

        def generate(self, request: GenerateRequest) -> Draft:
            return generate(request)

    with pytest.raises(AssertionError) as caught:
        check_generator(Mine())
    assert sentence in str(caught.value)


class FindsTheWord:
    name = "finds_the_word"

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        at = draft.body.find("forbidden")
        return [] if at < 0 else [Finding("word.found", Severity.WARN, at, at + 9, "found")]


def test_a_good_check_passes() -> None:
    check_check(FindsTheWord())


def test_each_mistake_of_a_check_is_told() -> None:
    class Beyond(FindsTheWord):
        def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
            return [Finding("word.found", Severity.WARN, 0, 9, "found")]

    class Moody(FindsTheWord):
        moods = 0

        def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
            self.moods += 1
            return [Finding("mood", Severity.WARN, 0, 0, str(self.moods))]

    class Fragile(FindsTheWord):
        def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
            return [Finding("first", Severity.WARN, 0, 1, draft.body[0])]

    for check, sentence in (
        (Beyond(), "returned the span 0–9"),
        (Moody(), "answered differently"),
        (Fragile(), "IndexError"),
    ):
        with pytest.raises(AssertionError, match=sentence):
            check_check(check)


async def test_a_recording_channel_follows_its_script_and_then_accepts() -> None:
    channel = RecordingChannel(results=[Retry(timedelta(seconds=1)), RuntimeError("down")])
    assert isinstance(await channel.send(EXAMPLE_MESSAGE, "a"), Retry)
    with pytest.raises(RuntimeError):
        await channel.send(EXAMPLE_MESSAGE, "a")
    assert isinstance(await channel.send(EXAMPLE_MESSAGE, "a"), Accepted)
    assert len(channel.calls) == 3
    assert channel.sent == [EXAMPLE_MESSAGE]


@pytest.mark.parametrize(("idempotent", "reached"), [(True, 1), (False, 2)])
async def test_a_repeated_key_has_one_effect_only_where_the_channel_promises_it(
    idempotent: bool, reached: int
) -> None:
    channel = RecordingChannel(idempotent=idempotent)
    answers = [await channel.send(EXAMPLE_MESSAGE, "same") for _ in range(2)]
    assert all(isinstance(answer, Accepted) for answer in answers)
    assert len(channel.sent) == reached


def test_a_recording_channel_is_a_plugin_and_keeps_what_the_registry_configured() -> None:
    channel = RecordingChannel("email")
    registry = load_registry(entry_points=False, extra=[channel])
    assert registry.channel("email", {"host": "anything"}) is channel


def test_the_clock_for_tests_is_the_engines() -> None:
    from engine.clock import FixedClock as Original

    assert FixedClock is Original

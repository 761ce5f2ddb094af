"""Texts from a language model behind any endpoint that speaks OpenAI's chat completions.

It is asked once for each message, with the facts that the content names and no others. What it answers is
held against what it was asked for; where anything is amiss there is no text, and the content's own text takes
its place. A text of its own says that a model wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from engine.plugin import (
    Clock,
    Draft,
    Duration,
    GenerateRequest,
    Generator,
    GeneratorFailed,
    Provenance,
    SystemClock,
    hookimpl,
)
from plugins.generators.circuit import PAUSE, Circuit
from plugins.generators.prompting import SCHEMA, Prompt, prompt_of
from plugins.generators.vetting import Unfit, texts_in

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI
    from openai.types.chat import ChatCompletion

OVERHEAD = 50
"""Tokens that the frame of two messages costs at most."""
MISUSED = frozenset({401, 403, 404})
"""Answers that the next request will get as well: the key, the address or the name of the model is wrong."""


class LlmSettings(BaseModel):
    """Which model is asked, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str = Field(description="where chat completions are asked for, as https://llm.example.com/v1")
    model: str = Field(description="the name of the model there", min_length=1, max_length=200)
    api_key: SecretStr = Field(description="the key; an endpoint without keys takes any text", min_length=1)
    timeout: Duration = Field(
        default=timedelta(seconds=8),
        gt=timedelta(0),
        le=timedelta(seconds=9),
        description="for one answer; the engine waits for no generator longer than 10 seconds",
    )
    temperature: float = Field(default=0.7, ge=0, le=2, description="how freely it writes")
    most_tokens: int = Field(default=800, ge=50, le=8_000, description="tokens of one answer at most")
    longest_body: int = Field(default=1_000, ge=20, le=20_000, description="characters of a body at most")
    answers_as: Literal["json_schema", "json_object"] = Field(
        default="json_schema",
        description="how the endpoint is asked for JSON; json_object where it knows no schemas",
    )
    limit_as: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_tokens", description="what the endpoint calls the limit of an answer"
    )
    label: str = Field(
        default="（AI生成）",
        description="stands at the end of Chinese texts, as the rules for labelling ask since 2025-09-01",
        min_length=1,
        max_length=50,
    )
    label_elsewhere: str = Field(
        default="(AI-generated)",
        description="stands at the end of texts in other languages",
        min_length=1,
        max_length=50,
    )

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("not an address such as https://llm.example.com/v1")
        return value


class LlmGenerator:
    """Asks a model for each text. Thread-safe; `configured` gives one that can be asked."""

    name = "llm"
    settings = LlmSettings
    needs_instructions = True

    def __init__(self, settings: LlmSettings | None = None, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._circuit = Circuit(self._clock)
        self._client = None if settings is None else _client(settings)

    def configured(self, settings: BaseModel) -> Generator:
        assert isinstance(settings, LlmSettings)
        return LlmGenerator(settings, self._clock)

    def most_tokens(self, request: GenerateRequest) -> int:
        """What one text costs at most, asked and answered."""
        settings, _ = self._ready()
        return prompt_of(request, settings.longest_body).bytes() + settings.most_tokens + OVERHEAD

    def generate(self, request: GenerateRequest) -> Draft:
        """The model's text. GeneratorFailed with a code for whatever keeps it from being one."""
        settings, client = self._ready()
        if not self._circuit.may_ask():
            raise GeneratorFailed("the endpoint is left alone after failures", code="left_alone")
        prompt = prompt_of(request, settings.longest_body)
        answer = self._asked(client, settings, prompt)
        tokens, answered = _used(answer)
        try:
            links = request.facts.get("links", {})
            texts = texts_in(_said(answer), request.content, links, settings.longest_body)
        except Unfit as unfit:
            message = f"the answer is unfit: {unfit.code}"
            raise GeneratorFailed(message, code=unfit.code, tokens=tokens, answered=answered) from None
        return Draft(
            body=_labelled(texts.body, request.content.locale, settings),
            subject=texts.subject,
            call_to_action=texts.call_to_action,
            locale=request.content.locale,
            provenance=Provenance(
                self.name,
                settings.model,
                prompt.hash,
                ai_generated=True,
                tokens=tokens,
                answered=answered,
            ),
        )

    def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            self._client.close()

    def _ready(self) -> tuple[LlmSettings, OpenAI]:
        if self._settings is None or self._client is None:
            raise GeneratorFailed("it has no settings", code="not_configured")
        return self._settings, self._client

    def _asked(self, client: OpenAI, settings: LlmSettings, prompt: Prompt) -> ChatCompletion:
        import openai
        from openai.types.chat import ChatCompletion

        how: dict[str, object] = {settings.limit_as: settings.most_tokens}
        if settings.answers_as == "json_schema":
            schema = {"name": "message", "strict": True, "schema": SCHEMA}
            how["response_format"] = {"type": "json_schema", "json_schema": schema}
        else:
            how["response_format"] = {"type": "json_object"}
        try:
            answer: object = client.chat.completions.create(  # type: ignore[call-overload]
                model=settings.model,
                messages=prompt.messages(),
                temperature=settings.temperature,
                stream=False,
                **how,
            )
        except openai.APITimeoutError:
            self._circuit.failed()
            raise GeneratorFailed("the endpoint did not answer in time", code="timeout") from None
        except openai.APIStatusError as error:
            raise self._refused(error) from None
        except openai.OpenAIError:
            self._circuit.failed()
            raise GeneratorFailed(
                "the endpoint cannot be reached or understood", code="unreachable"
            ) from None
        except (ValueError, RecursionError):
            # It says that it is JSON, and is not.
            answer = None
        # What says of itself that it is something else the client hands over as it came.
        if not isinstance(answer, ChatCompletion) or not answer.choices:
            self._circuit.failed()
            raise GeneratorFailed("the endpoint answered something else", code="malformed")
        self._circuit.answered()
        return answer

    def _refused(self, error: APIStatusError) -> GeneratorFailed:
        status = error.status_code
        if status == 429:
            asked = _wait_of(error.response.headers.get("retry-after", ""), self._clock.now())
            self._circuit.failed(asked)
            return GeneratorFailed("the endpoint has had enough for now", code="busy")
        if status in MISUSED:
            self._circuit.failed(PAUSE)
            return GeneratorFailed(f"the endpoint answered {status}", code="misconfigured")
        if status >= 500:
            self._circuit.failed()
            return GeneratorFailed(f"the endpoint answered {status}", code="server_error")
        # It is this request that is refused; the next may be fine.
        self._circuit.answered()
        return GeneratorFailed(f"the endpoint answered {status}", code="bad_request")


def _client(settings: LlmSettings) -> OpenAI:
    # Only here: whoever lints loads every plugin, and the client is large.
    from openai import DefaultHttpxClient, OpenAI

    return OpenAI(
        api_key=settings.api_key.get_secret_value(),
        base_url=settings.base_url,
        timeout=settings.timeout.total_seconds(),
        max_retries=0,  # a message waits; its own text takes the place
        # No proxy of the environment is used, and no redirect followed, with the key and with people's data.
        http_client=DefaultHttpxClient(trust_env=False, follow_redirects=False),
    )


def _used(answer: ChatCompletion) -> tuple[int | None, int | None]:
    """The tokens asked and answered together, and those answered; None of what the endpoint does not say."""
    usage = answer.usage
    if usage is None:
        return None, None
    total, answered = usage.total_tokens, usage.completion_tokens
    return total, answered if isinstance(answered, int) and 0 <= answered <= total else None


def _said(answer: ChatCompletion) -> str:
    choice = answer.choices[0]
    if getattr(choice.message, "refusal", None) or choice.finish_reason == "content_filter":
        raise Unfit("refused")
    if choice.finish_reason == "length":
        raise Unfit("too_long")
    if not isinstance(choice.message.content, str) or not choice.message.content:
        raise Unfit("malformed")
    return choice.message.content


def _labelled(body: str, locale: str, settings: LlmSettings) -> str:
    label = settings.label if locale.lower().startswith("zh") else settings.label_elsewhere
    return body if label in body else f"{body}\n{label}"


def _wait_of(retry_after: str, now: datetime) -> timedelta:
    """What a `Retry-After` header asks for, in seconds or as an HTTP date; the usual pause without one."""
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]{1,6}", text):
        return max(timedelta(seconds=int(text)), timedelta(seconds=1))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return PAUSE
    return max((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now, timedelta(seconds=1))


@hookimpl
def register_generators() -> Iterable[Generator]:
    return [LlmGenerator()]

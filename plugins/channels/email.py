"""E-mail over SMTP, with one-click unsubscribe (RFC 8058).

SMTP takes no idempotency key, so the answer must be exact about what a broken connection means: until the end
of the message has been written nothing was sent (Retry); afterwards nobody can tell (Unknown).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Literal, cast

import aiosmtplib
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from engine.plugin import (
    Accepted,
    Capabilities,
    Channel,
    Clock,
    Duration,
    Message,
    Preflight,
    Rejected,
    Retry,
    SendResult,
    SystemClock,
    Unknown,
    hookimpl,
)
from plugins.channels.http.addresses import LONGEST_TIMEOUT
from plugins.channels.mail import Envelope, Unsendable, ascii_address, envelope_of, sender_of

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

# RFC 3463 and 7505/7372: addresses that will never work. 5.2.2 (full) and 5.7.x (policy) may work tomorrow.
NEVER_WORKS = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3}(?=\s|$)")
ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")


class EmailSettings(BaseModel):
    """What an e-mail channel needs to know of its server and its sender."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(min_length=1, description="The SMTP server that takes our mail.")
    port: int = Field(default=587, ge=1, le=65_535)
    sender: str = Field(description="From, as news@shop.example or Shop <news@shop.example>.")
    reply_to: str | None = Field(default=None, description="Where answers go, when not to the sender.")
    username: str | None = None
    password: SecretStr | None = None
    tls: Literal["starttls", "implicit", "none"] = Field(
        default="starttls", description="implicit is for port 465; none only for a server on this machine."
    )
    timeout: Duration = Field(
        default=timedelta(seconds=10),
        gt=timedelta(0),
        description="For everything up to the end of the message; past it nothing was sent.",
    )
    answer_timeout: Duration = Field(
        default=timedelta(seconds=15),
        gt=timedelta(0),
        description="For the server's answer to the whole message; past it nobody can tell.",
    )
    retry_after: Duration = Field(
        default=timedelta(minutes=1),
        description="When to come back after a temporary refusal; SMTP does not say.",
    )
    connections: int = Field(default=4, ge=1, le=100, description="Connections kept to the server, at most.")

    @field_validator("sender", "reply_to")
    @classmethod
    def _is_a_sender(cls, value: str | None) -> str | None:
        if value is not None:
            sender_of(value)
        return value

    @model_validator(mode="after")
    def _belongs_together(self) -> EmailSettings:
        if self.timeout + self.answer_timeout > LONGEST_TIMEOUT:
            raise ValueError(f"timeout and answer_timeout are {LONGEST_TIMEOUT.seconds}s together at most")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        if self.tls == "none" and self.password is not None and self.host not in LOOPBACK:
            raise ValueError("a password is not sent to another machine without tls")
        return self


class _NothingSent(Exception):
    """The server refused, or the connection broke, while nothing could have been sent yet."""

    def __init__(self, result: Retry | Rejected, *, about_connection: bool = False) -> None:
        super().__init__(result.code)
        self.result = result
        self.about_connection = about_connection
        """The line was the trouble, not the message: another connection may do."""


class EmailChannel:
    """Sends one message per SMTP transaction, over a few connections that are kept open."""

    name = "email"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = EmailSettings
    capabilities = Capabilities()

    def __init__(self, configuration: EmailSettings | None = None, clock: Clock | None = None) -> None:
        self._configuration = configuration
        self.clock: Clock = clock or SystemClock()
        """Dates the messages."""
        self._idle: list[aiosmtplib.SMTP] = []
        self._places: asyncio.Semaphore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, EmailSettings)
        return EmailChannel(settings, self.clock)

    def preflight(self, message: Message) -> Preflight:
        try:
            ascii_address(message.to)
        except Unsendable as error:
            return Preflight(False, "address_invalid", str(error))
        return Preflight(True)

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        settings = self._configuration
        if settings is None:
            return Rejected("not_configured", "this channel was offered, not configured")
        try:
            envelope = envelope_of(
                message,
                idempotency_key,
                sender=settings.sender,
                reply_to=settings.reply_to,
                now=self.clock.now(),
            )
        except Unsendable as error:
            return Rejected(error.code, str(error), permanent_address=error.code == "address_invalid")
        deadline = asyncio.get_running_loop().time() + settings.timeout.total_seconds()
        places = self._places_of(settings)
        try:
            async with asyncio.timeout_at(deadline):
                await places.acquire()
        except TimeoutError:
            return Retry(settings.retry_after, "busy")
        try:
            return await self._deliver(envelope, settings, deadline)
        except _NothingSent as failure:
            return failure.result
        finally:
            places.release()

    async def close(self) -> None:
        idle, self._idle = self._idle, []
        if self._loop is asyncio.get_running_loop():
            await asyncio.gather(*(_say_goodbye(client) for client in idle))

    async def _deliver(self, envelope: Envelope, settings: EmailSettings, deadline: float) -> SendResult:
        while self._idle:
            client = self._idle.pop()
            if not client.is_connected:
                continue
            try:
                return await self._transact(client, envelope, settings, deadline)
            except _NothingSent as failure:
                # A server may drop a connection that rested; that says nothing about this message.
                if not failure.about_connection or asyncio.get_running_loop().time() >= deadline:
                    raise
        client = await self._connected(settings, deadline)
        return await self._transact(client, envelope, settings, deadline)

    async def _connected(self, settings: EmailSettings, deadline: float) -> aiosmtplib.SMTP:
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password else None,
            # Not the machine's own name: looking that up can take longer than sending.
            local_hostname=sender_of(settings.sender).domain,
            use_tls=settings.tls == "implicit",
            start_tls=settings.tls == "starttls",
            timeout=settings.timeout.total_seconds(),
        )
        try:
            async with asyncio.timeout_at(deadline):
                await client.connect()
        except aiosmtplib.SMTPAuthenticationError as error:
            # Nothing about this message was judged: whoever mends the password still wants it sent.
            raise _NothingSent(Retry(settings.retry_after, "auth")) from error
        except aiosmtplib.SMTPResponseException as error:
            raise _NothingSent(Retry(settings.retry_after, _code(error.code, error.message))) from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:  # TimeoutError is an OSError
            raise _NothingSent(Retry(settings.retry_after, "connection")) from error
        return client

    async def _transact(
        self, client: aiosmtplib.SMTP, envelope: Envelope, settings: EmailSettings, deadline: float
    ) -> SendResult:
        transport, reusable = client.transport, False
        try:
            async with asyncio.timeout_at(deadline):
                protocol = await self._write_message(client, envelope)
            # The point of no return: with these five bytes the server may deliver.
            protocol.write(b"\r\n.\r\n" if not envelope.content.endswith(b"\r\n") else b".\r\n")
            try:
                code, text = await protocol.read_response(timeout=settings.answer_timeout.total_seconds())
            except (aiosmtplib.SMTPException, OSError) as error:
                return Unknown(f"{type(error).__name__} after the end of the message")
            reusable = client.is_connected
            if 200 <= code < 300:
                return Accepted(envelope.message_id)
            if not 400 <= code < 600:
                return Unknown(f"the server answered {code} to the end of the message")
            return _refused(code, text, settings.retry_after)
        except aiosmtplib.SMTPResponseException as error:
            reusable = await _reset(client)
            refusal = _refused(error.code, error.message, settings.retry_after)
            raise _NothingSent(refusal, about_connection=error.code == 421) from error
        except aiosmtplib.SMTPNotSupported as error:
            reusable = await _reset(client)
            raise _NothingSent(Rejected("5.6.7", "the server takes no addresses outside ASCII")) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _NothingSent(Retry(settings.retry_after, "connection"), about_connection=True) from error
        finally:
            # Also on cancellation: a connection in the middle of something is never used again.
            if reusable:
                self._idle.append(client)
            else:
                client.close()
                if isinstance(transport, asyncio.WriteTransport):
                    transport.abort()  # closing alone would wait for a deaf server to read the rest

    async def _write_message(
        self, client: aiosmtplib.SMTP, envelope: Envelope
    ) -> aiosmtplib.protocol.SMTPProtocol:
        """MAIL, RCPT, DATA and the whole text but its end, all of it out of our hands."""
        options: list[str] = []
        if envelope.needs_utf8:
            if not client.supports_extension("smtputf8"):
                raise aiosmtplib.SMTPNotSupported("SMTPUTF8")
            options = ["SMTPUTF8", "BODY=8BITMIME"]
        encoding = "utf-8" if envelope.needs_utf8 else "ascii"
        await client.mail(envelope.sender, options=options, encoding=encoding)
        await client.rcpt(envelope.recipient, encoding=encoding)
        code, text = await client.execute_command(b"DATA")
        if code != 354:
            raise aiosmtplib.SMTPDataError(code, text)
        protocol = client.protocol
        if protocol is None or client.transport is None:
            raise aiosmtplib.SMTPServerDisconnected("lost before the message")
        protocol.write(re.sub(rb"(?m)^\.", b"..", envelope.content))
        transport = cast(asyncio.WriteTransport, client.transport)
        while transport.get_write_buffer_size():  # noqa: ASYNC110 - there is no event for "all written"
            await asyncio.sleep(0.005)
        if not client.is_connected:
            raise aiosmtplib.SMTPServerDisconnected("lost within the message")
        return protocol

    def _places_of(self, settings: EmailSettings) -> asyncio.Semaphore:
        """As many places as this channel may have connections."""
        # Connections belong to the event loop that opened them.
        loop = asyncio.get_running_loop()
        if self._places is None or self._loop is not loop:
            self._loop, self._idle = loop, []
            self._places = asyncio.Semaphore(settings.connections)
        return self._places


def _refused(code: int, text: str, retry_after: timedelta) -> Retry | Rejected:
    status = _code(code, text)
    if 500 <= code < 600:
        detail = " ".join(ADDRESS.sub("…@…", text).split())[:200]
        return Rejected(status, detail, permanent_address=status in NEVER_WORKS)
    return Retry(retry_after, status)


def _code(code: int, text: str) -> str:
    """The enhanced status (RFC 3463) where the server gives one that fits its reply, else the reply code."""
    found = ENHANCED.match(text.lstrip())
    return found[0] if found and found[1] == str(code)[0] else str(code)


async def _reset(client: aiosmtplib.SMTP) -> bool:
    """Whether the connection can take another message."""
    try:
        await client.rset(timeout=2)
    except (aiosmtplib.SMTPException, OSError):
        return False
    return client.is_connected


async def _say_goodbye(client: aiosmtplib.SMTP) -> None:
    try:
        async with asyncio.timeout(1):
            await client.quit()
    except (aiosmtplib.SMTPException, OSError):
        client.close()


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [EmailChannel()]

"""The e-mail channel against a real SMTP server: what arrives, and what refusals and broken lines mean."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from engine.plugin import Accepted, Rejected, Retry, Unknown
from engine.plugin.testing import EXAMPLE_MESSAGE, FixedClock, check_channel
from plugins.channels.email import EmailChannel, EmailSettings
from tests.plugins.conftest import MailServer
from tests.ports import free_port


def channel_for(port: int, clock: FixedClock | None = None, **others: object) -> EmailChannel:
    configuration = EmailSettings.model_validate(
        {"host": "127.0.0.1", "port": port, "sender": "Shop <news@shop.example>", "tls": "none", **others}
    )
    return EmailChannel(configuration, clock)


@pytest.fixture
def channel(mail_server: MailServer, clock: FixedClock) -> EmailChannel:
    return channel_for(mail_server.port, clock)


def test_it_passes_the_contract_tests(mail_server: MailServer) -> None:
    check_channel(
        EmailChannel(),
        settings={
            "host": "127.0.0.1",
            "port": mail_server.port,
            "sender": "news@shop.example",
            "tls": "none",
        },
    )
    assert len({took.mail["Message-ID"] for took in mail_server.took}) == len(mail_server.took) == 9
    for took in mail_server.took:
        assert took.recipients == ["reader@example.com"]
        assert took.mail["Bcc"] is None
        assert took.mail["X-Injected"] is None


async def test_what_was_written_arrives_with_every_header_it_needs(
    channel: EmailChannel, mail_server: MailServer
) -> None:
    result = await channel.send(EXAMPLE_MESSAGE, "0123456789abcdef")
    assert result == Accepted("<0123456789abcdef@shop.example>")
    (took,) = mail_server.took
    assert (took.sender, took.recipients) == ("news@shop.example", ["reader@example.com"])
    assert took.mail["From"] == "Shop <news@shop.example>"
    assert took.mail["To"] == "reader@example.com"
    assert took.mail["Subject"] == "您好，Ann 🌸"
    assert took.mail["Message-ID"] == "<0123456789abcdef@shop.example>"
    assert took.mail["Date"] == "Sat, 21 Nov 2026 09:30:00 +0000"
    assert took.mail.get_content_charset() == "utf-8"
    text = took.mail.get_content()
    assert text.splitlines() == [
        *EXAMPLE_MESSAGE.body.splitlines(),
        "",
        "https://example.com/offer",
        "",
        "退订: https://example.com/u/token",
    ]
    await channel.close()


async def test_the_unsubscribe_headers_stand_on_one_line_each_however_long(
    channel: EmailChannel, mail_server: MailServer
) -> None:
    url = "https://shop.example/u/" + "t" * 600
    await channel.send(replace(EXAMPLE_MESSAGE, unsubscribe_url=url), "k")
    lines = mail_server.took[0].raw.split(b"\r\n\r\n")[0].split(b"\r\n")
    assert f"List-Unsubscribe: <{url}>".encode() in lines
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in lines
    await channel.close()


async def test_without_a_link_there_is_no_unsubscribe_header(
    channel: EmailChannel, mail_server: MailServer
) -> None:
    await channel.send(replace(EXAMPLE_MESSAGE, unsubscribe_url=None), "k")
    assert b"List-Unsubscribe" not in mail_server.took[0].raw
    await channel.close()


async def test_the_same_key_gives_the_same_message_id(channel: EmailChannel, mail_server: MailServer) -> None:
    for key in ("one", "one", "two", "ключ с пробелом"):
        assert isinstance(await channel.send(EXAMPLE_MESSAGE, key), Accepted)
    identities = [took.mail["Message-ID"] for took in mail_server.took]
    assert identities[0] == identities[1]
    assert len(set(identities)) == 3
    await channel.close()


@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA", "END"])
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("421 4.3.2 closing", "4.3.2"),
        ("450 4.2.0 greylisted", "4.2.0"),
        ("451 try later", "451"),
        ("452 4.5.3 too many", "4.5.3"),
    ],
)
async def test_a_temporary_refusal_in_any_phase_means_come_back(
    channel: EmailChannel, mail_server: MailServer, phase: str, answer: str, code: str
) -> None:
    mail_server.answers = {phase: [answer]}
    assert await channel.send(EXAMPLE_MESSAGE, "k") == Retry(timedelta(minutes=1), code)
    assert mail_server.took == []
    assert isinstance(await channel.send(EXAMPLE_MESSAGE, "k"), Accepted), "the next one goes through"
    assert len(mail_server.took) == 1
    await channel.close()


@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA", "END"])
async def test_a_permanent_refusal_in_any_phase_is_final(
    channel: EmailChannel, mail_server: MailServer, phase: str
) -> None:
    mail_server.answers = {phase: ["554 5.7.1 no thanks for reader@example.com"]}
    result = await channel.send(EXAMPLE_MESSAGE, "k")
    assert isinstance(result, Rejected)
    assert (result.code, result.permanent_address) == ("5.7.1", False)
    assert "reader@example.com" not in result.detail
    assert isinstance(await channel.send(EXAMPLE_MESSAGE, "k"), Accepted)
    await channel.close()


@pytest.mark.parametrize(
    ("answer", "code", "permanent"),
    [
        ("550 5.1.1 no such user", "5.1.1", True),
        ("550 5.1.10 null mx", "5.1.10", True),
        ("550 5.2.1 mailbox disabled", "5.2.1", True),
        ("552 5.2.2 mailbox full", "5.2.2", False),
        ("550 5.7.26 unauthenticated", "5.7.26", False),
        ("550 no reason", "550", False),
        ("550 4.1.1 contradicts itself", "550", False),
        ("550 5.1.100 not that code", "5.1.100", False),
    ],
)
async def test_only_a_status_that_says_so_condemns_the_address(
    channel: EmailChannel, mail_server: MailServer, answer: str, code: str, permanent: bool
) -> None:
    mail_server.answers = {"RCPT": [answer]}
    result = await channel.send(EXAMPLE_MESSAGE, "k")
    assert isinstance(result, Rejected)
    assert (result.code, result.permanent_address) == (code, permanent)
    await channel.close()


@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA"])
async def test_a_line_lost_before_the_message_means_nothing_was_sent(
    channel: EmailChannel, mail_server: MailServer, phase: str
) -> None:
    mail_server.answers = {phase: ["drop"]}
    assert await channel.send(EXAMPLE_MESSAGE, "k") == Retry(timedelta(minutes=1), "connection")
    assert mail_server.took == []
    await channel.close()


async def test_a_line_lost_after_the_end_of_the_message_leaves_it_unknown(
    channel: EmailChannel, mail_server: MailServer
) -> None:
    mail_server.answers = {"END": ["drop"]}
    assert isinstance(await channel.send(EXAMPLE_MESSAGE, "k"), Unknown)
    assert mail_server.accepted_before_drop == 1
    assert isinstance(await channel.send(EXAMPLE_MESSAGE, "k2"), Accepted), "a new connection is opened"
    await channel.close()


async def test_an_answer_that_is_neither_yes_nor_no_leaves_it_unknown(
    channel: EmailChannel, mail_server: MailServer
) -> None:
    mail_server.answers = {"END": ["399 what"]}
    assert isinstance(await channel.send(EXAMPLE_MESSAGE, "k"), Unknown)
    await channel.close()


MORE_THAN_BUFFERS_HOLD = ("x" * 70 + "\n") * 120_000


@pytest.fixture
def deaf_server() -> Iterator[tuple[int, threading.Event]]:
    """Speaks SMTP up to 354, then stops reading until told to hang up."""
    hang_up, ready = threading.Event(), socket.create_server(("127.0.0.1", 0))
    ready.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def serve() -> None:
        line, _ = ready.accept()
        with line, line.makefile("rb") as commands:
            line.sendall(b"220 here\r\n")
            for command in commands:
                asked = command[:4].upper()
                line.sendall(b"354 go on\r\n" if asked == b"DATA" else b"250 yes\r\n")
                if asked == b"DATA":
                    break
            hang_up.wait(30)

    thread = threading.Thread(target=serve)
    thread.start()
    yield ready.getsockname()[1], hang_up
    hang_up.set()
    thread.join(30)
    ready.close()


async def test_a_line_lost_within_the_message_means_nothing_was_sent(
    deaf_server: tuple[int, threading.Event],
) -> None:
    port, hang_up = deaf_server
    channel = channel_for(port)
    hang_up.set()
    result = await channel.send(replace(EXAMPLE_MESSAGE, body=MORE_THAN_BUFFERS_HOLD), "k")
    assert result == Retry(timedelta(minutes=1), "connection")


async def test_a_server_that_stops_reading_within_the_message_has_not_got_it(
    deaf_server: tuple[int, threading.Event],
) -> None:
    port, _ = deaf_server
    channel = channel_for(port, timeout=timedelta(milliseconds=500))
    result = await channel.send(replace(EXAMPLE_MESSAGE, body=MORE_THAN_BUFFERS_HOLD), "k")
    assert result == Retry(timedelta(minutes=1), "connection")


async def test_a_server_that_never_answers_the_end_leaves_it_unknown(
    deaf_server: tuple[int, threading.Event],
) -> None:
    port, _ = deaf_server
    channel = channel_for(port, answer_timeout=timedelta(milliseconds=100))
    assert isinstance(await channel.send(EXAMPLE_MESSAGE, "k"), Unknown)


async def test_messages_that_wait_behind_a_slow_server_are_known_not_to_be_sent(
    deaf_server: tuple[int, threading.Event],
) -> None:
    port, _ = deaf_server
    channel = channel_for(port, connections=1, timeout="1s", answer_timeout="2s")
    results = await asyncio.gather(*(channel.send(EXAMPLE_MESSAGE, f"k{number}") for number in range(4)))
    assert isinstance(results[0], Unknown)
    assert results[1:] == [Retry(timedelta(minutes=1), "busy")] * 3


async def test_no_server_at_all_means_nothing_was_sent() -> None:
    channel = channel_for(free_port(), retry_after="30s")
    assert await channel.send(EXAMPLE_MESSAGE, "k") == Retry(timedelta(seconds=30), "connection")
    await channel.close()


async def test_connections_are_kept_and_never_more_than_allowed(
    mail_server: MailServer, clock: FixedClock
) -> None:
    channel = channel_for(mail_server.port, clock, connections=2)
    for wave in range(3):
        results = await asyncio.gather(*(channel.send(EXAMPLE_MESSAGE, f"{wave}-{n}") for n in range(8)))
        assert all(isinstance(result, Accepted) for result in results)
    assert len(mail_server.took) == 24
    assert len({took.mail["Message-ID"] for took in mail_server.took}) == 24
    assert len(mail_server.sessions) <= 2
    await channel.close()


async def test_a_connection_the_server_dropped_while_it_rested_is_replaced_silently(
    channel: EmailChannel, mail_server: MailServer
) -> None:
    assert isinstance(await channel.send(EXAMPLE_MESSAGE, "1"), Accepted)
    for number, goodbye in enumerate(["drop", "421 4.4.2 you rested too long"], start=2):
        mail_server.answers = {"MAIL": [goodbye]}
        assert isinstance(await channel.send(EXAMPLE_MESSAGE, str(number)), Accepted)
        assert len(mail_server.took) == number
    await channel.close()


async def test_a_cancelled_send_never_leaves_a_connection_in_the_middle_of_something(
    channel: EmailChannel, mail_server: MailServer
) -> None:
    for number in range(10):
        task = asyncio.create_task(channel.send(EXAMPLE_MESSAGE, f"cancelled-{number}"))
        for _ in range(number * 3):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
    mail_server.took.clear()
    assert isinstance(await channel.send(EXAMPLE_MESSAGE, "kept"), Accepted)
    assert mail_server.took[-1].mail["Message-ID"] == "<kept@shop.example>"
    await channel.close()


@pytest.mark.parametrize(
    "address",
    [
        *("", "reader", "@example.com", "reader@", "a@b@c.example", "a b@example.com", "a@exa mple.com"),
        *("a@example.com\r\nRCPT TO:<b@example.com>", "<a@example.com>", "a@-bad.example", ".a@example.com"),
        *("a\x00@example.com", "a@example..com", "\ud800@example.com", "a@" + "x" * 64 + ".example"),
    ],
)
async def test_a_bad_address_is_refused_before_any_server_hears_of_it(
    channel: EmailChannel, mail_server: MailServer, address: str
) -> None:
    message = replace(EXAMPLE_MESSAGE, to=address)
    assert not channel.preflight(message).ok
    result = await channel.send(message, "k")
    assert isinstance(result, Rejected)
    assert (result.code, result.permanent_address) == ("address_invalid", True)
    assert mail_server.sessions == set()


async def test_addresses_of_every_alphabet_arrive(channel: EmailChannel, mail_server: MailServer) -> None:
    for address in ("leser@bücher.example", "读者@例子.example"):
        assert channel.preflight(replace(EXAMPLE_MESSAGE, to=address)).ok
        assert isinstance(await channel.send(replace(EXAMPLE_MESSAGE, to=address), address), Accepted)
    assert mail_server.took[0].recipients == ["leser@xn--bcher-kva.example"]
    assert mail_server.took[1].recipients == ["读者@xn--fsqu00a.example"]
    await channel.close()


@pytest.mark.parametrize(
    "name", ["Bcc", "To", "DKIM-Signature", "Content-Type", "X-A\r\nBcc", "", "List-Unsubscribe"]
)
async def test_a_message_may_not_set_the_channels_own_headers(channel: EmailChannel, name: str) -> None:
    result = await channel.send(replace(EXAMPLE_MESSAGE, headers={name: "x"}), "k")
    assert isinstance(result, Rejected)
    assert result.code == "header_refused"


@pytest.mark.parametrize(
    "url", ["https://x.example/a>\r\nBcc: b@c.example", "javascript:alert(1)", "https://x y"]
)
async def test_an_unsubscribe_link_that_is_no_link_is_refused(channel: EmailChannel, url: str) -> None:
    result = await channel.send(replace(EXAMPLE_MESSAGE, unsubscribe_url=url), "k")
    assert isinstance(result, Rejected)
    assert result.code == "unsubscribe_url_invalid"


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        ({"sender": "nobody"}, "not a sender"),
        ({"sender": "a@b.example\r\nBcc: c@d.example"}, "not a sender"),
        ({"username": "u"}, "belong together"),
        ({"username": "u", "password": "p", "host": "mail.example", "tls": "none"}, "without tls"),
        ({"timeout": "0s"}, "greater than 0"),
        ({"timeout": "soon"}, "write a whole number and a unit"),
        ({"timeout": "15s", "answer_timeout": "15s"}, "28s together"),
        ({"port": 0}, "greater than or equal to 1"),
        ({"hosst": "x"}, "not permitted"),
    ],
)
def test_settings_that_cannot_work_are_refused(others: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        EmailSettings.model_validate({"host": "127.0.0.1", "sender": "news@shop.example", **others})


async def test_a_channel_that_was_never_configured_sends_nothing() -> None:
    assert isinstance(await EmailChannel().send(EXAMPLE_MESSAGE, "k"), Rejected)


async def test_a_server_without_tls_is_not_talked_to_when_tls_is_wanted(mail_server: MailServer) -> None:
    channel = channel_for(mail_server.port, tls="starttls")
    assert await channel.send(EXAMPLE_MESSAGE, "k") == Retry(timedelta(minutes=1), "connection")
    assert mail_server.sessions == set()


async def test_a_password_the_server_does_not_take_keeps_the_message(mail_server: MailServer) -> None:
    channel = channel_for(mail_server.port, username="u", password="s3cr3t")
    result = await channel.send(EXAMPLE_MESSAGE, "k")
    assert isinstance(result, Retry)
    assert "s3cr3t" not in repr(channel)

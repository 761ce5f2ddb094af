"""The connections webhooks are posted over, against receivers that answer in every way HTTP allows."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from plugins.channels.http.answers import LONGEST_ANSWER, Answered, NoAnswer
from plugins.channels.http.posting import Connections
from plugins.channels.robots.dingtalk import DingTalkSettings

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
HEADERS = {"webhook-id": "k1"}


class Scripted:
    """A receiver that says to every request, on whatever connection, the next of its answers."""

    def __init__(
        self, answers: Sequence[bytes], *, leaves_after: int | None = None, adds: bytes = b""
    ) -> None:
        self.answers = list(answers)
        self.connections = 0
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self._leaves_after = leaves_after
        self._adds = adds
        self.port = 0
        self.has_answered, self.has_left = asyncio.Event(), asyncio.Event()
        self.may_add, self.has_added = asyncio.Event(), asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        answered = 0
        try:
            while self.answers:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0] or 0)
                self.heads.append(head)
                self.bodies.append(await reader.readexactly(length))
                writer.write(self.answers.pop(0))
                await writer.drain()
                answered += 1
                self.has_answered.set()
                if self._adds:
                    await self.may_add.wait()
                    writer.write(self._adds)
                    await writer.drain()
                    self.has_added.set()
                if answered == self._leaves_after:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self.has_left.set()


@asynccontextmanager
async def listening(scripted: Scripted, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0, ssl=context)
    async with server:
        scripted.port = server.sockets[0].getsockname()[1]
        yield f"{'https' if context else 'http'}://127.0.0.1:{scripted.port}/hook?a=1"


async def post(connections: Connections, body: bytes = b"{}") -> Answered:
    async with asyncio.timeout(5):
        return await connections.post(body, HEADERS)


async def test_what_is_said_is_one_plain_request() -> None:
    scripted = Scripted([OK])
    async with listening(scripted) as url:
        connections = Connections(url, None, 1)
        assert await post(connections, b'{"a": 1}') == Answered(200, "", b"")
        await connections.close()
    (head,) = scripted.heads
    lines = head.rstrip().split("\r\n")
    assert lines[0] == "POST /hook?a=1 HTTP/1.1"
    named = dict(line.lower().split(": ", 1) for line in lines[1:])
    assert named == {
        "host": f"127.0.0.1:{scripted.port}",
        "accept": "*/*",
        "accept-encoding": "identity",
        "webhook-id": "k1",
        "content-length": "8",
    }
    assert scripted.bodies == [b'{"a": 1}']


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", Answered(200, "", b"hi")),
        (
            b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\ntransfer-encoding: chunked\r\n\r\n"
            b"2\r\nno\r\n3\r\n, n\r\n0\r\n\r\n",
            Answered(503, "7", b"no, n"),
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", Answered(204, "", b"")),
        (
            b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 409 No\r\ncontent-length: 0\r\n\r\n",
            Answered(409, "", b""),
        ),
    ],
)
async def test_every_way_to_answer_is_heard_and_the_connection_is_used_again(
    said: bytes, heard: Answered
) -> None:
    scripted = Scripted([said, OK])
    async with listening(scripted) as url:
        connections = Connections(url, None, 1)
        assert await post(connections) == heard
        assert (await post(connections)).status == 200
        await connections.close()
    assert scripted.connections == 1


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi",
            Answered(200, "", b"hi"),
        ),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nto the end", Answered(200, "", b"to the end")),
        (b"HTTP/1.0 200 OK\r\n\r\nold", Answered(200, "", b"old")),
    ],
)
async def test_a_receiver_that_hangs_up_is_called_again(said: bytes, heard: Answered) -> None:
    scripted = Scripted([said, OK], leaves_after=1)
    async with listening(scripted) as url:
        connections = Connections(url, None, 1)
        assert await post(connections) == heard
        assert (await post(connections)).status == 200
        await connections.close()
    assert scripted.connections == 2


async def test_a_connection_that_ended_while_it_rested_is_not_used() -> None:
    scripted = Scripted([OK, OK], leaves_after=1)
    async with listening(scripted) as url:
        connections = Connections(url, None, 1)
        assert (await post(connections)).status == 200
        await scripted.has_left.wait()
        assert (await post(connections)).status == 200
        await connections.close()
    assert scripted.connections == 2


async def test_what_nobody_asked_for_is_not_taken_for_the_next_answer() -> None:
    unasked = b"HTTP/1.1 500 Late\r\ncontent-length: 0\r\n\r\n"
    scripted = Scripted([OK, OK], adds=unasked)
    async with listening(scripted) as url:
        connections = Connections(url, None, 1)
        assert (await post(connections)).status == 200
        scripted.may_add.set()
        await scripted.has_added.wait()
        assert (await post(connections)).status == 200
        await connections.close()
    assert scripted.connections == 2


async def test_of_a_very_long_answer_nothing_is_believed_but_its_status() -> None:
    long = b"x" * (LONGEST_ANSWER + 1)
    said = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(long), long)
    scripted = Scripted([said, OK])
    async with listening(scripted) as url:
        connections = Connections(url, None, 1)
        assert await post(connections) == Answered(200, "", b"")
        assert (await post(connections)).status == 200
        await connections.close()


async def test_what_no_connection_was_made_for_has_reached_nobody() -> None:
    refusing = Scripted([b"HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n"], leaves_after=1)
    async with listening(refusing) as proxy:
        through = Connections("https://platform.example/", proxy.partition("/hook")[0], 1)
        for connections in (through, Connections("ftp://platform.example/", None, 1)):
            with pytest.raises(NoAnswer) as told:
                await post(connections)
            assert not told.value.was_sent
            await connections.close()


@pytest.mark.parametrize(
    ("setting", "written"),
    [
        *(("base", each) for each in ("nonsense", "ftp://x.example", "https://", "https://x.example/?a=1")),
        *(("proxy", each) for each in (":::", "127.0.0.1:3128", "http://x:port")),
        ("timeout", "31s"),
    ],
)
def test_what_no_request_can_be_made_with_is_refused_where_it_is_written(setting: str, written: str) -> None:
    with pytest.raises(ValidationError):
        DingTalkSettings.model_validate({"access_token": "t", setting: written})


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", b"SSH-2.0-OpenSSH\r\n\r\n"]
)
async def test_half_an_answer_or_none_is_no_answer(said: bytes) -> None:
    scripted = Scripted([said], leaves_after=1)
    async with listening(scripted) as url:
        connections = Connections(url, None, 1)
        with pytest.raises(NoAnswer) as told:
            await post(connections)
        await connections.close()
    assert told.value.was_sent, "it may have arrived"


async def test_one_who_waits_no_longer_leaves_no_answer_behind_for_the_next() -> None:
    scripted = Scripted([b"HTTP/1.1 200 OK\r\n", OK])
    async with listening(scripted) as url:
        connections = Connections(url, None, 1)
        waiting = asyncio.create_task(post(connections))
        await scripted.has_answered.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await post(connections)).status == 200
        await connections.close()
    assert scripted.connections == 2


async def test_nobody_there_and_no_such_name_mean_that_nothing_was_sent() -> None:
    async with listening(Scripted([OK])) as url:
        pass
    for address in (url, "http://nobody.invalid/"):
        connections = Connections(address, None, 1)
        with pytest.raises(NoAnswer, match="ConnectError") as told:
            await post(connections)
        assert not told.value.was_sent


async def test_over_tls_only_a_receiver_with_a_trusted_certificate_is_talked_to(tmp_path: Path) -> None:
    certificate = _certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    scripted = Scripted([OK, OK])
    async with listening(scripted, context) as url:
        connections = Connections(url, None, 1)
        with pytest.raises(NoAnswer, match="ConnectError"):
            await post(connections)
        assert scripted.heads == []
        connections._trusted.load_verify_locations(certificate)
        assert (await post(connections)).status == 200
        assert (await post(connections)).status == 200
        await connections.close()


async def test_a_proxy_is_asked_for_the_whole_address() -> None:
    proxy = Scripted([OK, OK])
    async with listening(proxy) as url:
        connections = Connections("http://u:p@shop.example/hook", url.removesuffix("/hook?a=1"), 1)
        assert (await post(connections)).status == 200
        assert (await post(connections)).status == 200
        await connections.close()
    assert proxy.connections == 1
    assert proxy.heads[0].startswith("POST http://shop.example/hook HTTP/1.1\r\n")
    assert proxy.heads[0].lower().count("host: shop.example\r\n") == 1
    assert "authorization: basic dtpw\r\n" in proxy.heads[0].lower()


def _certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "here.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file

"""E-mail over TLS with a log-in, against a real server with a certificate of its own."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.plugin import Accepted, Retry
from engine.plugin.testing import EXAMPLE_MESSAGE
from plugins.channels.email import EmailChannel, EmailSettings
from tests.plugins.conftest import MailServer

PASSWORD = "s3cr3t"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return path


@dataclass
class Locked:
    """A server that takes mail only after a log-in, and talks only inside TLS."""

    tls: str
    mail: MailServer
    tried: list[str] = field(default_factory=list)

    def log_in(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.tried.append(data.password.decode())
        return AuthResult(success=data.password.decode() == PASSWORD, handled=False)

    def protocol(self, context: ssl.SSLContext) -> SMTP:
        upgrades = self.tls == "starttls"
        with warnings.catch_warnings():
            # aiosmtpd warns of AUTH without STARTTLS; a line encrypted from the start it does not see.
            warnings.filterwarnings("ignore", "Requiring AUTH while not requiring TLS", UserWarning)
            return SMTP(
                self.mail,
                hostname="localhost",
                tls_context=context if upgrades else None,
                require_starttls=upgrades,
                authenticator=self.log_in,
                auth_required=True,
                auth_require_tls=upgrades,
            )


@pytest.fixture(params=["starttls", "implicit"])
async def locked(request: pytest.FixtureRequest, certificate: Path) -> AsyncIterator[Locked]:
    server = Locked(request.param, MailServer())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    listening = await asyncio.get_running_loop().create_server(
        lambda: server.protocol(context), "127.0.0.1", 0, ssl=context if server.tls == "implicit" else None
    )
    server.mail.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()
    await listening.wait_closed()


def channel_for(port: int, tls: str, password: str = PASSWORD) -> EmailChannel:
    return EmailChannel(
        EmailSettings.model_validate(
            {
                "host": "localhost",
                "port": port,
                "sender": "news@shop.example",
                "tls": tls,
                "username": "shop",
                "password": password,
            }
        )
    )


async def test_mail_goes_out_encrypted_after_a_log_in(
    locked: Locked, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    channel = channel_for(locked.mail.port, locked.tls)
    assert isinstance(await channel.send(EXAMPLE_MESSAGE, "one"), Accepted)
    assert isinstance(await channel.send(EXAMPLE_MESSAGE, "two"), Accepted)
    assert locked.tried == [PASSWORD], "one log-in served both"
    assert len(locked.mail.took) == 2
    await channel.close()


async def test_a_wrong_password_keeps_the_message_for_later(
    locked: Locked, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    channel = channel_for(locked.mail.port, locked.tls, password="wrong")
    assert await channel.send(EXAMPLE_MESSAGE, "k") == Retry(timedelta(minutes=1), "auth")
    assert locked.mail.took == []
    await channel.close()


async def test_a_server_nobody_vouches_for_never_sees_the_password(
    locked: Locked,
) -> None:
    channel = channel_for(locked.mail.port, locked.tls)
    assert await channel.send(EXAMPLE_MESSAGE, "k") == Retry(timedelta(minutes=1), "connection")
    assert locked.tried == []
    await channel.close()

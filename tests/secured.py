"""A broker that lets nobody in without TLS, a login and ACLs, with certificates made here; and the settings for it."""

import contextlib
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from stream import rights
from stream.broker import process
from tests import kafka

USERS = {"owner": "owner-secret", "douse": "douse-secret", "narrow": "narrow-secret"}
SCRAM = ("SCRAM-SHA-512", "SCRAM-SHA-256")
MODULE = "org.apache.kafka.common.security"
KINDS = {rights.TOPIC: 2, rights.GROUP: 3, rights.TRANSACTIONAL_ID: 5}  # Kafka's ResourceType
LITERAL, PREFIXED, ALLOW = 3, 4, 3


@dataclass(frozen=True)
class Authority:
    """Signs certificates for this host."""

    name: x509.Name
    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @classmethod
    def made(cls) -> "Authority":
        name, key = _named("test authority"), _key()
        return cls(name, key, _sign(name, name, key, key, 30, authority=True))

    def pair(self, days: int, whose: str = "127.0.0.1") -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
        """A key and its certificate, good for so many days from now on; a negative number is one that has ended."""
        key = _key()
        return key, _sign(_named(whose), self.name, key, self.key, days)


@dataclass(frozen=True)
class Secured:
    """The broker's addresses. `plain` is for the test itself, which may do everything there."""

    plain: str
    tls: str
    expired: str
    ca: Path

    def settings(self, folder: Path, user: str, **more: str) -> dict[str, str]:
        """The environment of a process that logs in as this user."""
        password = folder / f"{user}.password"
        password.write_text(USERS[user] + "\n")
        password.chmod(0o600)
        named = {
            "bootstrap": self.tls,
            "security_protocol": "SASL_SSL",
            "sasl_username": user,
            "sasl_password_file": str(password),
            "ssl_ca_file": str(self.ca),
            **more,
        }
        return {f"DOUSE_{name.upper()}": value for name, value in named.items()}

    async def allow(self, user: str, needs: tuple[rights.Need, ...]) -> None:
        """Grants exactly these."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.plain)
        await admin.start()
        try:
            for need in needs:
                pattern = PREFIXED if need.prefixed else LITERAL
                for operation in need.operations:
                    asked = (KINDS[need.kind], need.name, pattern, f"User:{user}", "*", rights.BITS[operation], ALLOW)
                    answer = await admin._send_to_controller(CreateAclsRequest(*asked))
                    assert all(code == 0 for code, _ in answer.creation_responses), answer
        finally:
            await admin.close()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Secured]:
    """The broker, with the users above; `owner` may do everything, the others what `allow` grants."""
    authority = Authority.made()
    ca = folder / "ca.pem"
    ca.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    for name, days in (("good", 10), ("expired", -1)):
        key, certificate = authority.pair(days)
        (folder / f"{name}.pem").write_bytes(pem(key) + certificate.public_bytes(Encoding.PEM) + ca.read_bytes())
    users = [f"{mechanism}=[name={name},password={secret}]" for mechanism in SCRAM for name, secret in USERS.items()]
    options = [word for user in users for word in ("--add-scram", user)]
    broker = process.Broker(folder / "kafka", kafka.jar_folder(), None, {}, options)
    tls, expired = process.free_ports(2)
    broker.config |= _config(folder, broker, tls, expired)
    try:
        broker.start()
        yield Secured(broker.bootstrap, f"127.0.0.1:{tls}", f"127.0.0.1:{expired}", ca)
    finally:
        broker.close()


def pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _config(folder: Path, broker: process.Broker, tls: int, expired: int) -> dict[str, str | int]:
    plain, controller = broker.identity.port, broker.identity.controller_port
    made: dict[str, str | int] = {
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},"
        f"SASL_SSL://127.0.0.1:{tls},EXPIRED://127.0.0.1:{expired}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,EXPIRED:SASL_SSL",
        "inter.broker.listener.name": "PLAINTEXT",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS;User:owner",
        "sasl.enabled.mechanisms": ",".join((*SCRAM, "PLAIN", "OAUTHBEARER")),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(folder / "good.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(folder / "ca.pem"),
        "listener.name.expired.ssl.keystore.type": "PEM",
        "listener.name.expired.ssl.keystore.location": str(folder / "expired.pem"),
    }
    plain_users = " ".join(f'user_{name}="{secret}"' for name, secret in USERS.items())
    logins = {
        "scram-sha-512": "scram.ScramLoginModule required",
        "scram-sha-256": "scram.ScramLoginModule required",
        "plain": f"plain.PlainLoginModule required {plain_users}",
        "oauthbearer": 'oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker"',
    }
    for listener in ("sasl_ssl", "expired"):
        for mechanism, login in logins.items():
            made[f"listener.name.{listener}.{mechanism}.sasl.jaas.config"] = f"{MODULE}.{login};"
    return made


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _sign(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPrivateKey,
    signer: rsa.RSAPrivateKey,
    days: int,
    authority: bool = False,
) -> x509.Certificate:
    end = datetime.now(UTC) + timedelta(days=days)
    builder = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(end - timedelta(days=60))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = builder.add_extension(here, critical=False)
    return builder.sign(signer, hashes.SHA256())

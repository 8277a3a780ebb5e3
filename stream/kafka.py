"""Where Kafka is and how it is reached: the arguments of every client, and what a refusal means in words.

Functions that need a broker take an Address: plain text for one without security, as tests and a laptop have it, or the
Cluster that the settings describe.
"""

import ssl
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)

from stream import security
from stream.broker.errors import BrokerError
from stream.settings import Settings
from stream.tokens import Client, TokenError, Tokens
from stream.trouble import OperatorNeededError

PROBE_MS = 5_000
ACLS = "docs/kafka.md lists what each app needs"
LOGIN_REFUSED = (SaslAuthenticationFailed, AuthenticationFailedError, IllegalSaslStateError)
MECHANISM_REFUSED = (UnsupportedSaslMechanismError, AuthenticationMethodNotSupported)
NO_LEAVE: dict[type[KafkaError], str] = {
    TopicAuthorizationFailedError: "topic",
    GroupAuthorizationFailedError: "group",
    ClusterAuthorizationFailedError: "cluster",
    TransactionalIdAuthorizationFailed: "transactional id",
}


class DeniedError(OperatorNeededError):
    """Kafka answers and does not let us in: a password, a certificate or an ACL has to change first."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One Kafka as the settings describe it. Its text is its addresses; no secret is ever part of it."""

    addresses: str
    protocol: str = "PLAINTEXT"
    mechanism: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    tokens: Tokens | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.addresses

    @property
    def who(self) -> str:
        """Whom the broker takes us for, as far as we can tell."""
        return f"user {self.username}" if self.username else "this client"


Address = str | Cluster


def cluster(settings: Settings) -> Cluster:
    """The Kafka of these settings. Raises DeniedError where a file has gone or changed since they were checked."""
    protocol = settings.security_protocol
    try:
        tls = security.context(asdict(settings))
        if not protocol.startswith("SASL_"):
            return Cluster(settings.bootstrap, protocol, tls=tls)
        given = settings.sasl_password
        if not given:
            assert settings.sasl_password_file is not None, "settings.load checks it"
            given = security.secret(settings.sasl_password_file)
    except (OSError, ValueError) as error:
        raise DeniedError(str(error)) from error
    name, mechanism = settings.sasl_username, settings.sasl_mechanism
    if mechanism == "OAUTHBEARER":
        client = Client(settings.oauth_token_url, name, given, settings.oauth_scope)
        return Cluster(settings.bootstrap, protocol, mechanism, name, tokens=Tokens(client), tls=tls)
    return Cluster(settings.bootstrap, protocol, mechanism, name, given, tls=tls)


def client(at: Address) -> dict[str, Any]:
    """The arguments with which every consumer, producer and admin client of aiokafka reaches this Kafka."""
    return {"bootstrap_servers": str(at), **_secured(at)}


def failed(error: Exception, at: Address, doing: str = "", topic: str = "") -> Exception:
    """What to raise for what a client raised: DeniedError where an ACL is missing, else BrokerError."""
    for kind, what in NO_LEAVE.items():
        if isinstance(error, kind):
            name = topic or ", ".join(_names(error))
            return DeniedError(
                f"{at} does not let {_who(at)} use {what} {name}".rstrip()
                + f"{f' ({doing})' if doing else ''}: an ACL is missing; {ACLS}"
            )
    return BrokerError(f"{doing} at {at}: {error}" if doing else f"the broker at {at} does not answer: {error}")


def hint(at: Address) -> str:
    """What silence may mean beside an absent broker: a port of another protocol just ends the connection."""
    spoken = at.protocol if isinstance(at, Cluster) else "PLAINTEXT"
    return "" if spoken == "PLAINTEXT" else f"; a port that does not speak {spoken} is silent as well"


async def refusal(at: Address) -> DeniedError | None:
    """Why the Kafka at this address does not let us in, asked once; None where it does, or does not answer at all."""
    if not isinstance(at, Cluster) or at.protocol == "PLAINTEXT":
        return None
    for address in str(at).split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            connection = await create_conn(host, int(port), request_timeout_ms=PROBE_MS, **_secured(at))
        except TokenError as error:
            return DeniedError(f"no access token for {at.who}: {error}; check oauth_token_url and the client's secret")
        except LOGIN_REFUSED as error:
            said = error.args[0] if error.args else error
            return DeniedError(
                f"{address} refuses the login of {at.who} by {at.mechanism} ({said}); correct sasl_username, or the "
                "password in sasl_password_file or DOUSE_SASL_PASSWORD"
            )
        except MECHANISM_REFUSED as error:
            said = error.args[0] if error.args else error
            return DeniedError(f"{address} has no login by {at.mechanism} ({said}); correct sasl_mechanism")
        except ssl.SSLError as error:
            return DeniedError(_tls_refused(address, host, int(port), error))
        except (KafkaError, OSError):
            continue
        connection.close()
    return None


def _secured(at: Address) -> dict[str, Any]:
    if not isinstance(at, Cluster):
        return {}
    login: dict[str, Any] = {}
    if at.tokens is not None:
        login = {"sasl_mechanism": at.mechanism, "sasl_oauth_token_provider": at.tokens}
    elif at.mechanism:
        login = {
            "sasl_mechanism": at.mechanism,
            "sasl_plain_username": at.username,
            "sasl_plain_password": at.password,
        }
    return {"security_protocol": at.protocol, "ssl_context": at.tls, **login}


def _who(at: Address) -> str:
    return at.who if isinstance(at, Cluster) else "this client"


def _names(error: Exception) -> list[str]:
    """The topics or groups that an error of aiokafka carries, in whichever form."""
    first = error.args[0] if error.args else ""
    return sorted(map(str, first)) if isinstance(first, set | frozenset | list | tuple) else [str(first)]


def _tls_refused(address: str, host: str, port: int, error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if "expired" in error.verify_message:
            return f"the certificate of {address} expired on {_expiry(host, port)}; whoever runs it has to renew it"
        return f"the certificate of {address} is not trusted: {error.verify_message}; correct ssl_ca_file or bootstrap"
    reason = error.reason or str(error)
    if "WRONG_VERSION" in reason or "RECORD_LAYER" in reason:
        return f"{address} does not speak TLS; use its TLS port, or another security_protocol"
    return f"{address} ends the TLS handshake: {reason}; it may ask for a client certificate: set ssl_cert_file"


def _expiry(host: str, port: int) -> str:
    """The last day of the certificate that the broker shows, which a failed handshake does not tell."""
    from cryptography import x509

    try:
        shown = x509.load_pem_x509_certificate(ssl.get_server_certificate((host, port), timeout=5).encode())
    except (OSError, ValueError):
        return f"a day before {datetime.now(UTC):%Y-%m-%d}"
    return f"{shown.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"

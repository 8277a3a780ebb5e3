"""How a connection to Kafka is secured, checked before the first connection: each mistake with its file and a way out.

A secret is read from a file that only its owner can read, or from the environment; it stands in no settings file.
"""

import ssl
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas.yamlfile import Problem

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
OTHERS = stat.S_IRWXG | stat.S_IRWXO
SECRET_BYTES_MAX = 64_000  # a client secret may be a signed token of some kB
PEM_BYTES_MAX = 4 << 20  # the bundle of all public authorities is 250 kB
Values = Mapping[str, Any]


def problems(values: Values, label: str) -> Iterator[Problem]:
    """What is wrong with these settings together. `label` names where they stand."""
    protocol = values["security_protocol"]
    for name, text in (*_login(values, protocol), *_tls(values, protocol)):
        yield Problem(label, 0, name, text)


def secret(path: Path) -> str:
    """The first line of a secret's file. Raises ValueError that says what is wrong, and never what stands there."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & OTHERS:
                raise ValueError(f"{path}: others can read this secret (mode {mode:04o}); run `chmod 600 {path}`")
            text = file.read(SECRET_BYTES_MAX).decode()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}; write the secret into it, mode 0600") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not text") from error
    first = text.split("\n", 1)[0].rstrip("\r")
    if not first:
        raise ValueError(f"{path}: its first line is empty; write the secret there")
    return first


def context(values: Values) -> ssl.SSLContext | None:
    """The TLS context for these settings; None where the protocol has no TLS. Raises OSError, ssl.SSLError."""
    if not values["security_protocol"].endswith("SSL"):
        return None
    made = ssl.create_default_context(cafile=values["ssl_ca_file"])
    made.check_hostname = values["ssl_check_hostname"]
    if values["ssl_cert_file"] is not None:
        # An encrypted key would ask at the terminal, where nobody sits.
        made.load_cert_chain(values["ssl_cert_file"], values["ssl_key_file"], password=lambda: "")
    return made


def _login(values: Values, protocol: str) -> Iterator[tuple[str, str]]:
    given = [name for name in ("sasl_username", "sasl_password", "sasl_password_file") if values[name]]
    if not protocol.startswith("SASL_"):
        if given:
            yield given[0], f"is not used by security_protocol {protocol}; write SASL_SSL, or leave it out"
        return
    if not values["sasl_username"]:
        yield "sasl_username", f"is missing; security_protocol {protocol} logs in with a name"
    if not values["sasl_password"] and values["sasl_password_file"] is None:
        yield "sasl_password_file", "is missing; name a file with the password, or set DOUSE_SASL_PASSWORD"
    if values["sasl_password_file"] is not None and not values["sasl_password"]:
        try:
            secret(values["sasl_password_file"])
        except ValueError as error:
            yield "sasl_password_file", str(error)
    oauth = values["sasl_mechanism"] == "OAUTHBEARER"
    if oauth and not values["oauth_token_url"]:
        yield "oauth_token_url", "is missing; OAUTHBEARER gets its tokens there"
    if not oauth and values["oauth_token_url"]:
        yield "oauth_token_url", f"is not used by sasl_mechanism {values['sasl_mechanism']}; write OAUTHBEARER"


def _tls(values: Values, protocol: str) -> Iterator[tuple[str, str]]:
    files = ("ssl_ca_file", "ssl_cert_file", "ssl_key_file")
    if not protocol.endswith("SSL"):
        for name in (name for name in files if values[name] is not None):
            yield name, f"is not used by security_protocol {protocol}; write SSL or SASL_SSL, or leave it out"
        return
    cert, key = values["ssl_cert_file"], values["ssl_key_file"]
    if cert is None and key is not None:
        yield "ssl_cert_file", "is missing; ssl_key_file belongs to a certificate"
    if cert is not None and key is None:
        yield "ssl_key_file", "is missing; ssl_cert_file needs the private key that belongs to it"
    wrong = [(name, text) for name in files if values[name] is not None and (text := _unusable(name, values[name]))]
    yield from wrong
    if wrong or (cert is None) != (key is None):
        return
    try:
        context(values)
    except (OSError, ValueError) as error:
        said = str(error)
        fits = "KEY_VALUES_MISMATCH" not in said and "key values mismatch" not in said
        text = f"{key}: is no private key in PEM without a password: {error}"
        yield "ssl_key_file", text if fits else f"{key}: does not belong to the certificate of {cert}"


def _unusable(name: str, path: Path) -> str:
    """Why the file cannot be what its setting says; empty where it can."""
    try:
        data = path.read_bytes()[:PEM_BYTES_MAX]
    except OSError as error:
        return f"{path}: cannot be read: {error.strerror}"
    if name == "ssl_key_file":
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & OTHERS:
            return f"{path}: others can read this private key (mode {mode:04o}); run `chmod 600 {path}`"
        return ""
    from cryptography import x509  # slow to import, and most settings need it not

    try:
        certificates = x509.load_pem_x509_certificates(data)
    except ValueError:
        return f"{path}: holds no certificate in PEM"
    return _out_of_date(path, certificates[0]) if name == "ssl_cert_file" or len(certificates) == 1 else ""


def _out_of_date(path: Path, certificate: Any) -> str:
    now = datetime.now(UTC)
    if certificate.not_valid_after_utc < now:
        return f"{path}: expired on {_day(certificate.not_valid_after_utc)}; get a new certificate"
    if certificate.not_valid_before_utc > now:
        return f"{path}: is valid only from {_day(certificate.not_valid_before_utc)}; check this host's clock"
    return ""


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"

"""Security settings that cannot work are refused before the first connection, each by its name and with a way out."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from stream import kafka, settings
from tests import secured

SASL = {"DOUSE_SECURITY_PROTOCOL": "SASL_SSL", "DOUSE_SASL_USERNAME": "douse", "DOUSE_SASL_PASSWORD": "hush-hush"}


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(**environment: str) -> list[str]:
    with pytest.raises(settings.BadSettingsError) as caught:
        settings.load(environment)
    return [str(problem) for problem in caught.value.problems]


def certificate(folder: Path, days: int, key_of_another: bool = False) -> dict[str, str]:
    authority = secured.Authority.made()
    key, made = authority.pair(days)
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "cert.key").write_bytes(secured.pem(authority.key if key_of_another else key))
    (folder / "cert.key").chmod(0o600)
    return {"DOUSE_SECURITY_PROTOCOL": "SSL", "DOUSE_SSL_CERT_FILE": "cert.pem", "DOUSE_SSL_KEY_FILE": "cert.key"}


def test_a_password_is_never_part_of_what_is_shown(work: Path) -> None:
    loaded = settings.load(SASL)
    at = kafka.cluster(loaded)
    assert kafka.client(at)["sasl_plain_password"] == "hush-hush"
    assert "hush-hush" not in f"{loaded!r} {at!r} {at}"
    (work / "douse.toml").write_text('sasl_password = "hush-hush"\n')
    [said] = refused()
    assert "does not stand in a settings file" in said
    assert "hush-hush" not in said


def test_a_password_file_is_read_by_its_owner_alone(work: Path) -> None:
    (work / "secret").write_text("hush-hush\n")
    (work / "secret").chmod(0o644)
    asked = {**SASL, "DOUSE_SASL_PASSWORD": "", "DOUSE_SASL_PASSWORD_FILE": "secret"}
    [said] = refused(**asked)
    assert "chmod 600 secret" in said
    (work / "secret").chmod(0o600)
    assert kafka.cluster(settings.load(asked)).password == "hush-hush"


def test_a_login_without_a_name_and_a_password_is_named_twice() -> None:
    said = refused(DOUSE_SECURITY_PROTOCOL="SASL_SSL")
    assert ["sasl_username" in said[0], "sasl_password_file" in said[1]] == [True, True]
    assert len(said) == 2


def test_what_the_protocol_does_not_use_is_a_mistake() -> None:
    assert "write SASL_SSL" in refused(DOUSE_SASL_USERNAME="douse")[0]
    assert "write OAUTHBEARER" in refused(**SASL, DOUSE_OAUTH_TOKEN_URL="https://login.example.com/token")[0]


def test_oauthbearer_needs_a_place_for_tokens() -> None:
    [said] = refused(**SASL, DOUSE_SASL_MECHANISM="OAUTHBEARER")
    assert "oauth_token_url" in said


def test_a_certificate_that_has_ended_is_named_with_its_day(work: Path) -> None:
    [said] = refused(**certificate(work, -1))
    assert "cert.pem: expired on 20" in said


def test_a_key_of_another_certificate_is_refused(work: Path) -> None:
    [said] = refused(**certificate(work, 10, key_of_another=True))
    assert "cert.key: does not belong to the certificate of cert.pem" in said


def test_a_certificate_and_its_key_make_a_context(work: Path) -> None:
    at = kafka.cluster(settings.load(certificate(work, 10)))
    assert at.protocol == "SSL"
    assert at.tls is not None


def test_a_missing_file_is_named(work: Path) -> None:
    [said] = refused(DOUSE_SECURITY_PROTOCOL="SSL", DOUSE_SSL_CA_FILE="ca.pem")
    assert "ca.pem: cannot be read: No such file" in said
    (work / "ca.pem").write_text("nothing")
    [said] = refused(DOUSE_SECURITY_PROTOCOL="SSL", DOUSE_SSL_CA_FILE="ca.pem")
    assert "holds no certificate" in said

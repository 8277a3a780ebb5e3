"""What looks like a secret is hidden; what does not stays readable."""

import pytest

from actuators.edits import secrets


@pytest.mark.parametrize(
    "name",
    ["password", "db_passwd", "apiKey", "API_KEY", "api-key", "token", "authToken", "SENTRY_DSN", "auth",
     "clientSecret", "credentials", "private_key", "oauth", "Authorization", "key"],
)  # fmt: skip
def test_names_of_secrets_are_known(name: str) -> None:
    assert secrets.named_like_one(name)


@pytest.mark.parametrize(
    "name", ["pool_size", "pool_name", "monkey", "keyboard", "search", "timeout_ms", "database", "spin"]
)
def test_ordinary_names_are_not(name: str) -> None:
    assert not secrets.named_like_one(name)


@pytest.mark.parametrize(
    "value",
    ["postgres://bob:pw@db/x", "ghp_abcdefghij", "AKIAIOSFODNN7EXAMPLE", "eyJhbGciOiJIUzI1NiJ9.x", "-----BEGIN KEY",
     "9f86d081884c7d659a2feaa0c55ad015", "aB3dE5gH7jK9mN1pQ3sT", "https://x/y?token=z"],
)  # fmt: skip
def test_forms_of_secrets_are_known(value: str) -> None:
    assert secrets.looks_like_one(value)


@pytest.mark.parametrize(
    "value", ["orders", "postgres://db/x", "127.0.0.1:8080", "read-replica-of-the-orders-database", "64"]
)
def test_ordinary_values_are_not(value: str) -> None:
    assert not secrets.looks_like_one(value)


def test_equal_secrets_have_equal_hashes_only_under_one_salt() -> None:
    assert secrets.hashed("x", b"1") == secrets.hashed("x", b"1")
    assert secrets.hashed("x", b"1") != secrets.hashed("x", b"2")
    assert "x" not in secrets.hashed("x", b"1").removeprefix("hash:")

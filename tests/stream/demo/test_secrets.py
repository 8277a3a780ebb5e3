"""The demo's search for planted secrets finds each of them, also inside a longer text."""

import json

from examples.acme import planted
from stream.demo import secrets


def test_every_secret_of_every_tenant_is_found_wherever_it_stands() -> None:
    wanted = secrets.pattern(["acme-corp", "globex"])
    for tenant in ("acme-corp", "globex"):
        for secret in planted.secrets(tenant):
            assert wanted.search(f"x{secret}y".encode())
            assert wanted.search(json.dumps({"said": f"token={secret}."}).encode())
            assert wanted.search(json.dumps(secret).replace("/", "\\/").encode())


def test_what_is_none_is_not_found() -> None:
    wanted = secrets.pattern(["acme-corp"])
    assert not wanted.search(b"token=<secret> of user <id>")
    assert not any(wanted.search(secret.encode()) for secret in planted.secrets("globex"))

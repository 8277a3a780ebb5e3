"""douse on a Kafka with TLS, logins and ACLs: with what docs/kafka.md lists it works, without it a line says why."""

import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stream import cli, keys, reach, rights, settings, topics
from stream.tokens import Client, TokenError, Tokens
from tests import secured
from tests.faults import harness
from tests.secured import Secured
from tests.stream.ingest import rig

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "acme" / "specs"
START_S = 90  # two workers and their groups, on a busy machine
APPS = ("ingest", "detect", "act", "operator")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured.running(tmp_path_factory.mktemp("secured")) as made:
        yield made


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    keys.init(tmp_path / "keys")
    return tmp_path


def douse(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments), env=environment)


def good(environment: dict[str, str], *arguments: str) -> str:
    result = douse(environment, *arguments)
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return result.output


def bad(environment: dict[str, str], *arguments: str, code: int = 78) -> str:
    result = douse(environment, *arguments)
    assert result.exit_code == code, (arguments, result.output, result.exception)
    lines = result.output.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def as_user(broker: Secured, folder: Path, user: str, prefix: str, **more: str) -> dict[str, str]:
    named = {"topic_prefix": prefix, "group_prefix": f"{prefix}g", "shards": "2", "start_from": "earliest"}
    return broker.settings(folder, user, **named, **more)


@contextmanager
def worker(app: str, folder: Path, environment: dict[str, str], code: int | None = None) -> Iterator[Path]:
    """The app as a process; the value is its log. With `code` it has to end by itself, with that one."""
    log = folder / f"{app}.log"
    with log.open("ab") as out:
        command = [sys.executable, "-m", "stream.cli", app]
        whole = {**os.environ, **environment, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=folder, env=whole, stdout=out, stderr=out)
    try:
        yield log
        if code is not None:
            assert process.wait(START_S) == code, log.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.proof
def test_with_the_listed_acls_the_commands_and_ingest_work(broker: Secured, work: Path, prefix: str) -> None:
    owner, mine = (as_user(broker, work, user, prefix) for user in ("owner", "douse"))
    good(owner, "topics", "create", "--sources")
    loaded = settings.load(mine)
    asyncio.run(broker.allow("douse", tuple(need for app in APPS for need in rights.needs(loaded, app))))
    good(owner, "topics", "check")
    good(mine, "specs", "apply", str(EXAMPLE))
    names = topics.names(prefix)
    headers = (("X-Scope-OrgID", b"acme"),)
    records = [rig.Sent(names.spans, 1, b"no otlp", b"a key", headers), rig.Sent(names.spans, 0, _span())]
    rig.produce(harness.World(broker.plain, prefix, work, 2), records)
    with worker("detect", work, mine) as detect_log, worker("ingest", work, mine) as log:
        harness.until(lambda: '"offset": 0' in douse(mine, "dead-letter", "list", "--json").output, str(log), START_S)
        _dead_letters(mine, names, broker)
        harness.until(lambda: _kinds(broker, names.journal) >= {b"telemetry", b"progress"}, str(log), START_S)
        harness.until(lambda: b"tick" in _kinds(broker, names.journal), str(detect_log), START_S)
        harness.until(lambda: _written(broker, names.status), str(detect_log), START_S)
        result = douse(mine, "doctor", "--json")
        if isinstance(result.exception, Exception):
            raise result.exception
        found = json.loads(result.output)
    assert not [one for one in found if one["level"] == "fail" and one["what"] != "topics"], found
    assert any(one["what"] == "acl" and one["level"] == "ok" for one in found), found
    assert next(one["text"] for one in found if one["what"] == "clock").startswith("this host is "), found
    assert {one["what"] for one in found} >= {"keys", "security", "broker", "acl", "lag", "clock", "freshness"}


def _span() -> bytes:
    import random

    return rig.traces(random.Random(1), 3).SerializeToString()


def _kinds(broker: Secured, topic: str) -> set[bytes]:
    async def read() -> set[bytes]:
        return {dict(stored.headers)["kind"] async for stored in reach.read(broker.plain, topic)}

    return asyncio.run(read())


def _written(broker: Secured, topic: str) -> bool:
    async def read() -> bool:
        return bool([stored async for stored in reach.read(broker.plain, topic)])

    return asyncio.run(read())


def _dead_letters(mine: dict[str, str], names: topics.Topics, broker: Secured) -> None:
    shown = good(mine, "dead-letter", "show", "0")
    assert "header X-Scope-OrgID: acme" in shown
    assert "no otlp" in shown
    assert "say --yes" in good(mine, "dead-letter", "requeue", "0")
    assert "requeued to" in good(mine, "dead-letter", "requeue", "0", "--yes")
    assert "was requeued before" in bad(mine, "dead-letter", "requeue", "0", "--yes")
    assert "no dead letter 99" in bad(mine, "dead-letter", "show", "99")

    async def read() -> list[reach.Stored]:
        return [stored async for stored in reach.read(broker.plain, names.spans) if stored.partition == 1]

    first, again = asyncio.run(read())
    assert (again.value, again.raw_key) == (first.value, first.raw_key)
    assert list(again.headers) == [*first.headers, ("requeued_from", f"{names.dead_letter}/0/0".encode())]


@pytest.mark.broker
def test_a_wrong_password_is_said_at_once(broker: Secured, work: Path, prefix: str) -> None:
    mine = {**as_user(broker, work, "douse", prefix), "DOUSE_SASL_PASSWORD": "not-the-password"}
    said = bad(mine, "incidents")
    assert "refuses the login of user douse by SCRAM-SHA-512" in said
    assert "not-the-password" not in said


@pytest.mark.broker
def test_a_missing_acl_is_named(broker: Secured, work: Path, prefix: str) -> None:
    good(as_user(broker, work, "owner", prefix), "topics", "create", "--sources")
    mine = as_user(broker, work, "narrow", prefix)
    assert "an ACL is missing" in bad(mine, "incidents")
    loaded = settings.load(mine)
    asyncio.run(broker.allow("narrow", rights.needs(loaded, "operator")))
    found = json.loads(douse(mine, "doctor", "--json").output)
    lacking = [one["text"] for one in found if one["what"] == "acl"]
    assert f"ingest: no WRITE on topic {prefix}douse.journal" in lacking
    assert f"detect: no WRITE on transactional id {prefix}g-detect-*" in lacking
    assert f"ingest: no READ on group {prefix}g-ingest" in lacking


@pytest.mark.broker
def test_a_worker_without_an_acl_ends_with_78_and_the_acls_name(broker: Secured, work: Path, prefix: str) -> None:
    good(as_user(broker, work, "owner", prefix), "topics", "create", "--sources")
    mine = as_user(broker, work, "narrow", prefix)
    wanted = rights.needs(settings.load(mine), "ingest")
    lacking = [need for need in wanted if need.name != f"{prefix}douse.journal"]
    seen = rights.Need(rights.TOPIC, f"{prefix}douse.journal", ("READ",))
    asyncio.run(broker.allow("narrow", (*lacking, seen)))
    with worker("ingest", work, mine, 78) as log:
        missing = f"ingest: no WRITE on topic {prefix}douse.journal: an ACL is missing"
        harness.until(lambda: missing in log.read_text(), str(log), START_S)


@pytest.mark.proof
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN", "OAUTHBEARER"])
def test_ingest_works_by_every_mechanism(broker: Secured, work: Path, prefix: str, mechanism: str) -> None:
    with authority({"access_token": token("owner"), "expires_in": 60}) as (url, _):
        more = {"oauth_token_url": url} if mechanism == "OAUTHBEARER" else {}
        own = as_user(broker, work, "owner", prefix, sasl_mechanism=mechanism, **more)
        good(own, "topics", "create", "--sources")
        good(own, "specs", "apply", str(EXAMPLE))
        names = topics.names(prefix)
        rig.produce(harness.World(broker.plain, prefix, work, 2), [rig.Sent(names.spans, 0, _span())])
        with worker("ingest", work, own) as log:
            harness.until(lambda: _kinds(broker, names.journal) >= {b"telemetry"}, str(log), START_S)


@pytest.mark.broker
def test_an_expired_certificate_is_said_with_its_day(broker: Secured, work: Path, prefix: str) -> None:
    said = bad(as_user(broker, work, "owner", prefix, bootstrap=broker.expired), "incidents")
    assert "expired on 20" in said


@pytest.mark.broker
def test_a_broker_of_another_authority_or_without_tls_is_said(broker: Secured, work: Path, prefix: str) -> None:
    own = as_user(broker, work, "owner", prefix)
    plain = douse({**own, "DOUSE_BOOTSTRAP": broker.plain}, "incidents", "--wait", "0")
    assert plain.exit_code == 69
    assert "a port that does not speak SASL_SSL is silent as well" in plain.output
    del own["DOUSE_SSL_CA_FILE"]
    assert "is not trusted" in bad(own, "incidents")


@pytest.mark.broker
def test_a_topic_that_is_not_there_and_a_broker_that_is_not_there(broker: Secured, work: Path, prefix: str) -> None:
    own = as_user(broker, work, "owner", prefix)
    assert "`douse topics create` makes ours" in bad(own, "incidents")
    nowhere = douse({**own, "DOUSE_BOOTSTRAP": "127.0.0.1:1"}, "incidents", "--wait", "0")
    assert nowhere.exit_code == 69
    assert "no broker answered at 127.0.0.1:1" in nowhere.output


@pytest.mark.broker
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN", "OAUTHBEARER"])
def test_every_mechanism_logs_in(broker: Secured, work: Path, prefix: str, mechanism: str) -> None:
    with authority({"access_token": token("owner"), "expires_in": 60}) as (url, _):
        more = {"oauth_token_url": url} if mechanism == "OAUTHBEARER" else {}
        own = as_user(broker, work, "owner", prefix, sasl_mechanism=mechanism, **more)
        assert "douse.journal: created" in good(own, "topics", "create")


def token(user: str) -> str:
    """An unsigned token (RFC 7515, alg none), which a test broker takes."""
    now = int(time.time())
    parts = ({"alg": "none"}, {"sub": user, "iat": now, "exp": now + 60})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


@contextmanager
def authority(answer: Any, status: int = 200) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A token server; the list gets the login and the form of each request."""
    asked: list[tuple[str, str]] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server asks for
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked.append((self.headers["Authorization"], form))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/token", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_token_is_asked_for_once_while_it_is_good_and_again_when_it_is_not() -> None:
    async def two(life_s: float) -> int:
        with authority({"access_token": "t", "expires_in": life_s}) as (url, asked):
            tokens = Tokens(Client(url, "douse", "hush", "kafka"))
            assert [await tokens.token(), await tokens.token()] == ["t", "t"]
            assert asked[0] == (
                f"Basic {base64.b64encode(b'douse:hush').decode()}",
                "grant_type=client_credentials&scope=kafka",
            )
            return len(asked)

    assert asyncio.run(two(60)) == 1
    assert asyncio.run(two(0)) == 2


@pytest.mark.parametrize(
    ("answer", "status", "said"), [({}, 200, "without an access_token"), ({}, 401, "answered 401")]
)
def test_no_token_is_an_error_of_kafka_that_names_the_server(answer: Any, status: int, said: str) -> None:
    async def one() -> None:
        with authority(answer, status) as (url, _), pytest.raises(TokenError, match=said) as caught:
            await Tokens(Client(url, "douse", "hush-hush")).token()
        assert url in str(caught.value)
        assert "hush-hush" not in str(caught.value)

    asyncio.run(one())

"""Templates of log lines: sentences and hosts survive, values and secrets do not."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import templates
from examples.acme import planted

# (the secret, the line around it): none may stand in the template, whole or in a part of eight characters.
PLANTED = [
    ("hunter2", "login failed, password=hunter2"),
    ("correcthorse", "password: correcthorse"),
    ("s3cr3t pass", 'config {"password": "s3cr3t pass"}'),
    ("swordfish", "the password is swordfish"),
    ("tiger", "connecting to postgres://scott:tiger@db.internal:5432/orders"),
    ("tiger", "jdbc:mysql://administrator:tiger@db.internal/shop failed"),
    ("tiger", "redis://:tiger@cache.internal refused"),
    ("AKIAIOSFODNN7EXAMPLE", "using AKIAIOSFODNN7EXAMPLE for the bucket"),
    ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "signing with wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY now"),
    ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "git pull with ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
    ("xoxb-not-a-real-slack-token", "posting with xoxb-not-a-real-slack-token"),
    ("sk_live_abcdefghijklmnop", "charge failed for sk_live_abcdefghijklmnop"),
    ("sk-abcdefghijklmnopqrst", "model call with sk-abcdefghijklmnopqrst"),
    ("AIzaSyAbcdefghijklmnopqrstuvwxyz", "maps key AIzaSyAbcdefghijklmnopqrstuvwxyz rejected"),
    ("glpat-abcdefghijklmnopqrst", "clone with glpat-abcdefghijklmnopqrst"),
    ("npm_abcdefghijklmnopqrst", "publish with npm_abcdefghijklmnopqrst"),
    ("hvs.CAESIabcdefgh", "vault said no to hvs.CAESIabcdefgh"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc is expired"),
    ("abcdef.ghijkl", "Authorization: Bearer abcdef.ghijkl"),
    ("zyxwvuts", "sent Bearer zyxwvuts to the peer"),
    ("dXNlcjpwYXNzd29yZA==", "authorization=Basic dXNlcjpwYXNzd29yZA=="),
    ("dXNlcjpwYXNzd29yZA==", "got Basic dXNlcjpwYXNzd29yZA== from the proxy"),
    ("abcdefgh", "x-api-key: abcdefgh"),
    ("abcdefgh", "api key: abcdefgh"),
    ("abcdefgh", "GET /cart?token=abcdefgh"),
    ("abcdefgh", 'Get "https://api.example/v1/me?access_token=abcdefgh": EOF'),
    ("abcdefgh", "https://app.example/cb#id_token=abcdefgh"),
    ("abcdefgh", "Set-Cookie: sid=abcdefgh; Path=/"),
    ("ijklmnop", "Cookie: a=abcdefgh; session=ijklmnop"),
    ("abcdefgh", "client_secret='abcdefgh'"),
    ("abcdefgh", "SESSION_ID=abcdefgh not found"),
    ("abcdefgh", "dbPassword=abcdefgh"),
    ("abcdefgh", "SENTRY_DSN=abcdefgh"),
    ("abcdefgh", '{\\"apiKey\\":\\"abcdefgh\\"}'),
    ("abcdefgh", '{"msg":"retry with token=abcdefgh"}'),
    ("abc def", '{"level":"error","secret":"abc def","msg":"x"}'),
    ("abcdefgh", "otp: abcdefgh was wrong"),
    ("123456", "pin 123456 was wrong"),
    ("4111111111111111", "card 4111111111111111 declined"),
    ("DE89370400440532013000", "transfer to DE89370400440532013000"),
    ("MIIEowIBAAKCAQEA", "-----BEGIN RSA PRIVATE KEY-----MIIEowIBAAKCAQEA"),
    ("MIIEowIBAAKCAQEA", "key file:\n-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA"),
    ("9f86d081884c7d659a2feaa0c55ad015", "hmac 9f86d081884c7d659a2feaa0c55ad015 differs"),
    ("qWmZkPfLxRtYbNcVhGsJ", "unlocked with qWmZkPfLxRtYbNcVhGsJ"),
    ("aGVsbG8gd29ybGQsIHRoaXMgaXMgYQ==", "payload aGVsbG8gd29ybGQsIHRoaXMgaXMgYQ== refused"),
    ("550e8400-e29b-41d4-a716-446655440000", "reset link 550e8400-e29b-41d4-a716-446655440000"),
    ("jane.doe", "mail to jane.doe@example.com bounced"),
    ("my dog rex", 'secret answer was "my dog rex"'),
    ("my dog rex", "secret answer was 'my dog rex"),
    ("globex", "tenant globex is over its quota"),
    ("globex", "quota exceeded tenant_id=globex"),
    ("winter-jcMSkEUEbkeg", "renewed winter-jcMSkEUEbkeg for a user"),
    ("aR/esUZkxhOs/MNlReowSVvj", "no route to postgresql://reader:aR/esUZkxhOs/MNlReowSVvj@replica:5432/shop"),
    ("gtWh5/pEJDMFqw8/Zx3+abc1", "renewed gtWh5/pEJDMFqw8/Zx3+abc1 for a user"),
    ("tiger", "KeyError: 'tiger'"),
    ("tiger", "invalid value “tiger” given"),
]


def test_at_least_fifty_secrets_are_planted() -> None:
    assert len(PLANTED) >= 50


@pytest.mark.parametrize(("secret", "line"), PLANTED)
def test_a_secret_in_a_line_is_not_in_its_template(secret: str, line: str) -> None:
    masked = templates.mask(line)
    assert secret not in masked, masked
    for start in range(len(secret) - 7):
        assert secret[start : start + 8] not in masked, masked


@pytest.mark.parametrize(("secret", "line"), PLANTED)
@pytest.mark.parametrize("around", ["{}", "while handling: {} (attempt 3)", '{{"msg": "{}"}}', "[main] WARN {}"])
def test_a_secret_stays_hidden_whatever_stands_around_it(secret: str, line: str, around: str) -> None:
    if '"{}"' not in around:
        assert secret not in templates.mask(around.format(line))
    assert secret not in templates.mask(around.format(json.dumps(line)[1:-1]))


@pytest.mark.parametrize("tenant", ["acme-corp", "north", "globex"])
def test_what_the_example_writes_to_its_logs_is_hidden_in_every_line(tenant: str) -> None:
    for secret in planted.secrets(tenant):
        for number in range(6):
            masked = " ".join(map(templates.mask, planted.line(number, secret)))
            assert not any(secret[start : start + 8] in masked for start in range(len(secret) - 7)), masked


@pytest.mark.parametrize(
    ("line", "template"),
    [
        ("request 17 done", "request <n> done"),
        (
            "call to payments.partner.example failed after 3012 ms: timed out",
            "call to payments.partner.example failed after <n> ms: timed out",
        ),
        (
            'Get "https://payments.partner.example/v1/charge?id=5": context deadline exceeded',
            'Get "https://payments.partner.example/v1/charge?<query>": context deadline exceeded',
        ),
        ("no answer from api2.partner.example:443", "no answer from api2.partner.example:<n>"),
        ("pool payments-7f9c4d8b.svc.local is slow", "pool <id>.svc.local is slow"),
        ("dial tcp 10.1.2.3:5432: refused", "dial tcp <ip>:<n>: refused"),
        ("peer fe80::1 and ::1 left", "peer <ip> and <ip> left"),
        ("at 2026-01-02T03:04:05.678Z it broke", "at <time> it broke"),
        ("took 1.5s, 93.5% of 12KB", "took <n>s, <n>% of <n>KB"),
        ("key 'abc' not found, don't ask", "key <str> not found, don't ask"),
        ("/srv/app/data/file", "/srv/app/data/file"),
        ("GET /users/123/orders", "GET /users/<n>/orders"),
        (
            '{"level":"error","msg":"charge failed for payments.partner.example"}',
            '{"level":<str>,"msg":"charge failed for payments.partner.example"}',
        ),
        ("java.sql.SQLTransientConnectionException: pool", "java.sql.SQLTransientConnectionException: pool"),
        (
            "OrderRepository.findByIdAndName in OpenTelemetryHTTPClient",
            "OrderRepository.findByIdAndName in OpenTelemetryHTTPClient",
        ),
        ("connection_pool_timeout_exceeded downstream", "connection_pool_timeout_exceeded downstream"),
        ("\x1b[31mERROR\x1b[0m it\tbroke\x07", "ERROR it broke"),
        ("first line\nsecond line", "first line"),
        ('Traceback (most recent call last):\n  File "x.py"\nValueError: bad', "ValueError: bad"),
        ("", templates.NO_TEXT),
        (" \n ", templates.NO_TEXT),
    ],
)
def test_words_and_hosts_stay_and_values_go(line: str, template: str) -> None:
    assert templates.mask(line) == template


def test_lines_that_differ_in_values_alone_share_a_template() -> None:
    lines = [f"order {n} of user u{n}x took {n * 3} ms from 10.0.0.{n % 256}" for n in range(500)]
    assert len({templates.mask(line) for line in lines}) == 1


LETTERS = st.text(st.sampled_from("abcXYZ019 .:/-_=@?#'\"`{}[](),;<>%\\\n\té“”"), max_size=120)


@given(LETTERS)
@settings(max_examples=400, deadline=None)
def test_the_quick_way_finds_what_the_whole_expression_finds(text: str) -> None:
    line = templates._line(text)
    if templates._is_plain(line):
        plain = [(m.span(), m.lastgroup) for m in templates._PLAIN_PIECES.finditer(line)]
        assert plain == [(m.span(), m.lastgroup) for m in templates._PIECES.finditer(line)]


WORDS = [
    "failed",
    "pin",
    "user",
    "token",
    "auth",
    "tenant",
    "basic",
    "bearer",
    "is",
    "tiger",
    ":",
    " : ",
    " ",
    "7",
    ".",
]


@given(st.lists(st.sampled_from(WORDS), max_size=16))
@settings(max_examples=400, deadline=None)
def test_the_quick_way_is_never_taken_where_a_key_may_name_a_secret(words: list[str]) -> None:
    line = "".join(words)
    if templates._is_plain(line):
        assert {m.lastgroup for m in templates._PIECES.finditer(line)} <= {"time", "ip", "word"}


@given(st.text(max_size=3000))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_a_printable_template_within_its_bound(text: str) -> None:
    masked = templates.mask(text)
    assert 0 < len(masked) <= templates.TEMPLATE_CHARS_MAX
    assert masked.isprintable()
    assert masked == templates.mask(text)


@given(st.text(st.sampled_from("0123456789"), min_size=3, max_size=30), LETTERS)
@settings(max_examples=200, deadline=None)
def test_no_run_of_three_digits_survives(digits: str, text: str) -> None:
    masked = templates.mask(f"{text} {digits}")
    assert not any(masked[place : place + 3].isdigit() for place in range(len(masked)))

"""Whatever the format: one value changes, secrets stay in, our own change goes back, and a refusal says why."""

import pytest

from actuators.edits import document
from actuators.edits.spans import Edit, Refused
from schemas import actuator
from schemas.commands import OutcomeReason
from tests.actuators.edits import edited
from tests.actuators.edits.edited import SALT

KEY = "database.replica.pool_size"
TOML = b"""# the shop
[database.replica]
pool_name = "orders"   # as in the dashboard
pool_size = 32  # connections
password = "hunter2"

[endpoints]
search = true
"""
JSON = b"""{
  // the shop
  "database": {"replica": {
    "pool_name": "orders",
    "pool_size": 32, /* connections */
    "password": "hunter2",
  }},
  "endpoints": {"search": true}
}
"""
YAML = b"""# the shop
database:
  replica:
    pool_name: orders   # as in the dashboard
    pool_size: 32  # connections
    password: hunter2

endpoints: {search: true}
"""
FILES = {"shop.toml": TOML, "shop.json": JSON, "shop.jsonc": JSON, "shop.yaml": YAML, "shop.YML": YAML}
each_format = pytest.mark.parametrize("name", FILES)


def test_the_formats_are_those_that_an_actuator_may_name() -> None:
    assert tuple(document.FORMATS) == actuator.SUFFIXES


@each_format
def test_only_the_value_changes(name: str) -> None:
    content = FILES[name]
    edit = edited.put(content, KEY, 64, name)
    assert edit.content == content.replace(b"32", b"64")
    assert (edit.before, edit.after, edit.raw_before, edit.raw_after) == (32, 64, b"32", b"64")


@each_format
def test_line_ends_the_byte_order_mark_and_a_missing_last_newline_stay(name: str) -> None:
    content = document.BOM + FILES[name].replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    assert edited.put(content, KEY, 64, name).content == content.replace(b"32", b"64")


@each_format
def test_the_diff_shows_the_change_and_hides_the_secret_beside_it(name: str) -> None:
    diff = edited.put(FILES[name], KEY, 64, name).diff
    old, new = ([line for line in diff.splitlines() if line.startswith(sign)] for sign in ("-", "+"))
    assert (old[0], new[0]) == (f"--- a/{name}", f"+++ b/{name}")
    assert "32" in old[1]
    assert new[1:] == [old[1].replace("32", "64").replace("-", "+", 1)]
    assert "hunter2" not in diff
    assert "hash:" in diff


@each_format
def test_a_secret_that_is_set_is_hidden_before_and_after(name: str) -> None:
    edit = edited.put(FILES[name], "database.replica.password", "correct horse", name)
    assert edit.content == FILES[name].replace(b"hunter2", b"correct horse")
    assert "hunter2" not in edit.diff
    assert "correct horse" not in edit.diff
    assert edit.diff.count("hash:") == 2


@each_format
def test_the_hash_of_a_secret_depends_on_the_salt(name: str) -> None:
    other = document.set_value(FILES[name], KEY, 64, b"other", name)
    assert isinstance(other, Edit)
    assert other.diff != edited.put(FILES[name], KEY, 64, name).diff


SECRETS = (
    "summer19",
    "builder1",
    "carol99",
    "line one11",
    "line two22",
    "tok-55",
    "kube66",
    "dash77",
    "wide88",
    "flag99",
)
HOLDERS = {
    "a.toml": b'# old password = "summer19"\n'
    b'peers = ["a", "https://bob:builder1@db/x", "API_TOKEN=dash77"]\n'
    b'[auth]\nuser = "carol99"\n'
    b'[[users]]\nmail = "d"\napi_key = """\nline one11\nline two22\n"""\n'
    b'inline = {name = "e", token = "tok-55"}\n'
    b'[[env]]\nname = "DB_PASSWORD"\nvalue = "kube66"\n'
    b'[note]\ntext = "db_password: wide88"\n'
    b'args = ["--db-password", # the old one\n"flag99"]\n'
    b"[pool]\nsize = 1\n",
    "a.json": b'{// old password = "summer19"\n'
    b'"peers": ["a", "https://bob:builder1@db/x", "API_TOKEN=dash77"],\n'
    b'"auth": {"user": "carol99"},\n'
    b'"users": [{"mail": "d", "api_key": ["line one11",\n"line two22"]},\n'
    b'{"name": "e", "token": "tok-55"}],\n'
    b'"env": [{"name": "DB_PASSWORD", "value": "kube66"}],\n'
    b'"note": "db_password: wide88",\n'
    b'"args": ["--db-password", // the old one\n"flag99"],\n'
    b'"pool": {\n"size": 1}}\n',
    "a.yaml": b"# old password = summer19\n"
    b"peers: [a, https://bob:builder1@db/x, API_TOKEN=dash77]\n"
    b"auth:\n  user: carol99\n"
    b"users:\n- mail: d\n  api_key: |\n    line one11\n    line two22\n"
    b"- {name: e, token: tok-55}\n"
    b"env:\n- name: DB_PASSWORD\n  value: kube66\n"
    b"note: 'db_password: wide88'\n"
    b"args:\n- --db-password # the old one\n- flag99\n"
    b"pool:\n  size: 1\n",
}


@pytest.mark.parametrize("name", HOLDERS)
@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_are_hidden_wherever_they_stand(name: str, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actuators.edits.masking.CONTEXT_LINES", 100)
    diff = edited.put(HOLDERS[name], "pool.size", 2, name).diff
    assert diff.count("\n") > HOLDERS[name].count(b"\n"), "the whole file is shown"
    assert secret.encode() in HOLDERS[name]
    assert secret not in diff


def test_a_secret_that_an_alias_uses_is_hidden_where_its_anchor_stands() -> None:
    content = b"first: &p hunter2\nall: &q {user: hunter3}\npool: 1\nuse:\n  token: *p\nauth:\n  <<: *q\n"
    diff = edited.put(content, "pool", 2, "a.yaml").diff
    assert " first: hash:" in diff
    assert " all: hash:" in diff
    assert "hunter" not in diff


def test_line_numbers_of_the_diff_are_those_of_the_file() -> None:
    toml = b'key = """\n1\n2\n3\n"""\n\n\n\n\n[pool]\nsize = 1\n'
    assert "@@ -8,4 +8,4 @@" in edited.put(toml, "pool.size", 2, "a.toml").diff
    yaml = b"key: |\n  1\n  2\n  3\n\n\n\n\n\npool:\n  size: 1\n"
    assert "@@ -8,4 +8,4 @@" in edited.put(yaml, "pool.size", 2, "a.yaml").diff


@each_format
def test_put_back_leaves_what_somebody_else_has_written(name: str) -> None:
    edit = edited.put(FILES[name], KEY, 64, name)
    touched = edit.content.replace(b"true", b"false")
    back = document.put_back(touched, KEY, 64, 32, edit.raw_before, SALT, name)
    assert isinstance(back, Edit)
    assert back.content == FILES[name].replace(b"true", b"false")


@each_format
def test_put_back_is_refused_where_our_value_does_not_stand_any_more(name: str) -> None:
    touched = FILES[name].replace(b"32", b"48")
    back = document.put_back(touched, KEY, 64, 32, b"32", SALT, name)
    assert isinstance(back, Refused)
    assert back.reason is OutcomeReason.PRE_IMAGE_CHANGED


@pytest.mark.parametrize("raw", [b"64\nmore = 1", b"64 }", b"63", b"'64'", b"32"])
@pytest.mark.parametrize(
    ("name", "module"), [("shop.toml", "toml"), ("shop.json", "jsonfile"), ("shop.yaml", "yamlfile")]
)
def test_what_would_not_be_read_back_as_that_one_change_is_refused(
    name: str, module: str, raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"actuators.edits.{module}.written", lambda _value, _raw: (raw,))
    detail = edited.refused(FILES[name], KEY, 64, name).detail
    assert "more than database.replica.pool_size would change" in detail or "would not be" in detail
    monkeypatch.setattr(f"actuators.edits.{module}.written", lambda _value, _raw: (raw, b"64"))
    assert edited.put(FILES[name], KEY, 64, name).raw_after == b"64", "the next way to write it is taken"


@each_format
def test_a_refusal_does_not_quote_the_file(name: str) -> None:
    broken = FILES[name].replace(b"hunter2", b"hunter2 ' \" : oops")
    assert "hunter2" not in edited.refused(broken, KEY, 64, name).detail


@pytest.mark.parametrize(
    ("key", "value", "reason", "says"),
    [
        (KEY, 32, OutcomeReason.NO_CHANGE, "is 32 already"),
        (KEY, "64", OutcomeReason.EDIT_REFUSED, "the type must stay"),
        (KEY, True, OutcomeReason.EDIT_REFUSED, "the type must stay"),
        (KEY, 2**63, OutcomeReason.EDIT_REFUSED, "the most that every reader of"),
        ("database.replica", 1, OutcomeReason.EDIT_REFUSED, "is a table"),
        ("database.primary.x", 1, OutcomeReason.KEY_MISSING, "there is no database.primary"),
        (f"{KEY}.x", 1, OutcomeReason.KEY_MISSING, f"there is no {KEY}.x"),
        ("endpoints.search", 1, OutcomeReason.EDIT_REFUSED, "the type must stay"),
        ("database.replica.pool_name", "\ud800", OutcomeReason.EDIT_REFUSED, "not Unicode"),
        ("", 1, OutcomeReason.EDIT_REFUSED, "not a dotted path"),
    ],
)
@each_format
def test_what_cannot_be_set_is_refused(name: str, key: str, value: int | str, reason: OutcomeReason, says: str) -> None:
    answer = edited.refused(FILES[name], key, value, name)
    assert answer.reason is reason
    assert says in answer.detail


@pytest.mark.parametrize("name", ["shop.ini", "shop", "toml", "shop.toml.bak"])
def test_a_file_of_another_format_is_refused(name: str) -> None:
    assert "ends in none of .toml, .json" in edited.refused(TOML, KEY, 64, name).detail


@each_format
def test_a_file_beyond_the_limit_is_refused(name: str) -> None:
    assert "more than" in edited.refused(b" " * (1 << 20) + FILES[name], KEY, 64, name).detail

"""Setting one value of a TOML file changes that value and not one byte beside it."""

import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actuators.edits import toml
from actuators.edits.spans import Edit, Refused, Value
from schemas.commands import OutcomeReason

SALT = b"salt"
CONFIG = b"""# the shop
[database.replica]
pool_name = "orders"   # as in the dashboard
pool_size = 32  # connections
password = "hunter2"

[endpoints]
search = true
"""


def put(content: bytes, key: str, value: Value) -> Edit:
    edit = toml.set_value(content, key, value, SALT, "shop.toml")
    assert isinstance(edit, Edit), edit
    return edit


def refused(content: bytes, key: str, value: Value) -> Refused:
    edit = toml.set_value(content, key, value, SALT, "shop.toml")
    assert isinstance(edit, Refused), edit
    return edit


def test_only_the_value_changes() -> None:
    edit = put(CONFIG, "database.replica.pool_size", 64)
    assert edit.content == CONFIG.replace(b"pool_size = 32", b"pool_size = 64")
    assert (edit.before, edit.after, edit.raw_before, edit.raw_after) == (32, 64, b"32", b"64")


def test_the_diff_shows_the_change_and_hides_the_secret_beside_it() -> None:
    diff = put(CONFIG, "database.replica.pool_size", 64).diff
    assert "-pool_size = 32  # connections\n+pool_size = 64  # connections\n" in diff
    assert "hunter2" not in diff
    assert " password = hash:" in diff
    assert diff.startswith("--- a/shop.toml\n+++ b/shop.toml\n@@ -1,7 +1,7 @@\n")


def test_a_secret_that_is_set_is_hidden_before_and_after() -> None:
    edit = put(CONFIG, "database.replica.password", "correct horse")
    assert "hunter2" not in edit.diff
    assert "correct horse" not in edit.diff
    assert edit.diff.count("password = hash:") == 2


def test_the_hash_of_a_secret_depends_on_the_salt() -> None:
    other = toml.set_value(CONFIG, "database.replica.pool_size", 64, b"other", "shop.toml")
    assert isinstance(other, Edit)
    assert other.diff != put(CONFIG, "database.replica.pool_size", 64).diff


def test_secrets_are_hidden_wherever_they_stand() -> None:
    content = (
        b'# old password = "summer19"\n'
        b'peers = ["a", "https://bob:builder1@db/x"]\n'
        b'[auth]\nuser = "carol99"\n'
        b'[[users]]\nmail = "d"\napi_key = """\nline one11\nline two22\n"""\n'
        b'inline = {name = "e", token = "tok-55"}\n'
        b"[pool]\nsize = 1\n"
    )
    for size in range(4):
        lines = b"\n" * size  # whatever the context of the hunk shows
        diff = put(content.replace(b"[pool]", lines + b"[pool]"), "pool.size", 2).diff
        for secret in ("summer19", "builder1", "carol99", "line one11", "line two22", "tok-55"):
            assert secret not in diff


def test_line_numbers_of_the_diff_are_those_of_the_file() -> None:
    content = b'key = """\n1\n2\n3\n"""\n\n\n\n\n[pool]\nsize = 1\n'
    assert "@@ -8,4 +8,4 @@" in put(content, "pool.size", 2).diff


@pytest.mark.parametrize(
    ("content", "key", "value", "expected"),
    [
        (b"a = 0x1F", "a", 255, b"a = 0xFF"),
        (b"a = 0x0010", "a", 255, b"a = 0x00ff"),
        (b"a = 0b101", "a", 2, b"a = 0b010"),
        (b"a = 1_000", "a", 2_000_000, b"a = 2_000_000"),
        (b"a = +3", "a", 4, b"a = +4"),
        (b"a = -3", "a", -4, b"a = -4"),
        (b"a = 'x'", "a", "y", b"a = 'y'"),
        (b"a = 'x'", "a", "it's", b'a = "it\'s"'),
        (b'a = "x"', "a", 'say "hi"\n', b'a = "say \\"hi\\"\\n"'),
        (b'a = """x"""', "a", "y", b'a = """y"""'),
        (b"a = '''x'''", "a", "it's", b"a = '''it's'''"),
        (b"a = true # on", "a", False, b"a = false # on"),
        (b"a.b.c = 1\r\na.b.d = 2\r\n", "a.b.c", 3, b"a.b.c = 3\r\na.b.d = 2\r\n"),
        (b"a = {b = {c = 1}, d = 2}", "a.b.c", 3, b"a = {b = {c = 3}, d = 2}"),
        (b'["x.y"]\n"z w" = 1', '"x.y"."z w"', 2, b'["x.y"]\n"z w" = 2'),
        (b"\xef\xbb\xbfa = 1\n", "a", 2, b"\xef\xbb\xbfa = 2\n"),
        (b"a = nan\nb = 1", "b", 2, b"a = nan\nb = 2"),
        (b"[[t]]\na = 1\n[u]\na = 1\n", "u.a", 2, b"[[t]]\na = 1\n[u]\na = 2\n"),
    ],
)
def test_the_style_of_the_old_value_is_kept(content: bytes, key: str, value: Value, expected: bytes) -> None:
    assert put(content, key, value).content == expected


@pytest.mark.parametrize(
    ("content", "key", "value", "reason", "says"),
    [
        (b"a = 1\na = 2\n", "a", 3, OutcomeReason.EDIT_REFUSED, "not TOML: line 2"),
        (b"a = 1", "b", 3, OutcomeReason.KEY_MISSING, "there is no b"),
        (b"[a]\nb = 1", "a.c", 3, OutcomeReason.KEY_MISSING, "there is no a.c"),
        (b"[[a]]\nb = 1", "a.b", 3, OutcomeReason.EDIT_REFUSED, "a is an array"),
        (b"a = [1, 2]", "a", 3, OutcomeReason.EDIT_REFUSED, "a is an array"),
        (b"[a]\nb = 1", "a", 3, OutcomeReason.EDIT_REFUSED, "a is a table"),
        (b"a = 1.5", "a", 3, OutcomeReason.EDIT_REFUSED, "a is a float"),
        (b"a = 1", "a", "1", OutcomeReason.EDIT_REFUSED, "the type must stay"),
        (b"a = 1", "a", True, OutcomeReason.EDIT_REFUSED, "the type must stay"),
        (b"a = 1", "a", 2**63, OutcomeReason.EDIT_REFUSED, "64 bits"),
        (b"a = 1", "a", 1, OutcomeReason.NO_CHANGE, "is 1 already"),
        (b"a = 1", "a = 5\nb", 1, OutcomeReason.EDIT_REFUSED, "not a dotted path"),
        (b"a = 1", "", 1, OutcomeReason.EDIT_REFUSED, "not a dotted path"),
        (b"\xff", "a", 1, OutcomeReason.EDIT_REFUSED, "not TOML"),
        (b"a = " + b"[" * 5000, "a", 1, OutcomeReason.EDIT_REFUSED, "not TOML"),
        (b"a = 1\n#" + b"x" * (1 << 20), "a", 2, OutcomeReason.EDIT_REFUSED, "more than"),
    ],
)
def test_what_is_not_certain_is_refused(
    content: bytes, key: str, value: Value, reason: OutcomeReason, says: str
) -> None:
    answer = refused(content, key, value)
    assert answer.reason is reason
    assert says in answer.detail


def test_a_refusal_does_not_quote_the_file() -> None:
    assert "hunter2" not in refused(b'password = "hunter2" oops', "password", "x").detail


def test_put_back_leaves_what_somebody_else_has_written() -> None:
    edit = put(CONFIG, "database.replica.pool_size", 64)
    touched = edit.content.replace(b"search = true", b"search = false")
    back = toml.put_back(touched, "database.replica.pool_size", 64, 32, edit.raw_before, SALT, "x")
    assert isinstance(back, Edit)
    assert back.content == CONFIG.replace(b"search = true", b"search = false")


def test_put_back_is_refused_where_our_value_does_not_stand_any_more() -> None:
    touched = CONFIG.replace(b"32", b"48")
    back = toml.put_back(touched, "database.replica.pool_size", 64, 32, b"32", SALT, "x")
    assert isinstance(back, Refused)
    assert back.reason is OutcomeReason.PRE_IMAGE_CHANGED


BARE = st.from_regex(r"[a-zA-Z0-9_-]{1,6}", fullmatch=True)
SPACE = st.sampled_from(["", " ", "\t", "  "])
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="'\"\\"), max_size=8)
SCALARS = st.one_of(
    st.integers(-(10**9), 10**9).map(lambda n: (str(n), n)),
    st.integers(0, 10**6).map(lambda n: (f"0x{n:08x}", n)),
    st.integers(10**3, 10**9).map(lambda n: (f"{n:_}", n)),
    st.booleans().map(lambda b: ("true" if b else "false", b)),
    WORDS.map(lambda s: (f'"{s}"', s)),
    WORDS.map(lambda s: (f"'{s}'", s)),
    WORDS.map(lambda s: (f'"""\\\n  {s}"""', None)),
    WORDS.map(lambda s: (f"'''\n{s}'''", s)),
    st.sampled_from([("nan", None), ("1.5e3", None), ("1979-05-27", None), ("[1, # x\n 2]", None), ("{}", None)]),
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, Value]]]:
    """A TOML file with tables, inline tables, comments and odd spaces, and the values in it that may be set."""
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    settable: list[tuple[str, Value]] = []
    lines: list[str] = []

    def pairs(above: str, names: list[str]) -> None:
        for name in names:
            raw, value = draw(SCALARS)
            if draw(st.integers(0, 9)) == 0 and "\n" not in raw:
                raw, path = f"{{{draw(SPACE)}in = {raw}{draw(SPACE)}, z = 1}}", f"{above}{name}.in"
            else:
                path = f"{above}{name}"
            if value is not None:
                settable.append((path, value))
            comment = draw(st.sampled_from(["", " # note", " # password = 1", "\t#"]))
            lines.append(f"{draw(SPACE)}{name}{draw(SPACE)}={draw(SPACE)}{raw}{comment}")

    pairs("", draw(st.lists(BARE, max_size=4, unique=True)))
    tables = draw(st.lists(BARE, max_size=3, unique=True))
    used = {path.split(".")[0] for path, _ in settable} | {line.split("=")[0].strip() for line in lines}
    for table in tables:
        if table in used:
            continue
        lines.append(draw(st.sampled_from(["", "# comment", "  "])))
        lines.append(f"{draw(SPACE)}[{draw(SPACE)}{table}{draw(SPACE)}]")
        pairs(f"{table}.", draw(st.lists(BARE, max_size=4, unique=True)))
    text = newline.join("\n".join(lines).split("\n")) + draw(st.sampled_from(["", newline]))
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.encode(), settable


def another(value: Value, draw: Callable[..., Any]) -> Value:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        number: int = draw(st.integers(-(2**63), 2**63 - 1).filter(lambda n: n != value))
        return number
    text: str = draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=9).filter(lambda s: s != value))
    return text


@given(st.data())
def test_outside_the_value_not_one_byte_changes_and_back_gives_the_very_bytes(data: st.DataObject) -> None:
    content, settable = data.draw(documents())
    if not settable:
        return
    key, old = data.draw(st.sampled_from(settable))
    new = another(old, data.draw)
    edit = put(content, key, new)
    at = next(
        n
        for n in range(len(content) + 1)
        if edit.content == content[:n] + edit.raw_after + content[n + len(edit.raw_before) :]
    )
    assert content[at : at + len(edit.raw_before)] == edit.raw_before
    tree: Any = tomllib.loads(edit.content.removeprefix(b"\xef\xbb\xbf").decode())
    for segment in key.split("."):
        tree = tree[segment]
    assert type(tree) is type(new)
    assert tree == new
    back = toml.put_back(edit.content, key, new, old, edit.raw_before, SALT, "x")
    assert isinstance(back, Edit)
    assert back.content == content


@given(st.binary(max_size=60), st.text(max_size=10), st.integers(0, 9))
def test_any_bytes_are_edited_rightly_or_refused(content: bytes, key: str, value: int) -> None:
    edit = toml.set_value(content, key, value, SALT, "x")
    if isinstance(edit, Edit):
        assert toml.read_value(edit.content, key) == value

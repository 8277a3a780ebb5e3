"""Setting one value of a TOML file changes that value and not one byte beside it."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuators.edits import document, toml
from actuators.edits.spans import Edit, Value
from schemas.commands import OutcomeReason
from tests.actuators.edits import edited
from tests.actuators.edits.edited import BARE, BOM, SALT, SPACE, WORDS

NAME = "shop.toml"


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
    assert edited.put(content, key, value, NAME).content == expected


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
        (b"a = 1", "a", 2**63, OutcomeReason.EDIT_REFUSED, "beyond 9223372036854775807"),
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
    answer = edited.refused(content, key, value, NAME)
    assert answer.reason is reason
    assert says in answer.detail


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
    return draw(BOM) + text.encode(), settable


@settings(edited.UNHURRIED)
@given(st.data())
def test_outside_the_value_not_one_byte_changes_and_back_gives_the_very_bytes(data: st.DataObject) -> None:
    content, settable = data.draw(documents())
    if not settable:
        return
    key, old = data.draw(st.sampled_from(settable))
    assert document.read_value(content, key, NAME) == old
    new = edited.another(old, data.draw, toml.INTEGER_MAX)
    edited.only_the_value_changes(content, key, new, NAME, tomllib.loads)


@settings(edited.UNHURRIED)
@given(st.binary(max_size=60), st.text(max_size=10), st.integers(0, 9))
def test_any_bytes_are_edited_rightly_or_refused(content: bytes, key: str, value: int) -> None:
    edit = document.set_value(content, key, value, SALT, NAME)
    if isinstance(edit, Edit):
        assert document.read_value(edit.content, key, NAME) == value

"""Setting one value of a YAML file changes that value and not one byte beside it."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from actuators.edits import document, yamlfile
from actuators.edits.spans import Edit, Value
from schemas.commands import OutcomeReason
from tests.actuators.edits import edited
from tests.actuators.edits.edited import BOM, SALT, WORDS

NAME = "values.yaml"
SHARED = b"d: &d {x: 1}\na:\n  <<: *d\n  p: 1\nc: *d\ne: 2\n"


@pytest.mark.parametrize(
    ("content", "key", "value", "expected"),
    [
        (b"a: 1 # c\r\nb: x", "a", 2, b"a: 2 # c\r\nb: x"),
        (
            b"a:\n    b:\n    # note\n\n      c: x   # y\nd:\n",
            "a.b.c",
            "z",
            b"a:\n    b:\n    # note\n\n      c: z   # y\nd:\n",
        ),
        (b"a: {b: 'x', \"c\": [1, {d: 2}], e: y}", "a.b", "z", b"a: {b: 'z', \"c\": [1, {d: 2}], e: y}"),
        (b'{"a": 1, "b": "x"}', "b", "y", b'{"a": 1, "b": "y"}'),
        (b"a: linear", "a", "exponential", b"a: exponential"),
        (b"a: x", "a", "two words", b"a: two words"),
        (b"a: x\n  y\nb: 1", "a", "z", b"a: z\nb: 1"),
        (b"a: x", "a", "64", b"a: '64'"),
        (b"a: x", "a", "yes", b"a: 'yes'"),
        (b"a: x", "a", "NO", b"a: 'NO'"),
        (b"a: x", "a", "y", b"a: 'y'"),
        (b"a: x", "a", "null", b"a: 'null'"),
        (b"a: x", "a", "", b"a: ''"),
        (b"a: x", "a", "b: c", b"a: 'b: c'"),
        (b"a: x", "a", "b #c", b"a: 'b #c'"),
        (b"a: x", "a", "b\n", b'a: "b\\n"'),
        (b"a: 'x'", "a", "it's", b"a: 'it''s'"),
        (b"a: 'x'", "a", "\t", b'a: "\\t"'),
        (b'a: "x"', "a", 'say "hi" \\ \x85', b'a: "say \\"hi\\" \\\\ \\x85"'),
        (b"a: true", "a", False, b"a: false"),
        (b"a: True", "a", False, b"a: False"),
        (b"a: yes", "a", False, b"a: no"),
        (b"a: OFF", "a", True, b"a: ON"),
        (b"a: 0x1F", "a", 255, b"a: 0xFF"),
        (b"a: 017", "a", 8, b"a: 010"),
        (b"a: 0b101", "a", 2, b"a: 0b010"),
        (b"a: 1_000", "a", 2_000_000, b"a: 2_000_000"),
        (b"a: +3", "a", 4, b"a: +4"),
        (b"a: |\n  b: 1\nb: 1", "b", 2, b"a: |\n  b: 1\nb: 2"),
        (b"? a\n: 1\n? b\n: 2\n", "a", 3, b"? a\n: 3\n? b\n: 2\n"),
        (b"'a.b': {c d: 1}", '"a.b"."c d"', 2, b"'a.b': {c d: 2}"),
        (b'"\\u0061": 1', "a", 2, b'"\\u0061": 2'),
        (b"a: {x, y: 1, z: }\nb:\n", "a.y", 2, b"a: {x, y: 2, z: }\nb:\n"),
        (b"on: 1\n8080: 2\na: 3\n", "a", 4, b"on: 1\n8080: 2\na: 4\n"),
        (b"- 1\n---\na: 1\n---\n---\nb: 1\n", "b", 2, b"- 1\n---\na: 1\n---\n---\nb: 2\n"),
        (b"%YAML 1.1\n---\na: 1\n...\n", "a", 2, b"%YAML 1.1\n---\na: 2\n...\n"),
        (SHARED, "e", 3, SHARED.replace(b"e: 2", b"e: 3")),
    ],
)
def test_the_style_of_the_old_value_is_kept(content: bytes, key: str, value: Value, expected: bytes) -> None:
    assert edited.put(content, key, value, NAME).content == expected


BOMB = b"a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (level, level, b", ".join([b"*a%d" % (level - 1)] * 9)) for level in range(1, 9)
)


@pytest.mark.parametrize(
    ("content", "key", "says"),
    [
        (b"a: 1\na: 1", "a", "line 1: in the mapping that begins here a key stands twice"),
        (b"a: 1\nb:\n- {c: 1, c: 2}", "a", "line 3: in the mapping that begins here a key stands twice"),
        (b"a: 1\n? [b]\n: 1", "a", "is no single word"),
        (SHARED, "d.x", "d is anchored"),
        (SHARED, "a.p", "a is merged from another mapping"),
        (SHARED, "a.x", "a is merged from another mapping"),
        (SHARED, "c.x", "c is an alias"),
        (b"a: &x 1\nb: *x", "a", "a is anchored"),
        (b"a: &x 1", "a", "a is anchored"),
        (b"a: &x 1\nb: *x", "b", "b is an alias"),
        (b"a: 1\n&x b: 1", "a", "line 2: a key is an alias, anchored or a block of lines"),
        (b"a: 1\nb: &x c\n*x : 1", "a", "line 3: a key is an alias, anchored or a block of lines"),
        (b"a: 1\n? |-\n  b\n: 1", "a", "line 2: a key is an alias, anchored or a block of lines"),
        (b"a: !!int 1", "a", "line 1: tags are not read"),
        (b"a: 1\nb: !Ref x", "a", "line 2: tags are not read"),
        (BOMB + b"a: 1", "a", "more than 100000 values when its aliases are written out"),
        (b"a: 1\nb: &b [*b]", "a", "line 2: an alias of what is not there"),
        (b"a: 1\nb: *b", "a", "line 2: an alias of what is not there"),
        (b"a: 1\n---\na: 2", "a", "a stands in 2 documents"),
        (b"a: 1\nb: " + b"[" * 70 + b"]" * 70, "a", "line 2: nested deeper than 64 levels"),
        (b"a: 1\nb: " + b"{" * 50_000, "a", "line 2: nested deeper than 64 levels"),
        (b"a: 1\nb: 2001-99-99", "a", "not YAML: ValueError"),
        (b"a: 1\nb: [", "a", "not YAML: line 2, column 5"),
        (b"a: 1\nb: \x00", "a", "not YAML: ReaderError"),
        (b"a: \xff", "a", "not YAML: UnicodeDecodeError"),
        (b"a: 1.5", "a", "a is a float"),
        (b"a: ~", "a", "a is null"),
        (b"a: 2001-01-01", "a", "a is a date"),
        (b"a: [1]", "a", "a is an array"),
        (b"a:\n- b: 1", "a.b", "a is an array"),
        (b"- a: 1", "a", "the document is an array"),
        (b"a: 1:30", "a", "base 60"),
        (b"a: 0o17", "a", "a is a string, the new value is an integer"),
        (b"a: 1\n#" + b"x" * (128 << 10), "a", "more than 131072"),
    ],
)
def test_what_is_not_certain_is_refused(content: bytes, key: str, says: str) -> None:
    answer = edited.refused(content, key, 7, NAME)
    assert answer.reason is OutcomeReason.EDIT_REFUSED
    assert says in answer.detail


@pytest.mark.parametrize("raw", ["|\n  x\n", ">-\n  x\n  y\n", "|2+\n  x\n\n"])
def test_a_block_of_lines_is_not_written_again(raw: str) -> None:
    answer = edited.refused(f"a: {raw}b: 1\n".encode(), "a", "z", NAME)
    assert "a: the value is a block of lines" in answer.detail


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"a: 1\n---\nb: 1\n", b"8080: 1\n"])
def test_a_key_that_is_nowhere_is_missing(content: bytes) -> None:
    answer = edited.refused(content, "8080", 1, NAME)
    assert answer.reason is OutcomeReason.KEY_MISSING
    assert "there is no 8080" in answer.detail


NAMES = st.sampled_from(["a", "b", "name", "token", "k1", "x-y", "on", "two words", "'q.r'", '"s\\tt"'])
PLAIN = st.from_regex(r"[A-Za-z][A-Za-z0-9/_.-]{0,8}( [a-z]{1,3})?", fullmatch=True)
SINGLE = WORDS.map(lambda s: "'" + s + "'")
FLOW = st.one_of(
    st.integers(-(10**9), 10**9).map(str),
    st.integers(0, 10**6).map(lambda n: f"0x{n:06X}"),
    st.integers(0, 10**6).map(lambda n: f"0{n:o}"),
    st.integers(10**3, 10**9).map(lambda n: f"{n:_}"),
    st.sampled_from(["true", "False", "yes", "NO", "On", "off", "~", "", "1.5", ".nan", "2001-01-01", "1:30"]),
    PLAIN,
    SINGLE,
    WORDS.map(lambda s: f'"{s}\\n"'),
)
COMMENTS = st.sampled_from(["", "", " # note", "   # password = 1: {"])


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """A YAML file in block style with flow values, comments, blocks of lines, anchors and aliases."""
    lines: list[str] = []
    anchors = 0

    def mapping(indent: int, depth: int) -> None:
        nonlocal anchors
        step = draw(st.integers(1, 4))
        for name in draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)):
            head = " " * indent + name + draw(st.sampled_from([":", " :"]))
            if draw(st.integers(0, 5)) == 0:
                lines.append(draw(st.sampled_from(["", "  # between", "# left"])))
            match draw(st.integers(0, 9)):
                case 0 | 1 if depth < 3:
                    lines.append(head + draw(COMMENTS))
                    mapping(indent + step, depth + 1)
                case 2 if depth < 3:
                    lines.append(head)
                    items = draw(st.lists(st.tuples(FLOW, COMMENTS), min_size=1, max_size=2))
                    lines.extend(" " * (indent + step) + "- " + raw + comment for raw, comment in items)
                case 3:
                    inner = draw(st.lists(st.tuples(NAMES, FLOW), max_size=3, unique_by=lambda pair: pair[0]))
                    lines.append(f"{head} {{{', '.join(f'{key}: {raw}' for key, raw in inner)}}}{draw(COMMENTS)}")
                case 4:
                    lines.append(head + draw(st.sampled_from([" |", " >-"])))
                    lines.extend(" " * (indent + step) + line for line in ("some: lines # here", "more"))
                case 5:
                    anchors += 1
                    lines.append(f"{head} &n{anchors} {draw(FLOW)}")
                case 6 if anchors:
                    lines.append(f"{head} *n{draw(st.integers(1, anchors))}")
                case _:
                    lines.append(f"{head} {draw(FLOW)}{draw(COMMENTS)}")

    mapping(0, 0)
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    start = draw(st.sampled_from(["", "", "# top\n", "---\n", "%YAML 1.1\n---\n", "other: 1\n---\n"]))
    text = (start + "\n".join(lines)).replace("\n", newline) + draw(st.sampled_from(["", newline]))
    return draw(BOM) + text.encode()


def settable(tree: Any, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(tree, dict):
        return [above] if isinstance(tree, int | str) and above else []
    return [path for key, inner in tree.items() if isinstance(key, str) for path in settable(inner, (*above, key))]


@settings(edited.UNHURRIED)
@given(st.data())
def test_outside_the_value_not_one_byte_changes_and_back_gives_the_very_bytes(data: st.DataObject) -> None:
    content = data.draw(documents())
    tree = list(yaml.safe_load_all(content.removeprefix(document.BOM).decode()))[-1]
    paths = settable(tree)
    if not paths:
        return
    path = data.draw(st.sampled_from(paths))
    key = ".".join('"' + step.replace("\t", "\\t") + '"' for step in path)
    old = tree
    for step in path:
        old = old[step]
    new = edited.another(old, data.draw, yamlfile.INTEGER_MAX)
    edit = document.set_value(content, key, new, SALT, NAME)
    if isinstance(edit, Edit):
        edited.only_the_value_changes(content, key, new, NAME, lambda text: list(yaml.safe_load_all(text))[-1])
    else:
        assert any(why in edit.detail for why in ("anchored", "alias", "block of lines", "base 60")), edit


@settings(edited.UNHURRIED)
@given(st.binary(max_size=60) | st.text("{}[]\",:'#&*!|>-?%@ \t\n\ra1", max_size=40).map(str.encode), st.integers(0, 9))
def test_any_bytes_are_edited_rightly_or_refused(content: bytes, value: int) -> None:
    edit = document.set_value(content, "a", value, SALT, NAME)
    if isinstance(edit, Edit):
        assert document.read_value(edit.content, "a", NAME) == value

"""Setting one value of a JSON file, with or without comments, changes that value and not one byte beside it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuators.edits import document, jsonfile
from actuators.edits.spans import Edit, Value
from schemas.commands import OutcomeReason
from tests.actuators.edits import edited
from tests.actuators.edits.edited import BOM, SALT, WORDS

NAME = "client.json"


@pytest.mark.parametrize(
    ("content", "key", "value", "expected"),
    [
        (b'{"a":1}', "a", -2, b'{"a":-2}'),
        (b'{"a": "linear"}', "a", "exponential", b'{"a": "exponential"}'),
        (b'{"a": true }', "a", False, b'{"a": false }'),
        (b'{"a": "x"}', "a", 'say "hi"\n\\', b'{"a": "say \\"hi\\"\\n\\\\"}'),
        (b'{"a": "x"}', "a", "é", '{"a": "é"}'.encode()),
        (b'{"a": "\\u00e8"}', "a", "é", b'{"a": "\\u00e9"}'),
        (b'{"a.b": {"c d": 1}}', '"a.b"."c d"', 2, b'{"a.b": {"c d": 2}}'),
        (b'{"\\u0061": 1}', "a", 2, b'{"\\u0061": 2}'),
        (b'{"a": [{"b": 1}], "b": 1}', "b", 2, b'{"a": [{"b": 1}], "b": 2}'),
        (b'{"a": {"b": 1}, "c": {"b": 1}}', "c.b", 2, b'{"a": {"b": 1}, "c": {"b": 2}}'),
        (b'// "a": 0\n{"a": 1, /* "a": 3 */}', "a", 2, b'// "a": 0\n{"a": 2, /* "a": 3 */}'),
        (b'{"a": "/* no */ // no, }", "b": [1, 2,],}', "a", ",]", b'{"a": ",]", "b": [1, 2,],}'),
        (b'{"a": 1 // one\r\n, "b": 2}\r\n', "b", 3, b'{"a": 1 // one\r\n, "b": 3}\r\n'),
        (b'{"a": 1, "b": "\\ud800"}', "a", 2, b'{"a": 2, "b": "\\ud800"}'),
        (b'{"a": 1e400, "b": 1}', "b", 2, b'{"a": 1e400, "b": 2}'),
    ],
)
def test_the_style_of_the_file_is_kept(content: bytes, key: str, value: Value, expected: bytes) -> None:
    assert edited.put(content, key, value, NAME).content == expected


@pytest.mark.parametrize(
    ("content", "key", "value", "reason", "says"),
    [
        (b'{"a": 1, "a": 1}', "a", 2, OutcomeReason.EDIT_REFUSED, "a key stands twice"),
        (b'{"a": 1, "b": [{"c": 1, "c": 2}]}', "a", 2, OutcomeReason.EDIT_REFUSED, "a key stands twice"),
        (b'{"a": NaN}', "a", 2, OutcomeReason.EDIT_REFUSED, "NaN is no number"),
        (b'{"a": 1, "b": -Infinity}', "a", 2, OutcomeReason.EDIT_REFUSED, "-Infinity is no number"),
        (b'{"a": 1.0}', "a", 2, OutcomeReason.EDIT_REFUSED, "a is a float"),
        (b'{"a": null}', "a", 2, OutcomeReason.EDIT_REFUSED, "a is null"),
        (b'{"a": 1}', "a", 2**53, OutcomeReason.EDIT_REFUSED, "beyond 9007199254740991"),
        (b'{"a": "\\ud800"}', "a", "x", OutcomeReason.EDIT_REFUSED, "not Unicode"),
        (b'{"a": [1]}', "a.b", 2, OutcomeReason.EDIT_REFUSED, "a is an array"),
        (b'[{"a": 1}]', "a", 2, OutcomeReason.EDIT_REFUSED, "the document is an array"),
        (b"1", "a", 2, OutcomeReason.KEY_MISSING, "there is no a"),
        (b'{"a": 1} {"b": 1}', "a", 2, OutcomeReason.EDIT_REFUSED, "not JSON: line 1, column 10"),
        (b'{"a": 1,,}', "a", 2, OutcomeReason.EDIT_REFUSED, "not JSON: line 1, column 9"),
        (b'{"a": 1, "b": [,]}', "a", 2, OutcomeReason.EDIT_REFUSED, "not JSON"),
        (b'{,"a": 1}', "a", 2, OutcomeReason.EDIT_REFUSED, "not JSON"),
        (b'{"a": 1} /* open', "a", 2, OutcomeReason.EDIT_REFUSED, "not JSON"),
        (b"{'a': 1}", "a", 2, OutcomeReason.EDIT_REFUSED, "not JSON"),
        (b'{"a": 1, "b": "x // \n"}', "a", 2, OutcomeReason.EDIT_REFUSED, "not JSON"),
        (b'{"a": \xff}', "a", 2, OutcomeReason.EDIT_REFUSED, "not JSON: UnicodeDecodeError"),
        (b'{"a": 1, "b": ' + b"9" * 5_000 + b"}", "a", 2, OutcomeReason.EDIT_REFUSED, "not JSON: ValueError"),
        (b'{"a": 1, "b": ' + b"[" * 70 + b"]" * 70 + b"}", "a", 2, OutcomeReason.EDIT_REFUSED, "deeper than 64"),
        (b'{"a": 1, "b": ' + b"[" * 100_000, "a", 2, OutcomeReason.EDIT_REFUSED, "not JSON"),
        (b"", "a", 2, OutcomeReason.EDIT_REFUSED, "not JSON"),
    ],
)
def test_what_is_not_certain_is_refused(
    content: bytes, key: str, value: Value, reason: OutcomeReason, says: str
) -> None:
    answer = edited.refused(content, key, value, NAME)
    assert answer.reason is reason
    assert says in answer.detail


GAPS = st.sampled_from(["", " ", "\n", "\r\n\t", " // note\n", " // password = 1, }\r\n", '/* "x": 1, ] */', "/**/"])
KEYS = st.one_of(st.sampled_from(["a", "b", "name", "value", "token"]), WORDS)
SCALARS = st.one_of(
    st.integers(-(2**53) + 1, 2**53 - 1).map(lambda n: (str(n), n)),
    st.booleans().map(lambda b: ("true" if b else "false", b)),
    WORDS.map(lambda s: (json.dumps(s, ensure_ascii=False), s)),
    WORDS.map(lambda s: (json.dumps(s + '"\\\n//'), s + '"\\\n//')),
    st.sampled_from([("null", None), ("1.5e3", None), ("[]", None), ("{ }", None)]),
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[bytes, str, list[tuple[str, Value]]]:
    """A JSON file with comments, trailing commas and odd spaces; the same without them; what of it may be set."""
    settable: list[tuple[str, Value]] = []

    def value(path: tuple[str, ...], depth: int, in_array: bool) -> tuple[str, str]:
        kind = draw(st.integers(0, 9)) if depth < 3 else 9
        if kind > 4 and depth > 0:
            raw, plain = draw(SCALARS)
            if plain is not None and not in_array:
                settable.append((".".join(json.dumps(step, ensure_ascii=False) for step in path), plain))
            return raw, raw
        array = kind == 4
        keys = draw(st.lists(KEYS, max_size=4, unique=True))
        inner = [value(path if array else (*path, key), depth + 1, in_array or array) for key in keys]
        names = ["" if array else json.dumps(key, ensure_ascii=draw(st.booleans())) for key in keys]
        ends = "[]" if array else "{}"
        whole = ("," + draw(GAPS)).join(
            f"{name}{'' if array else draw(GAPS) + ':'}{draw(GAPS)}{raw}{draw(GAPS)}"
            for name, (raw, _) in zip(names, inner, strict=True)
        )
        comma = draw(st.sampled_from(["", ","])) + draw(GAPS) if inner else ""
        plain = ",".join(name + ("" if array else ":") + each for name, (_, each) in zip(names, inner, strict=True))
        return f"{ends[0]}{draw(GAPS)}{whole}{comma}{ends[1]}", f"{ends[0]}{plain}{ends[1]}"

    whole, plain = value((), 0, False)
    return draw(BOM) + (draw(GAPS) + whole + draw(GAPS)).encode(), plain, settable


@settings(edited.UNHURRIED)
@given(st.data())
def test_outside_the_value_not_one_byte_changes_and_back_gives_the_very_bytes(data: st.DataObject) -> None:
    content, plain, settable = data.draw(documents())
    if not settable:
        return
    key, old = data.draw(st.sampled_from(settable))
    assert document.read_value(content, key, NAME) == old
    new = edited.another(old, data.draw, jsonfile.INTEGER_MAX)
    edited.only_the_value_changes(content, key, new, NAME, lambda text: json.loads(jsonfile.plain(text.encode())[0]))
    assert json.loads(jsonfile.plain(content.removeprefix(document.BOM))[0]) == json.loads(plain)


@settings(edited.UNHURRIED)
@given(st.binary(max_size=60) | st.text('{}[]",:/*\\ \na1', max_size=40).map(str.encode), st.integers(0, 9))
def test_any_bytes_are_edited_rightly_or_refused(content: bytes, value: int) -> None:
    edit = document.set_value(content, "a", value, SALT, NAME)
    if isinstance(edit, Edit):
        assert document.read_value(edit.content, "a", NAME) == value

"""One edit and what must be true of it, for the tests of every format."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from actuators.edits import document
from actuators.edits.spans import Edit, Refused, Value
from schemas import keypath

SALT = b"salt"
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
SPACE = st.sampled_from(["", " ", "\t", "  "])
BARE = st.from_regex(r"[a-zA-Z0-9_-]{1,6}", fullmatch=True)
LETTERS = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="'\"\\\ufeff")
WORDS = st.text(LETTERS, max_size=8)
BOM = st.sampled_from([b"", document.BOM])


def put(content: bytes, key: str, value: Value, name: str) -> Edit:
    edit = document.set_value(content, key, value, SALT, name)
    assert isinstance(edit, Edit), edit
    return edit


def refused(content: bytes, key: str, value: Value, name: str) -> Refused:
    edit = document.set_value(content, key, value, SALT, name)
    assert isinstance(edit, Refused), edit
    return edit


def another(value: Value, draw: Callable[..., Any], integer_max: int) -> Value:
    """A value of the same type that differs."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        number: int = draw(st.integers(-integer_max, integer_max).filter(lambda n: n != value))
        return number
    text: str = draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=9).filter(lambda s: s != value))
    return text


def only_the_value_changes(content: bytes, key: str, new: Value, name: str, load: Callable[[str], Any]) -> None:
    """Outside the value not one byte differs, an independent reading has it, and the old bytes come back."""
    old = document.read_value(content, key, name)
    assert not isinstance(old, Refused), old
    edit = put(content, key, new, name)
    at = next(
        n
        for n in range(len(content) + 1)
        if edit.content == content[:n] + edit.raw_after + content[n + len(edit.raw_before) :]
    )
    assert content[at : at + len(edit.raw_before)] == edit.raw_before
    tree = load(edit.content.removeprefix(document.BOM).decode())
    for segment in keypath.read(key):
        tree = tree[segment]
    assert type(tree) is type(new)
    assert tree == new
    back = document.put_back(edit.content, key, new, old, edit.raw_before, SALT, name)
    assert isinstance(back, Edit)
    assert back.content == content

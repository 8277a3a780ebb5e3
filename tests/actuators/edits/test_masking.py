"""What is named like a secret, at any depth and in any format, is not in the diff; nor is what a comment assigns."""

import json
from typing import Any
from unittest import mock

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from actuators.edits import masking
from tests.actuators.edits import edited

HUSH = "hush"
ORDINARY = st.sampled_from(["a", "size", "name", "value", "two words", "x.y", 'q"'])
SECRET = st.sampled_from(["password", "apiKey", "db_token", "my secret", "AUTH"])
SCALARS = st.one_of(st.integers(0, 99), st.booleans(), st.sampled_from(["plain", "it's: #1", "a\nb"]))
HUSHED = st.sampled_from([HUSH, f"{HUSH} two", f"1\n{HUSH}", f"'{HUSH}\" # {HUSH}"])


def nested(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=6,
    )


HIDDEN = st.dictionaries(SECRET, nested(HUSHED, ORDINARY), min_size=1, max_size=2)
NAMED = st.builds(lambda name, value: {"name": name, "value": value}, SECRET, nested(HUSHED, ORDINARY))
TREES = st.recursive(
    SCALARS | HIDDEN | NAMED,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ORDINARY, inner, max_size=3),
    max_leaves=10,
)


def toml(tree: Any) -> str:
    match tree:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in tree.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, tree)) + "]"
        case _:
            return json.dumps(tree)


def texts(tree: Any) -> Any:
    """The tree with nothing but strings: a quoted number would be written with a tag."""
    match tree:
        case dict():
            return {key: texts(inner) for key, inner in tree.items()}
        case list():
            return [texts(inner) for inner in tree]
        case _:
            return str(tree)


@st.composite
def files(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file of any of the formats whose secrets all hold HUSH, with one more in a comment; `edited` is 1 in it."""
    tree = draw(st.dictionaries(ORDINARY, TREES, max_size=3))
    name = draw(st.sampled_from(["a.toml", "a.json", "a.yaml"]))
    match name:
        case "a.toml":
            lines = [f"{json.dumps(key)} = {toml(inner)}" for key, inner in tree.items()]
            text = "\n".join(["edited = 1 # token=" + HUSH, *lines])
        case "a.json":
            whole = json.dumps({"edited": 1, **tree}, indent=draw(st.sampled_from([None, 2])))
            text = f'// "password": "{HUSH}"\n{whole}\n/* my_secret = {HUSH} */'
        case _:
            style, flow = draw(st.sampled_from([None, '"', "'"])), draw(st.sampled_from([None, True, False]))
            dumped = yaml.safe_dump(
                texts(tree) if style else tree,
                default_style=style,
                default_flow_style=flow,
                width=draw(st.integers(4, 80)),
            )
            text = f"edited: 1 # pwd: {HUSH}\n---\n{dumped}"
    return name, text.encode()


@settings(edited.UNHURRIED)
@given(files())
def test_no_secret_is_in_the_diff(file: tuple[str, bytes]) -> None:
    name, content = file
    with mock.patch.object(masking, "CONTEXT_LINES", 10_000):
        diff = edited.put(content, "edited", 2, name).diff
    assert HUSH in content.decode()
    assert HUSH not in diff


@pytest.mark.parametrize("style", ["|\n  hush\n", ">-\n  a\n  hush\n", "\n  - hush\n", "&x hush\n", "a\n  hush\n"])
def test_a_secret_of_several_lines_is_hidden_whole(style: str) -> None:
    content = f"password: {style}edited: 1\n".encode()
    assert HUSH not in edited.put(content, "edited", 2, "a.yaml").diff


def test_what_is_no_secret_stays_readable() -> None:
    diff = edited.put(b"name: auth-service\nvalue: 3\nmode: fast\nedited: 1\n", "mode", "slow", "a.yaml").diff
    assert "-mode: fast\n+mode: slow\n edited: 1\n" in diff

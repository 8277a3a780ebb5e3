"""YAML that could hurt or mislead is refused at its line; everything else keeps its text and its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import yamlfile
from schemas.yamlfile import Items, Scalar, Table


def said(text: str) -> list[str]:
    documents, problems = yamlfile.read(text, "f.yaml")
    assert not documents
    return [str(problem) for problem in problems]


def test_scalars_keep_their_text_and_every_node_its_line() -> None:
    (document,), problems = yamlfile.read("tenant: no\nlist:\n  - 1.10\n  - '5'\n", "f.yaml")
    assert not problems
    assert document.root.values["tenant"] == Scalar("no", True, 1)
    assert document.root.values["list"] == Items((Scalar("1.10", True, 3), Scalar("5", False, 4)), 3)
    assert document.root.lines == {"tenant": 1, "list": 2}


def test_empty_documents_are_left_out() -> None:
    documents, problems = yamlfile.read("---\n---\na: 1\n---\n# only a comment\n", "f.yaml")
    assert not problems
    assert [document.root.lines for document in documents] == [{"a": 3}]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: {c: 1, c: 2}\n", "f.yaml:2: b.c: is written twice, first in line 2; keep one of them"),
        ("a: &x [1]\nb: *x\n", "f.yaml:1: a: &x is an anchor, which is not read; write the value out"),
        ("a: !secret x\n", "f.yaml:1: a: the tag !secret is not read; write a plain value"),
        ("a: [1\nb: 2\n", "f.yaml:2: not YAML: while parsing a flow sequence; expected ',' or ']', but got ':'"),
        ("- 1\n", "f.yaml:1: a document must be a mapping that begins with apiVersion and kind"),
        ("? [a]\n: 1\n", "f.yaml:1: a key must be a single word"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_line(text: str, line: str) -> None:
    assert said(text) == [line]


@pytest.mark.parametrize("text", ["a: \x00\n", "a:\n\t- 1\n", "a: !!python/object:os.system x\n"])
def test_bytes_that_are_no_text_and_tags_that_make_objects_are_refused(text: str) -> None:
    assert len(said(text)) == 1


def test_a_bomb_of_anchors_costs_nothing() -> None:
    bomb = "a: &a [x, x]\n" + "".join(f"{n}: &{n} [*{p}, *{p}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True))
    (line,) = said(bomb)
    assert line.startswith("f.yaml:1: a: &a is an anchor")


def test_depth_has_an_end() -> None:
    (line,) = said("a: " + "[" * 5_000 + "]" * 5_000)
    assert "nested deeper than 24 levels" in line


def test_a_file_has_a_largest_size() -> None:
    (line,) = said("a: " + "x" * yamlfile.FILE_BYTES_MAX)
    assert "split it into several files" in line


@given(st.text(max_size=60))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    documents, problems = yamlfile.read(text, "f.yaml")
    assert all(isinstance(document.root, Table) for document in documents)
    assert all(problem.line >= 1 for problem in problems)

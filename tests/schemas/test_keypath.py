"""A dotted path is read as TOML reads its keys."""

import pytest

from schemas import keypath


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a", ("a",)),
        ("database.replica.pool_size", ("database", "replica", "pool_size")),
        ('a."b.c".d', ("a", "b.c", "d")),
        ("'x y' . z", ("x y", "z")),
        ('"="."#"', ("=", "#")),
        ("8080.x-y_z", ("8080", "x-y_z")),
        ('"caf\\u00e9"', ("café",)),
    ],
)
def test_segments_are_split_at_dots_outside_quotes(key: str, path: tuple[str, ...]) -> None:
    assert keypath.read(key) == path


@pytest.mark.parametrize(
    "key", ["", ".", "a.", ".a", "a b", "a = 1 #", "a = 5\nb", "a[0]", "é", '"a', "a\r", "#", "a={b", "x=1\n#"]
)
def test_what_is_no_path_has_no_segments(key: str) -> None:
    assert keypath.read(key) == ()

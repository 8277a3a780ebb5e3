"""What is printed: the right number of a word, and one line a row where no screen folds it."""

import pytest

from stream import console


def test_one_is_one_and_all_else_many() -> None:
    assert [console.count(number, "incident") for number in (0, 1, 2)] == ["0 incidents", "1 incident", "2 incidents"]


def test_in_a_pipe_a_row_is_a_line_whatever_its_length(capsys: pytest.CaptureFixture[str]) -> None:
    console.table("left out", ("a", "b"), [("x" * 300, ""), ("y\nz", "[bold]")])
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["a", "b"]
    assert first.split() == ["x" * 300, "-"]
    assert second.split("  ")[0] == "y, z"
    assert second.endswith("[bold]")
    assert len({line.index(word) for line, word in ((head, "b"), (first, "-"), (second, "[bold]"))}) == 1


def test_on_a_screen_of_80_columns_nothing_of_an_incident_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    row = ("0123456789ab", "12:00:01", "acme-corp\nshop-availability", "handed_over\n12:00:31", "pool_exhausted, lag")
    console.table("1 incident", ("incident", "opened", "tenant, SLO", "state", "cause"), [row])
    out = capsys.readouterr().out
    assert all(word in out for cell in row for word in cell.split())
    assert max(map(len, out.splitlines())) <= 80


def test_what_a_terminal_would_obey_or_turn_round_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.clean("acme\x1b[2J\u202ecorp\r") == "acme\\x1b[2J\\u202ecorp\\r"
    assert console.clean("größer 50 µs → a\n\tb") == "größer 50 µs → a\n\tb"
    console.table("x", ("a",), [("\x1b]0;title\x07",)])
    assert "\x1b" not in capsys.readouterr().out

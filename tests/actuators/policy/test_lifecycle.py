"""The life of an incident: the table holds what the engine's code can ask of it, and every life can end."""

import ast
from pathlib import Path

import pytest

from actuators.policy import lifecycle
from actuators.policy.lifecycle import TRANSITIONS, Happening, Phase

STREAM = Path(__file__).parents[3] / "stream"
FILES = [STREAM / "engine.py", *sorted((STREAM / "core").glob("*.py"))]

Functions = dict[str, ast.FunctionDef]


def functions() -> Functions:
    """Every function of the engine as `module.name`."""
    return {
        f"{path.stem}.{node.name}": node
        for path in FILES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }


def happenings(nodes: list[ast.AST], module: str, known: Functions, seen: set[str]) -> set[Happening]:
    """All happenings that these statements name, also in functions of the engine that they call."""
    found: set[Happening] = set()
    for node in (inner for one in nodes for inner in ast.walk(one)):
        match node:
            case ast.Attribute(value=ast.Name(id="Happening"), attr=name):
                found.add(Happening[name])
            case ast.Call(func=ast.Name(id=name)):
                called = next(
                    (key for key in (f"{module}.{name}", *known) if key in known and key.endswith(f".{name}")), ""
                )
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=name)):
                called = f"{owner}.{name}"
            case _:
                continue
        if isinstance(node, ast.Call) and called in known and called not in seen:
            seen.add(called)
            found |= happenings([*known[called].body], called.split(".")[0], known, seen)
    return found


def phases(pattern: ast.pattern) -> set[Phase]:
    return {
        Phase[node.attr]
        for node in ast.walk(pattern)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Phase"
    }


def asked() -> set[tuple[Phase, Happening]]:
    """Each (phase, happening) that a `case Phase...` of the engine can lead to."""
    known, pairs = functions(), set()
    for name, function in known.items():
        for node in ast.walk(function):
            if isinstance(node, ast.match_case):
                found = happenings([*node.body], name.split(".")[0], known, set())
                pairs |= {(phase, happening) for phase in phases(node.pattern) for happening in found}
    return pairs


def test_the_table_holds_every_pair_that_the_engines_code_can_ask_for() -> None:
    assert not asked() - TRANSITIONS.keys()


def test_the_table_holds_nothing_that_the_engine_never_asks_for() -> None:
    assert not TRANSITIONS.keys() - asked()


def test_every_happening_is_used() -> None:
    assert {happening for _, happening in TRANSITIONS} == set(Happening)


def reachable(start: Phase) -> set[Phase]:
    found, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        for (phase, _), after in TRANSITIONS.items():
            if phase is here and after not in found:
                found.add(after)
                waiting.append(after)
    return found


def test_every_phase_is_reached_and_can_end() -> None:
    assert reachable(Phase.BURNING) == set(Phase)
    for phase in Phase:
        assert Phase.CLOSED in reachable(phase)


def test_nothing_happens_after_the_end() -> None:
    assert not [pair for pair in TRANSITIONS if pair[0] is Phase.CLOSED]


def test_a_change_that_stands_is_never_forgotten_by_a_recovery() -> None:
    """While a change is live or being taken back only a confirmation or a person ends the incident."""
    for phase in (Phase.APPLYING, Phase.WATCHING, Phase.QUIET, Phase.REVERTING):
        ends = {
            happening for (here, happening), after in TRANSITIONS.items() if here is phase and after is Phase.CLOSED
        }
        assert ends <= {Happening.CONFIRMED}


@pytest.mark.parametrize("pair", TRANSITIONS, ids=str)
def test_the_table_is_what_follows(pair: tuple[Phase, Happening]) -> None:
    assert lifecycle.after(*pair) is TRANSITIONS[pair]


def test_a_missing_pair_stops_the_process_and_names_it() -> None:
    with pytest.raises(AssertionError, match="live cannot happen to an incident that is closed"):
        lifecycle.after(Phase.CLOSED, Happening.LIVE)

"""The demo's lines about a plan name the change as a person would."""

from typing import Any

import pytest

from schemas.envelope import Event
from stream.demo import telling


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ({"op": "scale", "numerator": 2, "denominator": 1}, "pool_size x 2"),
        ({"op": "scale", "numerator": 1, "denominator": 4}, "pool_size x 1/4"),
        ({"op": "set", "value": 64}, "pool_size = 64"),
    ],
)
def test_a_plan_names_what_becomes_of_the_value(action: dict[str, Any], words: str) -> None:
    step = {
        "command": "c", "mitigation": "resize-pool", "actuator": "local", "target": "acme-corp-pool",
        "parameter": "pool_size", "action": action, "minimum": 4, "maximum": 64,
    }  # fmt: skip
    event = Event("dev.douse.incident.planned", "i", "/douse/detect/0", 1, {"steps": [step]})
    assert telling.lines(event) == [f"PLAN      1. resize-pool: {words} at acme-corp-pool"]


def step(mitigation: str) -> dict[str, Any]:
    return {
        "command": "c", "mitigation": mitigation, "actuator": "local", "target": "acme-corp-x", "parameter": "x",
        "action": {"op": "set", "value": False}, "minimum": 0, "maximum": 0,
    }  # fmt: skip


def test_what_awaits_a_person_is_told_with_all_its_steps() -> None:
    steps = [step("shed"), step("backoff")]
    data: dict[str, Any] = {"tenant": "acme-corp", "plan": "p1", "autonomy": "approve", "steps": steps, "kind": "apply"}
    asked = telling.lines(Event("dev.douse.incident.suggested", "i", "/douse/detect/0", 1, data))
    assert asked == [
        "SUGGESTED for acme-corp; autonomy is approve: plan p1",
        "            1. shed: x = false at acme-corp-x",
        "            2. backoff: x = false at acme-corp-x",
    ]
    lift = telling.lines(Event("dev.douse.incident.suggested", "i", "/douse/detect/0", 1, data | {"kind": "lift"}))
    assert lift == ["SUGGESTED to take back for acme-corp what may be unnecessary now: shed, backoff"]


def test_a_word_and_a_trial_are_told_with_their_reason() -> None:
    word = {"tenant": "acme-corp", "word": "approve", "by": "ops", "taken": False, "detail": "it came too late"}
    told = telling.lines(Event("dev.douse.incident.decided", "i", "/douse/detect/0", 1, word))
    assert told == ["DECIDED   approve by ops for acme-corp; not taken up: it came too late"]
    trial = {"tenant": "acme-corp", "step": step("backoff"), "state": "hurts", "detail": "the burn came back"}
    told = telling.lines(Event("dev.douse.incident.lifted", "i", "/douse/detect/0", 1, trial))
    assert told == ["LIFT      backoff for acme-corp: hurts: the burn came back"]

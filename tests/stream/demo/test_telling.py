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
    assert telling.lines(event) == [f"PLAN      resize-pool: {words} at acme-corp-pool"]

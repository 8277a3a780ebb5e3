"""The seed of a test that draws: given by --seed, or a fresh one; printed with the command that repeats the test."""

import random
import secrets

import pytest


def draw(request: pytest.FixtureRequest) -> random.Random:
    """Draws by the seed and the name of the test, so that tests of one run do not draw alike."""
    seed = str(request.config.getoption("--seed")) or secrets.token_hex(4)
    print(f"seed {seed}; repeat with: pytest '{request.node.nodeid}' --seed {seed}")
    return random.Random(f"{seed} {request.node.name}")

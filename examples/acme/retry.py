"""How a browser tab tries again: the retry policy, read from a JSON file with comments, and its waiting times."""

import json
import random
import re
from dataclasses import dataclass
from typing import Literal

ATTEMPTS_MAX = 100  # beyond this a tab would never come to an end within a demo
COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
"""A comment, or a string, which may hold what looks like one."""


class PolicyError(ValueError):
    """The policy file is not usable; the text says why."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`attempts` counts the first try. Linear: the n-th retry waits n steps.

    Exponential: it waits anything up to a base that doubles with each retry, up to a cap (full jitter).
    """

    attempts: int
    backoff: Literal["linear", "exponential"]
    step_ms: float
    base_ms: float
    cap_ms: float

    def wait_ms(self, retry: int, rng: random.Random) -> float:
        """The pause before the retry number `retry`, counted from 1."""
        if self.backoff == "linear":
            return retry * self.step_ms
        return rng.uniform(0.0, min(self.cap_ms, self.base_ms * 2.0 ** (retry - 1)))

    def wait_ms_mean_total(self) -> float:
        """All pauses of an operation whose every attempt fails, on average."""
        retries = range(1, self.attempts)
        if self.backoff == "linear":
            return sum(retry * self.step_ms for retry in retries)
        return sum(min(self.cap_ms, self.base_ms * 2.0 ** (retry - 1)) / 2 for retry in retries)

    def shown(self) -> dict[str, object]:
        """The running values, for GET /admin/config: whole numbers as the file writes them."""
        times = {"step_ms": self.step_ms, "base_ms": self.base_ms, "cap_ms": self.cap_ms}
        whole = {name: int(value) if value.is_integer() else value for name, value in times.items()}
        return {"attempts": self.attempts, "backoff": self.backoff, **whole}


def without_comments(text: str) -> str:
    """JSON as people write it without what people wrote for each other."""
    return COMMENT.sub(lambda found: found[0] if found[0].startswith('"') else " ", text)


def parse(text: str) -> Policy:
    """The policy in the text of a client.json; PolicyError if it holds none."""
    try:
        retry = json.loads(without_comments(text))["retry"]
        policy = Policy(
            attempts=retry["attempts"],
            backoff=retry["backoff"],
            step_ms=float(retry["step_ms"]),
            base_ms=float(retry["base_ms"]),
            cap_ms=float(retry["cap_ms"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise PolicyError(f"not a retry policy: {error!r}") from error
    if policy.backoff not in ("linear", "exponential"):
        raise PolicyError(f"retry.backoff: expected linear or exponential, found {policy.backoff!r}")
    attempts: object = policy.attempts
    if isinstance(attempts, bool) or not isinstance(attempts, int) or not 1 <= attempts <= ATTEMPTS_MAX:
        raise PolicyError(f"retry.attempts: expected a whole number from 1 to {ATTEMPTS_MAX}, found {attempts!r}")
    if min(policy.step_ms, policy.base_ms, policy.cap_ms) < 0:
        raise PolicyError("retry: a waiting time is below zero")
    return policy

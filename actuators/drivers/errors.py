"""The two ways in which the world outside refuses: for now, or for good."""

from schemas.commands import OutcomeReason


class DriverError(Exception):
    """Something at the target could not be done; `reason` and `detail` go into the outcome."""

    def __init__(self, reason: OutcomeReason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


class Temporary(DriverError):
    """Another try after `retry_after_ms` may go well: a full disk, a folder that is mounted again."""

    def __init__(self, reason: OutcomeReason, detail: str, retry_after_ms: int = 5_000) -> None:
        super().__init__(reason, detail)
        self.retry_after_ms = retry_after_ms


class Permanent(DriverError):
    """Another try would end the same way."""

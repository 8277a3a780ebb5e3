"""Errors that end a command in an orderly way: one line that says what to do, and an exit code."""


class OperatorNeededError(Exception):
    """Somebody has to change a file, a key or a setting first: exit code 78, and no restart helps."""

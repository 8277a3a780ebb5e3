"""What is kept out of a worker's log."""

import logging

from stream.faustlib import run


def said(message: str) -> bool:
    return run.drop_harmless(logging.LogRecord("faust.app.base", logging.WARNING, "", 0, message, (1,), None))


def test_fausts_word_about_its_own_sensor_is_dropped_and_nothing_else() -> None:
    assert not said("[^App]: Missing sensor state for rebalance #%s")
    assert not said("Missing sensor state for rebalance end #%s")
    assert said("[^App]: Crashed %s")

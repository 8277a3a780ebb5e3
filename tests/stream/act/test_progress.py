"""How old a command is, and how far the topic is answered for."""

from stream.act.progress import Progress, age_ms_at_fetch, order_age_ms

HOUR_MS = 3_600_000


def test_while_act_reads_no_difference_between_two_clocks_matters() -> None:
    for host_ahead_ms in (-HOUR_MS, 0, HOUR_MS):
        fetched_ms = 10 * HOUR_MS + host_ahead_ms
        assert age_ms_at_fetch(10 * HOUR_MS, fetched_ms, fetched_ms - 300) <= 300


def test_what_waited_while_act_was_away_is_as_old_as_the_clocks_say() -> None:
    assert age_ms_at_fetch(10 * HOUR_MS, 11 * HOUR_MS, None) == HOUR_MS
    assert age_ms_at_fetch(10 * HOUR_MS, 11 * HOUR_MS, 9 * HOUR_MS) == HOUR_MS


def test_an_age_is_never_negative() -> None:
    assert age_ms_at_fetch(2, 1, None) == 0
    assert age_ms_at_fetch(1, 2, 3) == 0


def test_the_copy_of_an_old_order_is_as_old_as_its_decision_however_new_its_record_is() -> None:
    assert order_age_ms(waited_ms=100, record_ms=10 * HOUR_MS, decided_ms=9 * HOUR_MS) == HOUR_MS + 100
    assert order_age_ms(waited_ms=100, record_ms=10, decided_ms=20) == 100, "no order is younger than its record"


def test_a_partition_is_done_up_to_the_first_offset_in_work() -> None:
    progress = Progress()
    for offset in (5, 6, 7):
        progress.begin("p", offset)
    progress.end("p", 6)
    assert progress.positions() == {"p": 5}
    progress.end("p", 5)
    assert progress.positions() == {"p": 7}
    progress.end("p", 7)
    assert progress.positions() == {"p": 8}
    assert Progress().positions() == {}

"""The guard of positions: what follows, what repeats, what is missing."""

from hypothesis import given
from hypothesis import strategies as st

from stream.faustlib import contiguity
from stream.faustlib.contiguity import Step

P = ("journal", 3)


def test_the_first_record_of_a_generation_may_be_any() -> None:
    order = contiguity.Contiguity()
    assert order.step(P, 17, generation=1) is Step.NEXT
    assert order.step(P, 17, generation=1) is Step.REPEAT
    assert order.step(P, 3, generation=2) is Step.NEXT


def test_after_a_mark_only_the_next_offset_follows() -> None:
    order = contiguity.Contiguity()
    order.reset(1)
    order.resume(P, 9)
    assert [order.step(P, offset, 1) for offset in (8, 9, 11, 10, 11)] == [
        Step.REPEAT, Step.REPEAT, Step.GAP, Step.NEXT, Step.NEXT,
    ]  # fmt: skip


def test_a_gap_is_a_gap_until_somebody_resumes_behind_it() -> None:
    order = contiguity.Contiguity()
    order.step(P, 0, 1)
    assert order.step(P, 5, 1) is Step.GAP
    assert order.step(P, 6, 1) is Step.GAP
    assert order.last(P) == 0
    order.resume(P, 4)
    assert order.step(P, 5, 1) is Step.NEXT


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), max_size=60))
def test_partitions_do_not_disturb_each_other(records: list[tuple[int, int]]) -> None:
    together = contiguity.Contiguity()
    mixed = [(number, together.step(("t", number), offset, 1)) for number, offset in records]
    for number in range(4):
        alone = contiguity.Contiguity()
        steps = [alone.step(("t", number), offset, 1) for each, offset in records if each == number]
        assert steps == [step for each, step in mixed if each == number]


@given(st.lists(st.integers(0, 20), max_size=80))
def test_what_passed_is_one_run_without_holes(offsets: list[int]) -> None:
    order = contiguity.Contiguity()
    passed = [offset for offset in offsets if order.step(P, offset, 1) is Step.NEXT]
    assert passed == list(range(passed[0], passed[0] + len(passed))) if passed else not offsets

"""Does a record follow the one before? A pure guard of positions by partition, within one generation of the group."""

from enum import Enum

Partition = tuple[str, int]  # topic, partition


class Step(Enum):
    """NEXT follows, REPEAT was seen already (drop it), GAP skips positions (what that means depends on the topic)."""

    NEXT = "next"
    REPEAT = "repeat"
    GAP = "gap"


class Contiguity:
    """Knows the last position of each partition. A new generation of the group starts anywhere: it forgets all."""

    def __init__(self) -> None:
        self._last: dict[Partition, int] = {}
        self._generation = -1

    def step(self, partition: Partition, offset: int, generation: int) -> Step:
        """Judges one record and, unless it is a GAP, remembers it; after a GAP `resume` says where to go on."""
        if generation != self._generation:
            self.reset(generation)
        last = self._last.get(partition)
        if last is not None and offset <= last:
            return Step.REPEAT
        if last is not None and offset > last + 1:
            return Step.GAP
        self._last[partition] = offset
        return Step.NEXT

    def resume(self, partition: Partition, offset: int) -> None:
        """The partition goes on after `offset`: the mark of a snapshot, or the far side of a gap that was reported."""
        self._last[partition] = offset

    def last(self, partition: Partition) -> int | None:
        """The last position of a partition, None before its first record in this generation."""
        return self._last.get(partition)

    def reset(self, generation: int) -> None:
        """A new generation of the group: nothing is known of any partition."""
        self._generation = generation
        self._last.clear()

"""Where ingest reads from: resolved once into committed offsets of its group, before the app starts."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalGenerationError, KafkaError, UnknownMemberIdError

from stream import kafka, settings
from stream.kafka import Address

EARLIEST, LATEST = "earliest", "latest"
OTHERS_ARE_THERE = (CommitFailedError, IllegalGenerationError, UnknownMemberIdError)


class BeyondTheEndError(ValueError):
    """The group has read further than its topic reaches: the topic was made anew, a person has to decide."""


async def settle(bootstrap: Address, group: str, topics: Mapping[str, int], start_from: Mapping[str, str]) -> None:
    """Commits a first offset for every partition that has none; `start_from` says for each topic whether that
    is its `latest`, its `earliest`, or the first record at or after a time (`settings.time_ms`).

    Raises BeyondTheEndError naming the partition, BrokerError. Workers that run already keep their offsets.
    """
    parts = [TopicPartition(topic, number) for topic, count in topics.items() for number in range(count)]
    consumer = AIOKafkaConsumer(**kafka.client(bootstrap), group_id=group, enable_auto_commit=False)
    try:
        await consumer.start()
        consumer.assign(parts)
        consumer.pause(*parts)  # only the group's offsets are wanted, no record
        committed = {part: await consumer.committed(part) for part in parts}
        first, end = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
        _check(committed, end)
        missing = [part for part in parts if committed[part] is None]
        places = {EARLIEST: first, LATEST: end}
        moments = {part: text for part in missing if (text := start_from[part.topic]) not in places}
        at_time = await _since(consumer, moments)
        chosen = {part: places.get(start_from[part.topic], {**end, **at_time})[part] for part in missing}
        if chosen:
            await _commit(consumer, chosen)
    except (KafkaError, OSError) as error:
        raise kafka.failed(error, bootstrap, f"settling the offsets of group {group}") from error
    finally:
        await consumer.stop()


async def _since(consumer: AIOKafkaConsumer, moments: Mapping[TopicPartition, str]) -> dict[TopicPartition, int]:
    """The first offset at or after a moment, of each partition that has a record there."""
    asked = {part: moment_ms for part, text in moments.items() if (moment_ms := settings.time_ms(text)) is not None}
    found = await consumer.offsets_for_times(asked) if asked else {}
    return {part: int(there.offset) for part, there in found.items() if there is not None}


def _check(committed: Mapping[TopicPartition, int | None], end: Mapping[TopicPartition, int]) -> None:
    beyond: Sequence[str] = [
        f"{part.topic}[{part.partition}] ends at {end[part]}, {offset} was read"
        for part, offset in committed.items()
        if offset is not None and offset > end[part]
    ]
    if beyond:
        raise BeyondTheEndError(
            f"{'; '.join(beyond)}: the topic was made anew; see `douse state rebase` in docs/operating.md"
        )


async def _commit(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    with suppress(*OTHERS_ARE_THERE):  # then the group has members: one of them settled it in the same moment
        await consumer.commit(dict(offsets))

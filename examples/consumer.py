"""Prints what douse tells about incidents, commands and outcomes; needs aiokafka and nothing of douse.

python examples/consumer.py 127.0.0.1:9092 [TOPIC_PREFIX]
"""

import asyncio
import json
import sys

from aiokafka import AIOKafkaConsumer

TOPICS = ("douse.incidents", "douse.commands", "douse.outcomes")


async def main(bootstrap: str, prefix: str = "") -> None:
    """Reads from the beginning and goes on for ever; an event that comes twice is shown once."""
    topics = [prefix + topic for topic in TOPICS]
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    seen: set[tuple[str, str]] = set()
    try:
        async for record in consumer:
            headers = {name: value.decode() for name, value in record.headers}
            kind, event = headers["ce_type"], headers["ce_id"]
            if (kind, event) not in seen:
                seen.add((kind, event))
                data = json.loads(record.value)
                said = next((data[name] for name in ("status", "verdict", "reason", "cause") if data.get(name)), "")
                print(headers["ce_time"], kind, data["tenant"], said, flush=True)
    finally:
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""The broker as a process: what it keeps, what it refuses, how it ends."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from stream import topics
from stream.broker import process
from stream.broker.errors import BrokerError
from tests import kafka

LARGE = os.urandom(7 << 20)  # the largest journal records are a little under 8 MB


async def write(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, max_request_size=9 << 20)
    await producer.start()
    for value in values:
        await producer.send_and_wait(topic, value, partition=0)
    await producer.stop()


async def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(count)]
    finally:
        await consumer.stop()


@pytest.mark.broker
def test_what_was_acknowledged_outlives_kill_9_restart_and_a_new_process(tmp_path: Path) -> None:
    journal = topics.names().journal
    with kafka.own(tmp_path / "kafka") as broker:
        asyncio.run(topics.create(broker.bootstrap, shards=1))
        asyncio.run(write(broker.bootstrap, journal, [b"one", LARGE]))
        broker.kill9()
        broker.start()
        assert asyncio.run(read(broker.bootstrap, journal, 2)) == [b"one", LARGE]
        address = broker.bootstrap
    with kafka.own(tmp_path / "kafka") as broker:
        assert broker.bootstrap == address
        assert asyncio.run(read(broker.bootstrap, journal, 2)) == [b"one", LARGE]
        broker.pause()
        broker.resume()
        with pytest.raises(BrokerError, match=rf"another broker \(process {broker.pid}\) uses the folder"):
            process.Broker(tmp_path / "kafka", broker.jar_folder, None, {})


@pytest.mark.broker
def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=rf"port {port} of 127\.0\.0\.1 is taken"), kafka.own(tmp_path, port):
            pytest.fail("it started on a taken port")
    assert not (tmp_path / "broker.log").exists()


@pytest.mark.broker
def test_a_setting_that_kafka_refuses_shows_the_end_of_its_log(tmp_path: Path) -> None:
    kafka.jar_folder()
    with (
        pytest.raises(BrokerError, match=r"num\.network\.threads"),
        process.running(tmp_path, config={"num.network.threads": "many"}),
    ):
        pytest.fail("it started with a wrong setting")


@pytest.mark.broker
def test_douse_broker_says_its_address_and_sigterm_ends_both_processes(tmp_path: Path) -> None:
    kafka.jar_folder()
    code = "import sys, pathlib; from stream.broker import serve; sys.exit(serve.serve(pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line.startswith("broker ready at 127.0.0.1:")
        jvm = int((tmp_path / "broker.pid").read_text())
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(jvm, 0)

"""The parts of the example: its pool, its replica, its clients' patience, the files of its world."""

import asyncio
import json
import random
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from examples.acme import clients, config, http_client, planted, pool, retry, service, trace, world
from tests.examples.one_loop import RENAMED, STORM, WORLD, new_backend, new_fleet, now_s, run

ACME = WORLD.tenants[0]


def at(tree: object, key: str) -> object:
    for part in key.split("."):
        assert isinstance(tree, dict)
        tree = tree[part]
    return tree


def test_a_pool_serves_the_line_in_order_and_never_more_than_its_size_at_once() -> None:
    async def main() -> None:
        connections, served, most = pool.Pool(2), [], 0

        async def use(number: int) -> None:
            nonlocal most
            await connections.acquire(60_000)
            served.append(number)
            most = max(most, connections.used)
            await asyncio.sleep(1)
            connections.release()

        await asyncio.gather(*(use(number) for number in range(7)))
        assert served == list(range(7))
        assert (most, connections.used, connections.pending, connections.timeouts) == (2, 0, 0, 0)
        assert now_s() == pytest.approx(4)

    run(main())


def test_who_waits_too_long_leaves_the_line_and_is_counted() -> None:
    async def main() -> None:
        connections = pool.Pool(1)
        await connections.acquire(500)
        with pytest.raises(TimeoutError):
            await connections.acquire(500)
        assert now_s() == pytest.approx(0.5)
        assert (connections.used, connections.pending, connections.timeouts) == (1, 0, 1)

    run(main())


def test_a_larger_size_lets_waiters_in_at_once() -> None:
    async def main() -> None:
        connections = pool.Pool(1)
        await connections.acquire(500)
        waiters = [asyncio.create_task(connections.acquire(500)) for _ in range(3)]
        await asyncio.sleep(0.1)
        assert connections.pending == 3
        connections.resize(3)
        await asyncio.sleep(0)
        assert [waiter.done() for waiter in waiters] == [True, True, False]
        assert (connections.used, connections.pending) == (3, 1)
        waiters[2].cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
        assert connections.pending == 0

    run(main())


def test_a_smaller_size_takes_no_connection_away_but_gives_none_out_until_enough_came_back() -> None:
    async def main() -> None:
        connections = pool.Pool(3)
        for _ in range(3):
            await connections.acquire(500)
        connections.resize(1)
        assert (connections.used, connections.idle) == (3, 0)
        waiter = asyncio.create_task(connections.acquire(500))
        for left in (2, 1):
            connections.release()
            await asyncio.sleep(0)
            assert (connections.used, waiter.done()) == (left, False)
        connections.release()
        await waiter
        assert connections.used == 1

    run(main())


def test_a_waiter_that_is_cancelled_as_it_is_served_gives_the_connection_back() -> None:
    async def main() -> None:
        connections = pool.Pool(1)
        await connections.acquire(500)
        waiter = asyncio.create_task(connections.acquire(500))
        await asyncio.sleep(0)
        connections.release()
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        assert (connections.used, connections.pending) == (0, 0)

    run(main())


def test_the_replica_is_flat_up_to_its_knee_and_finishes_no_more_beyond_it() -> None:
    replica = pool.Replica(query_ms=180, knee=80)
    assert [replica.time_ms(running) for running in (1, 32, 80)] == [180, 180, 180]
    assert replica.time_ms(160) == 360
    assert {round(running / replica.time_ms(running), 6) for running in (80, 100, 300)} == {round(80 / 180, 6)}


def test_linear_backoff_waits_n_steps_before_the_nth_retry() -> None:
    policy = world.EIGHT_ATTEMPTS
    waits = [policy.wait_ms(retry_number, random.Random(1)) for retry_number in range(1, 8)]
    assert waits == [50, 100, 150, 200, 250, 300, 350]
    assert policy.wait_ms_mean_total() == sum(waits)


def test_exponential_backoff_has_full_jitter_under_a_doubling_base_and_a_cap() -> None:
    policy = replace(world.EIGHT_ATTEMPTS, backoff="exponential")
    rng = random.Random(7)
    samples = [[policy.wait_ms(number, rng) for number in range(1, 8)] for _ in range(4000)]
    for column, limit in zip(zip(*samples, strict=True), (100, 200, 400, 800, 1600, 2000, 2000), strict=True):
        assert 0 <= min(column) < 0.01 * limit
        assert 0.99 * limit < max(column) <= limit
    mean = sum(sum(row) for row in samples) / len(samples)
    assert policy.wait_ms_mean_total() == pytest.approx(mean, rel=0.02)


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"retry": {"attempts": 2}}', '{"retry": []}']
    + [
        world.client_text(ACME).replace(old, new)
        for old, new in (('"linear"', '"none"'), ('"attempts": 2', '"attempts": 0'), (" 50,", " -1,"), ("*/", ""))
    ],
)
def test_an_unusable_policy_is_refused(text: str) -> None:
    with pytest.raises(retry.PolicyError):
        retry.parse(text)


def test_a_tab_tries_again_as_often_as_its_policy_allows_and_counts_what_it_saw() -> None:
    async def main() -> None:
        async def refuse(_path: str, _attempt: trace.Attempt) -> int:
            await asyncio.sleep(0.01)
            return 503

        fleet = new_fleet(lambda _number: refuse, WORLD, "tab")
        fleet.open(5)
        await asyncio.sleep(30)
        seconds = fleet.stats.complete()
        assert [second.unix_s for second in seconds] == list(range(30))
        operations = sum(second.operations for second in seconds)
        assert operations > 0
        assert sum(second.operations_failed for second in seconds) == operations
        assert sum(second.attempts_failed for second in seconds) == sum(second.attempts for second in seconds)
        assert abs(sum(second.attempts for second in seconds) - 2 * operations) <= 5  # one may be under way in each tab
        fleet.open(0)

    run(main())


def test_a_changed_policy_file_counts_within_half_a_second_and_an_unusable_one_changes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async def accept(_path: str, _attempt: trace.Attempt) -> int:
            return 200

        path = tmp_path / "client.json"
        path.write_text(world.client_text(ACME))
        fleet = new_fleet(lambda _number: accept, WORLD, "tab")
        following = asyncio.create_task(clients.follow_policy(path, fleet))
        wanted = replace(ACME.policy, backoff="exponential", attempts=3)
        path.write_text(world.client_text(replace(ACME, policy=wanted)))
        await asyncio.sleep(0.5)
        assert fleet.policy == wanted
        path.write_text("{")
        await asyncio.sleep(0.5)
        assert fleet.policy == wanted
        following.cancel()

    run(main())


def test_all_attempts_of_one_operation_have_one_trace_and_count_from_one() -> None:
    async def main() -> None:
        seen: list[trace.Attempt] = []

        async def refuse(_path: str, attempt: trace.Attempt) -> int:
            seen.append(attempt)
            return 503

        fleet = new_fleet(lambda _number: refuse, STORM, "tab")
        fleet.open(1)
        await asyncio.sleep(60)
        fleet.open(0)
        operations = [seen[start : start + 8] for start in range(0, len(seen) - 7, 8)]
        assert len(operations) > 10
        for attempts in operations:
            assert [one.number for one in attempts] == list(range(1, 9))
            assert len({one.trace_id for one in attempts}) == 1
        assert len({one.span_id for one in seen}) == len(seen)
        assert len({one[0].trace_id for one in operations}) == len(operations)

    run(main())


def test_a_service_reads_the_attempt_that_a_tab_sent() -> None:
    attempt = trace.Attempt(bytes(range(16)), bytes(range(8)), 3)
    lines = dict(line.split(": ") for line in trace.headers(attempt).split("\r\n") if line)
    assert trace.read(lines["traceparent"], lines["x-retry-attempt"]) == attempt
    assert trace.read(lines["traceparent"], None) == replace(attempt, number=1)
    for number in ("0", "-1", "x", "", "9999", "²"):
        assert trace.read(lines["traceparent"], number) == replace(attempt, number=1)
    for parent in (None, "", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", lines["traceparent"] + "-more"):
        assert trace.read(parent, "3") is None


def test_comments_of_a_policy_are_left_out_and_strings_that_look_like_them_stay() -> None:
    text = '{"a": "// no", /* one "two" */ "b": 1, // three "x": 4\n "c": "\\" /* no */"}'
    assert json.loads(retry.without_comments(text)) == {"a": "// no", "b": 1, "c": '" /* no */'}


def test_each_tenant_has_fifty_secrets_of_its_own_and_some_lie_in_its_files() -> None:
    first, second = planted.secrets("acme-corp"), planted.secrets("globex")
    assert len(set(first) | set(second)) == 2 * planted.SECRETS
    assert first == planted.secrets("acme-corp")
    assert first[planted.IN_SERVICE_FILE] in world.service_text(WORLD, ACME)
    assert first[planted.IN_CLIENT_FILE] in world.client_text(ACME)


def test_an_answer_is_read_the_same_whole_and_byte_by_byte() -> None:
    whole = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\nConnection: close\r\n\r\nsorry"
    assert http_client.answer(whole) == (len(whole), 503, False)
    header = whole.index(b"sorry")
    for end in range(header):
        assert http_client.answer(whole[:end]) == (0, 0, True)
    assert http_client.answer(whole + b"HTTP/1.1 200") == (len(whole), 503, False)
    assert http_client.answer(b"HTTP/1.1 204 No Content\r\n\r\n") == (27, 204, True)
    for bad in (b"SMTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"x" * 20_000):
        with pytest.raises(ValueError):
            http_client.answer(bad)


def test_the_same_world_writes_the_same_bytes(tmp_path: Path) -> None:
    first, second = (world.write_world(tmp_path / name, WORLD) for name in ("a", "b"))
    assert list(first) == ["acme-corp", "globex", "initech"]
    for name in first:
        for file in ("service.toml", "client.json"):
            assert (first[name] / file).read_bytes() == (second[name] / file).read_bytes()


@pytest.mark.parametrize("numbers", [WORLD, RENAMED])
def test_service_and_clients_read_what_the_world_wrote(numbers: world.World) -> None:
    text = world.service_text(numbers, numbers.tenants[0])
    running = config.parse(text)
    assert (running.pool_size, running.pool_name) == (numbers.pool_size, numbers.pool_name)
    assert set(running.endpoints) == {route.strip("/") for route in service.ROUTES}
    assert set(clients.PATHS) == set(service.ROUTES)
    assert retry.parse(world.client_text(numbers.tenants[0])) == numbers.tenants[0].policy
    assert at(tomllib.loads(text), world.POOL_KEY) == numbers.pool_size
    assert at(tomllib.loads(text), world.ENDPOINT_KEY) is True
    policy = json.loads(retry.without_comments(world.client_text(numbers.tenants[0])))
    found = [at(policy, key) for key in (world.ATTEMPTS_KEY, world.BACKOFF_KEY, world.BASE_KEY)]
    assert found == [2, "linear", 100]
    assert text.count(f"pool_size = {numbers.pool_size}") >= 3  # a careless search and replace is seen


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("acquire_timeout_ms = 500", "acquire_timeout_ms = 0"),
        ("orders = true", "orders = 1"),
        ("[database.replica]", "[database.other]"),
        ("[notes]", "[notes"),
        ("pool_size          = 32", "pool_size          = true"),
        ("pool_size          = 32", "pool_size          = 100000"),
    ],
)
def test_a_reload_keeps_the_running_values_when_the_file_is_unusable(tmp_path: Path, old: str, new: str) -> None:
    source = new_backend(WORLD, now=lambda: 0)
    text = world.service_text(WORLD, WORLD.tenants[0])
    assert old in text
    path = tmp_path / "service.toml"
    path.write_text(text.replace(old, new))
    source.reload(path)
    assert (source.pool.size, source.generation) == (32, 1)
    assert source.reload_error
    path.write_text(text.replace("pool_size          = 32", "pool_size          = 64"))
    source.reload(path)
    assert (source.pool.size, source.generation, source.reload_error) == (64, 2, "")
    assert source.shown()["pool_size"] == 64

"""What a scenario claims, each seen from outside: files on disk, HTTP of the target, counts of the load generator."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from examples.acme import world as acme
from stream.demo.feed import Feed
from stream.demo.play import AVAILABILITY, Played
from stream.demo.stage import Stage

CLEAN_SHARE_MAX = 0.01
LAST_S = 5
SPANS_MIN = 1_000  # a scenario in which nothing is done proves first that there was something to see


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence, what was seen, and whether it holds."""

    text: str
    seen: str
    holds: bool


def check(stage: Stage, feed: Feed, played: Played) -> list[Claim]:
    """All claims of the scenario, in the order in which a doubter would ask."""
    scenario = played.cast.scenario
    found = [_cause(feed, played)]
    if scenario.verdicts:
        found.append(_verdict(feed, played))
    if scenario.outcomes:
        found.append(_outcomes(feed, played))
    if scenario.changed:
        found += [*_grown(stage, played), only_that_value(stage, played), _clients_clean(stage, played)]
    else:
        found += _as_before(stage, played, played.cast.tenant.name)
    for tenant in stage.world.tenants:
        if tenant.name not in {one.tenant.name for one in stage.cast}:
            found += _as_before(stage, played, tenant.name)
    if not scenario.outcomes:
        found += [*_something_to_see(feed, played), _no_command(stage, feed, played)]
    return found


def _cause(feed: Feed, played: Played) -> Claim:
    tenant, expected = played.cast.tenant.name, played.cast.scenario.cause
    told = [event.data["cause"] for event in feed.incidents("diagnosed", tenant, AVAILABILITY)]
    if expected is None:
        opened = len(feed.incidents("opened"))
        return Claim("no incident was opened", f"{opened} incidents", opened == 0)
    return Claim(f"the cause is {expected}", ", ".join(told) or "no diagnosis", bool(told) and told[-1] == expected)


def _verdict(feed: Feed, played: Played) -> Claim:
    told = [event.data["verdict"] for event in feed.incidents("verdict", played.cast.tenant.name, AVAILABILITY)]
    wanted = played.cast.scenario.verdicts
    return Claim(f"the verdict is {' or '.join(wanted)}", ", ".join(told) or "none", never_another(told, wanted))


def never_another(told: Sequence[str], wanted: Sequence[str]) -> bool:
    """Something was told, and never anything but what is wanted: a relapse does not undo a wrong `effective`."""
    return bool(told) and set(told) <= set(wanted)


def _grown(stage: Stage, played: Played) -> list[Claim]:
    tenant = played.cast.tenant.name
    numerator, denominator = played.cast.scenario.scale
    wanted = stage.world.pool_size * numerator // denominator
    running, in_file = stage.running(tenant), stage.pool_size(tenant)
    return [
        Claim(f"the file of {tenant} says {wanted}", str(in_file), in_file == wanted),
        Claim(
            f"each process of {tenant} runs with {wanted}", _values(running), all(v == wanted for v in running.values())
        ),
    ]


def only_that_value(stage: Stage, played: Played) -> Claim:
    """The file is, byte for byte, what the world wrote with other digits in one place; mode and owner are as before."""
    tenant = played.cast.tenant
    numerator, denominator = played.cast.scenario.scale
    was = acme.service_text(stage.world, tenant).encode()
    wanted = with_pool_size(was, stage.world.pool_size * numerator // denominator)
    now = stage.files(tenant.name)[0].read_bytes()
    same_owners = stage.owners(tenant.name) == played.before.owners[tenant.name]
    bytes_seen = f"all {len(now)} bytes as expected" if now == wanted else "other bytes differ"
    owners_seen = "mode and owner kept" if same_owners else "mode or owner differs"
    return Claim(
        "outside that one value not a byte changed", f"{bytes_seen}, {owners_seen}", now == wanted and same_owners
    )


def with_pool_size(content: bytes, value: int) -> bytes:
    """The world's file with other digits where its pool size stands. Finds it without any code of the product."""
    header, key = acme.POOL_KEY.rsplit(".", 1)
    table = content.index(f"\n[{header}]\n".encode())
    found = re.compile(rf"^{key}\s*=\s*(\d+)".encode(), re.MULTILINE).search(content, table)
    assert found is not None, f"the world's own file has no {acme.POOL_KEY}"
    return content[: found.start(1)] + str(value).encode() + content[found.end(1) :]


def _clients_clean(stage: Stage, played: Played) -> Claim:
    failed, total = client_failures(stage, played.cast.tenant.name, LAST_S)
    share = failed / total if total else 1.0
    text = f"the load generator sees under {CLEAN_SHARE_MAX:.0%} failures in its last {LAST_S} s"
    return Claim(text, f"{failed} of {total}", share < CLEAN_SHARE_MAX)


def client_failures(stage: Stage, tenant: str, seconds: int) -> tuple[int, int]:
    """Failed and all attempts that the load generator itself counted in its last complete seconds."""
    counted = stage.clients[tenant].get("/stats")["seconds"][-seconds:]
    return sum(int(one["attempts_failed"]) for one in counted), sum(int(one["attempts"]) for one in counted)


def _as_before(stage: Stage, played: Played, tenant: str) -> list[Claim]:
    same = stage.hashes(tenant) == played.before.hashes[tenant]
    running = stage.running(tenant)
    return [
        Claim(f"the files of {tenant} have the bytes they had", "SHA-256 equal" if same else "SHA-256 differs", same),
        Claim(
            f"the processes of {tenant} run with what they had",
            _values(running),
            running == played.before.running[tenant],
        ),
    ]


def _outcomes(feed: Feed, played: Played) -> Claim:
    """What act reports, forged orders aside: they come later."""
    told = [event.data for event in feed.outcomes(played.cast.tenant.name)]
    words = [one["status"] + (f": {one['reason']}" if one["reason"] != "none" else "") for one in told]
    wanted = played.cast.scenario.outcomes
    return Claim(f"act reports {', then '.join(wanted)}", ", ".join(words) or "nothing", tuple(words) == wanted)


def _something_to_see(feed: Feed, played: Played) -> list[Claim]:
    """Nothing was done, though there was enough to see: fresh data, and spans of every tenant."""
    row = feed.rows(AVAILABILITY).get(played.cast.tenant.name, {})
    state = str(row.get("data_state", "none"))
    fewest = min(played.spans.values(), default=0)
    return [
        Claim("the data state of the victim is ok", state, state == "ok"),
        Claim(f"at least {SPANS_MIN} spans of each tenant were on Kafka", f"fewest {fewest}", fewest >= SPANS_MIN),
    ]


def _no_command(stage: Stage, feed: Feed, played: Played) -> Claim:
    """With one victim the whole topic must not have grown; with several, others may have had theirs."""
    if len(stage.cast) > 1:
        seen = len(feed.commands(played.cast.tenant.name))
        return Claim("no command was published for the victim", f"{seen} commands", seen == 0)
    before, after = played.before.command_ends, played.command_ends
    told = f"end offsets {sorted(before.values())} before, {sorted(after.values())} after"
    return Claim("no command was published", told, bool(before) and before == after)


def _values(running: dict[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in running.items())

"""What a scenario claims, each seen from outside: files on disk, HTTP of the target, counts of the load generator."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from examples.acme import world as acme
from stream.demo import actuator
from stream.demo.feed import Feed
from stream.demo.play import AVAILABILITY, UNTOUCHED_S, Played, refusals
from stream.demo.stage import Stage, Value

CLEAN_SHARE_MAX = 0.01
LAST_S = 5
SPANS_MIN = 1_000  # a scenario in which nothing is done proves first that there was something to see

MITIGATES = {
    actuator.RESIZE: ("pool_size", "service.toml", acme.POOL_KEY),
    actuator.BACKOFF: ("backoff", "client.json", acme.BACKOFF_KEY),
    actuator.SHED: ("endpoints.recommendations", "service.toml", acme.ENDPOINT_KEY),
    actuator.RECYCLE: ("workers_generation", "service.toml", acme.GENERATION_KEY),
}
"""Of each mitigation what it changes: the field that processes show, the file and the key in it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence, what was seen, and whether it holds."""

    text: str
    seen: str
    holds: bool
    column: str = ""
    """Where it stands in the table of all scenarios; empty: in none."""
    wanted: str = ""


def check(stage: Stage, feed: Feed, played: Played) -> list[Claim]:
    """All claims of the scenario, in the order in which a doubter would ask."""
    scenario = played.cast.scenario
    found = [_cause(stage, feed, played)]
    found += [_amplified(feed, played)] if scenario.amplifiers else []
    found += [_left_alone(played), _approved(played)] if played.left_alone is not None else []
    found += [_refused(feed, played)] if scenario.refused else []
    found += [_verdict(feed, played)] if scenario.verdicts else []
    found += [_outcomes(feed, played)] if scenario.outcomes else []
    if scenario.stands:
        found += [_runs_with(stage, played), only_those_values(stage, played), _clients_clean(stage, played)]
    else:
        found += _as_before(stage, played, played.cast.tenant.name)
    found += [_suggests_lift(feed, played)] if scenario.suggests_lift else []
    found += [_lifted(feed, played)] if scenario.lifted else []
    for tenant in stage.world.tenants:
        if tenant.name not in {one.tenant.name for one in stage.cast}:
            found += _as_before(stage, played, tenant.name)
    if not scenario.outcomes:
        found += [*_something_to_see(feed, played), _no_command(stage, feed, played)]
    return found


def _cause(stage: Stage, feed: Feed, played: Played) -> Claim:
    tenant, expected = played.cast.tenant.name, played.cast.scenario.cause
    told = [event.data["cause"] for event in feed.incidents("diagnosed", tenant, AVAILABILITY)]
    if expected is None:
        mine = [one for one in feed.incidents("opened") if len(stage.cast) == 1 or one.data["tenant"] == tenant]
        opened = len(mine)  # others of the stage may have theirs
        return Claim("no incident was opened", f"{opened} incidents", opened == 0, "cause", "no incident")
    holds = bool(told) and told[-1] == expected
    return Claim(f"the cause is {expected}", ", ".join(told) or "no diagnosis", holds, "cause", expected)


def _verdict(feed: Feed, played: Played) -> Claim:
    told = [event.data["verdict"] for event in feed.incidents("verdict", played.cast.tenant.name, AVAILABILITY)]
    wanted = played.cast.scenario.verdicts
    text = " or ".join(wanted)
    return Claim(f"the verdict is {text}", ", ".join(told) or "none", never_another(told, wanted), "verdict", text)


def never_another(told: Sequence[str], wanted: Sequence[str]) -> bool:
    """Something was told, and never anything but what is wanted: a relapse does not undo a wrong `effective`."""
    return bool(told) and set(told) <= set(wanted)


def _amplified(feed: Feed, played: Played) -> Claim:
    told = feed.incidents("diagnosed", played.cast.tenant.name, AVAILABILITY)
    rows = told[-1].data["amplifiers"] if told else ()
    present = [row["amplifier"] for row in rows if row["present"]]
    wanted = played.cast.scenario.amplifiers
    text, holds = ", ".join(wanted), set(wanted) == set(present)
    return Claim(f"made worse by {text}", ", ".join(present) or "none", holds, "amplifiers", text)


def _left_alone(played: Played) -> Claim:
    seen = "files, running values and commands as before" if played.left_alone else "something changed"
    return Claim(f"nothing happens for {UNTOUCHED_S:g} s while nobody has approved", seen, bool(played.left_alone))


def _approved(played: Played) -> Claim:
    said = played.approve_said
    return Claim("douse approve takes the yes", said or "exit code 0", not said)


def _refused(feed: Feed, played: Played) -> Claim:
    told, wanted = refusals(feed, played.cast.tenant.name), played.cast.scenario.refused
    holds = bool(told) and told[-1] == wanted
    return Claim(f"the guard refuses: {wanted}", ", ".join(told) or "never", holds, "steps", f"refused: {wanted}")


def _suggests_lift(feed: Feed, played: Played) -> Claim:
    told = feed.incidents("suggested", played.cast.tenant.name, AVAILABILITY)
    steps = [step["mitigation"] for event in told if event.data["kind"] == "lift" for step in event.data["steps"]]
    wanted = played.cast.scenario.suggests_lift
    text = f"it suggests to take back {', then '.join(wanted)}"
    return Claim(text, ", ".join(steps) or "nothing", tuple(steps) == wanted)


def _lifted(feed: Feed, played: Played) -> Claim:
    ended: dict[str, str] = {}
    for event in feed.incidents("lifted", played.cast.tenant.name, AVAILABILITY):
        ended[event.data["step"]["mitigation"]] = event.data["state"]
    wanted = played.cast.scenario.lifted
    text = ", then ".join(f"{name} {state}" for name, state in wanted)
    return Claim(f"on trial: {text}", _values(ended) or "nothing was tried", tuple(ended.items()) == wanted)


def _runs_with(stage: Stage, played: Played) -> Claim:
    """Every process of the victim, over HTTP: what the scenario's mitigations wanted, and else what it had."""
    tenant, scenario = played.cast.tenant.name, played.cast.scenario
    changed = {MITIGATES[name][0]: _wanted(stage, played, name) for name in scenario.stands}
    before = played.before.running[tenant]
    wanted = {name: changed.get(name.split(" ", 1)[1], value) for name, value in before.items()}
    running = stage.running(tenant)
    told = _values({name: value for name, value in wanted.items() if value != before[name]})
    return Claim(f"each process of {tenant} runs with {told}", _values(running), running == wanted != before)


def only_those_values(stage: Stage, played: Played) -> Claim:
    """The files are, byte for byte, what the world wrote with other values in those places; mode and owner are as
    before."""
    tenant = played.cast.tenant
    contents = {"service.toml": acme.service_text(stage.world, tenant), "client.json": acme.client_text(tenant)}
    for name in played.cast.scenario.stands:
        _, file, key = MITIGATES[name]
        contents[file] = with_value(contents[file], key, _wanted(stage, played, name))
    differ = [path.name for path in stage.files(tenant.name) if path.read_bytes() != contents[path.name].encode()]
    same_owners = stage.owners(tenant.name) == played.before.owners[tenant.name]
    bytes_seen = f"other bytes differ in {', '.join(differ)}" if differ else "all bytes as expected"
    owners_seen = "mode and owner kept" if same_owners else "mode or owner differs"
    keys = ", ".join(MITIGATES[name][2] for name in played.cast.scenario.stands)
    text = f"in the files of {tenant.name} not a byte changed outside {keys}"
    return Claim(text, f"{bytes_seen}, {owners_seen}", not differ and same_owners, "files", keys)


def _wanted(stage: Stage, played: Played, mitigation: str) -> Value:
    numerator, denominator = played.cast.scenario.scale
    match mitigation:
        case actuator.RESIZE:
            return stage.world.pool_size * numerator // denominator
        case actuator.BACKOFF:
            return "exponential"
        case actuator.SHED:
            return False
        case actuator.RECYCLE:
            return 2
        case _:
            raise AssertionError(f"no such mitigation: {mitigation}")


def with_value(content: str, key: str, value: Value) -> str:
    """The world's file with another value where the key stands. Finds it without any code of the product."""
    table, name = key.rsplit(".", 1)
    toml = content.find(f"\n[{table}]\n")
    start = toml if toml >= 0 else content.index(f'"{table}": {{')
    found = re.compile(rf'^ *(?:{name}\s*=|"{name}":)\s*("[^"]*"|\w+)', re.MULTILINE).search(content, start)
    assert found is not None, f"the world's own file has no {key}"
    return content[: found.start(1)] + json.dumps(value) + content[found.end(1) :]


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
    seen = "SHA-256 equal" if same else "SHA-256 differs"
    column = "files" if tenant == played.cast.tenant.name else ""
    return [
        Claim(f"the files of {tenant} have the bytes they had", seen, same, column, "unchanged"),
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
    text = ", ".join(wanted)
    return Claim(f"act reports {text}", ", ".join(words) or "nothing", tuple(words) == wanted, "steps", text)


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


def _values(running: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} {value}" for name, value in running.items())

"""Public events as lines for a doubtful reader: what was seen, why it was believed, what was done."""

from typing import Any

from schemas.envelope import Event
from schemas.events import StepRow
from stream.report import units

UNITS = (("_ratio", ""), ("_s", " s"), ("_us", " us"), ("_ms", " ms"))
FINDINGS_SHOWN = 5
AMPLIFYING_SHOWN = 2


def lines(event: Event) -> list[str]:
    """The event in words; no lines for what says nothing new."""
    data = event.data
    match event.type.removeprefix("dev.douse."):
        case "incident.opened":
            tier = next(one for one in data["burn"] if one["name"] == data["tier"])
            burn = f"{tier['long_milli'] / 1000:.0f}x over {tier['long_s']} s, {tier['short_milli'] / 1000:.0f}x over"
            limit = f"{tier['short_s']} s; {tier['name']} fires above {tier['factor_milli'] / 1000:g}x"
            return [f"BURN      {data['tenant']} burns its {data['slo']} budget {burn} {limit}"]
        case "incident.diagnosed":
            return _diagnosed(data)
        case "incident.planned":
            return [f"PLAN      {number}. {_step(step)}" for number, step in enumerate(data["steps"], 1)]
        case "incident.suggested" if data["kind"] == "lift":
            steps = ", ".join(step["mitigation"] for step in data["steps"])
            return [f"SUGGESTED to take back for {data['tenant']} what may be unnecessary now: {steps}"]
        case "incident.suggested":
            told = [f"SUGGESTED for {data['tenant']}; autonomy is {data['autonomy']}: plan {data['plan']}"]
            return told + [f"            {number}. {_step(step)}" for number, step in enumerate(data["steps"], 1)]
        case "incident.decided":
            taken = "taken up" if data["taken"] else f"not taken up: {data['detail']}"
            return [f"DECIDED   {data['word']} by {data['by']} for {data['tenant']}; {taken}"]
        case "incident.lifted":
            why = f": {data['detail']}" if data["detail"] else ""
            return [f"LIFT      {data['step']['mitigation']} for {data['tenant']}: {data['state']}{why}"]
        case "incident.refused":
            return [f"REFUSED   {data['tenant']}: {data['reason']}: {data['detail']}"]
        case "incident.verdict":
            counted = f"{data['errors']} errors in {data['requests']} requests over {data['window_s']} s"
            before = f"before {data['before_ppm'] / 10_000:.1f} %, burning is {data['p0_ppm'] / 10_000:.2f} %"
            return [f"VERDICT   {data['verdict']}: {counted} ({before}); {data['follows']}"]
        case "incident.handed_over":
            return [f"HANDED    {data['tenant']} to a person: {data['reason']}: {data['detail']}"]
        case "incident.closed":
            return [f"CLOSED    {data['tenant']}: {data['ending']}"]
        case "command.apply" | "command.confirm" | "command.revert":
            return [f"COMMAND   {data['kind']} for {data['actuator']}/{data['target']}, under key {event.keyid}"]
        case "outcome":
            return _outcome(data)
        case _:
            return []


def _step(step: dict[str, Any]) -> str:
    wanted = units.action(step["parameter"], StepRow.read(step).action)
    return f"{step['mitigation']}: {wanted} at {step['target']}"


def _diagnosed(data: dict[str, Any] | Any) -> list[str]:
    first, *others = data["ranked"]
    named = [one for one in others if one["cause"] != "unknown"]
    second = (named or others)[0]
    told = [
        f"CAUSE     {data['cause']} ({first['probability_ppm'] / 10_000:.1f} %), suspect {first['suspect'] or 'none'}"
    ]
    told += [f"            {_finding(one)}" for one in first["findings"][:FINDINGS_SHOWN]]
    for row in data["amplifiers"]:
        if row["present"]:
            told.append(f"            made worse by {row['amplifier']}:")
            told += [f"            {_finding(one)}" for one in row["findings"][:AMPLIFYING_SHOWN]]
    told.append(f"            not {second['cause']} ({second['probability_ppm'] / 10_000:.1f} %):")
    against = sorted(second["findings"], key=lambda one: one["weight_milli"])
    told += [f"            {_finding(one)}" for one in against[:2]] or ["            nothing else explains it"]
    return told


def _finding(finding: dict[str, Any]) -> str:
    value, before = finding.get("value_milli"), finding.get("before_milli")
    shown = "not known" if value is None else f"{value / 1000:g}"
    was = "not known" if before is None else f"{before / 1000:g}"
    return f"  {finding['name']:28} {was:>10} -> {shown:<10} weight {finding['weight_milli'] / 1000:+.1f}"


def _outcome(data: dict[str, Any] | Any) -> list[str]:
    reason = "" if data["reason"] == "none" else f" ({data['reason']})"
    told = [
        f"OUTCOME   {data['status']}{reason} at {data['actuator']}/{data['target']} {data.get('detail', '')}".rstrip()
    ]
    told += [
        f"            {one['process']} (pid {one['pid']}) says {one['before']} -> {one['after']}"
        for one in data.get("reloads", ())
    ]
    if data["status"] == "live":
        told += [f"            {line}" for line in data.get("diff", "").splitlines()]
    return told

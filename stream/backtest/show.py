"""The answers of a replay for a person: tables on a screen, lines in a pipe."""

from collections.abc import Sequence

from schemas import envelope
from stream import console
from stream.backtest import difference
from stream.backtest.answers import Answers, Incident
from stream.backtest.difference import Change

BUDGETS_SHOWN_MAX = 30  # the most expensive; JSON has all
REASONS_SHOWN_MAX = 20


def answers(found: Answers) -> None:
    """Incidents, refusals, budgets and counts."""
    incidents = list(found.incidents.values())
    if incidents:
        columns = ("onset", "tenant", "service", "SLO", "tier", "cause", "would have done", "refused", "ending")
        console.table(console.count(len(incidents), "incident"), columns, map(_row, incidents))
    else:
        print("no incidents")
    if found.refusals:
        rows = [_refusal(found, reason, count) for reason, count in found.refusals.most_common()]
        console.table("refusals", ("reason", "times", "the first"), rows)
    if found.budgets:
        spent = ("tenant", "service", "SLO", "requests", "bad", "of the period's budget")
        shown = found.budgets[:BUDGETS_SHOWN_MAX]
        console.table(
            f"budget spent, {len(shown)} of {len(found.budgets)}",
            spent,
            (
                (
                    f"{one.environment}/{one.tenant}",
                    one.service,
                    one.slo,
                    str(one.requests),
                    str(one.bad),
                    f"{one.period_ppm / 10_000:.4g} %",
                )
                for one in shown
            ),
        )
    for (topic, reason), count in found.rejected.most_common(REASONS_SHOWN_MAX):
        partition, offset = found.rejected_first[topic, reason]
        print(f"rejected: {count} of {topic}, the first {topic}[{partition}] offset {offset}: {console.clean(reason)}")
    print(_counts(found))


def changes(found: Sequence[Change]) -> None:
    """What the second configuration makes of the archive that the first does not."""
    if not found:
        print("no difference")
        return
    columns = ("onset", "tenant", "service", "SLO", "what", "first", "second")
    console.table(
        console.count(len(found), "difference"),
        columns,
        (
            (
                _time(one.onset_s),
                f"{one.environment}/{one.tenant}",
                one.service,
                one.slo,
                one.what,
                one.first or "none",
                one.second or "none",
            )
            for one in found
        ),
    )


def _row(incident: Incident) -> tuple[str, ...]:
    words = difference.words(incident)
    suggested = f"suggest: {words['would suggest']}" if words["would suggest"] != "none" else ""
    done = words["would do"] if words["would do"] != "none" else suggested or "none"
    likely = incident.ranked[0][2] if incident.ranked else 0
    cause = f"{incident.cause} {likely / 10_000:.0f} %" if incident.cause else "not named"
    return (
        _time(incident.onset_s),
        f"{incident.environment}/{incident.tenant}",
        incident.service,
        incident.slo,
        incident.tier,
        ", ".join([cause, *incident.amplifiers]),
        done,
        words["refused"],
        words["ending"],
    )


def _refusal(found: Answers, reason: str, count: int) -> tuple[str, str, str]:
    first = next(one for each in found.incidents.values() for one in each.refusals if one.reason == reason)
    numbers = ", ".join(f"{name} {value}" for name, value in sorted(first.numbers.items()))
    return reason, str(count), f"{first.detail} ({numbers})" if numbers else first.detail


def _counts(found: Answers) -> str:
    records = ", ".join(f"{count} of {topic}" for topic, count in sorted(found.records.items())) or "none"
    unattributed = ", ".join(f"{count} {name}" for name, count in found.unattributed().items()) or "none"
    late = ", ".join(f"{name} {found.counters[name]}" for name in ("late", "future", "records_lost"))
    skipped = f"; {found.silence_ms // 1000} s of silence skipped" if found.silence_ms else ""
    return (
        f"records: {records}; rejected {found.rejected_total}; {late}; unattributed: {unattributed}; "
        f"orders {found.orders}; storms {found.storms}{skipped}"
    )


def _time(second: int) -> str:
    return envelope.rfc3339(second * 1000)[:19].replace("T", " ")

"""Suggestions that wait for a person: plans to carry out, and steps of confirmed plans to take back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.control import PlanDecided
from schemas.events import Closed, Decided, Diagnosed, HandedOver, Planned, Refused, Suggested, Suggestion
from schemas.events import Word as Says
from schemas.identity import DEFAULT_ENVIRONMENT
from schemas.runbook import Autonomy, Cause
from stream.control import Word
from stream.people import standing
from stream.people.book import Book, Chapter
from stream.report import cause as evidence
from stream.report import units

FINDINGS_SHOWN_MAX = 4  # of a cause or an amplifier: the whole list stands in the report


@dataclass(frozen=True, slots=True)
class Waiting:
    """A suggestion that nobody has answered yet, with what speaks for it."""

    told: Suggested
    diagnosed: Diagnosed | None
    refused: Refused | None
    """Why a plan like this was not carried out lately, where that was said after it."""

    @property
    def whose(self) -> str:
        environment, tenant = self.told.environment, self.told.tenant
        return tenant if environment == DEFAULT_ENVIRONMENT else f"{environment}/{tenant}"

    @property
    def approvable(self) -> bool:
        """True where a yes carries it out: what is taken back needs no leave but the person's."""
        return self.told.kind is Suggestion.LIFT or self.told.autonomy in (Autonomy.APPROVE, Autonomy.AUTO)

    def fields(self) -> dict[str, Any]:
        told = self.told.fields()
        return {
            **{name: told[name] for name in ("plan", "incident", "environment", "tenant", "service", "slo", "at_ms")},
            **{name: told[name] for name in ("kind", "cause", "amplifiers", "autonomy", "steps", "tenants")},
            "approvable": self.approvable,
            "evidence": evidence_lines(self),
            "refused": self.refused.fields() if self.refused else None,
        }


def waiting(book: Book, words: Mapping[str, PlanDecided], now_ms: int) -> list[Waiting]:
    """All that wait, the oldest first. `words` are operators' words by plan, as the control topic has them: one that
    has expired without effect, or that lets a step stand, is no event of the incident."""
    found = [one for chapter in book.chapters.values() for one in _of(chapter, words, now_ms)]
    return sorted(found, key=lambda one: (one.told.at_ms, one.told.plan))


def plan_words(words: Mapping[str, Word]) -> dict[str, PlanDecided]:
    """The words on plans among the control topic's, by plan."""
    return {word.plan: word for word in words.values() if isinstance(word, PlanDecided)}


def evidence_lines(one: Waiting) -> list[str]:
    """Why it is suggested, in words and numbers: the cause, the runner-up, and each amplifier."""
    told = one.diagnosed
    if told is None:
        return [f"cause: {one.told.cause or 'not known'}"]
    found = next((row for row in told.ranked if row.cause == told.cause), None)
    rest = [row for row in told.ranked if row is not found]
    runner_up = next((row for row in rest if row.cause != Cause.UNKNOWN), rest[0] if rest else None)
    lines = [f"cause: {told.cause}"]
    if found is not None:
        suspect = f", suspect {found.suspect}" if found.suspect else ""
        lines = [f"cause: {found.cause} ({units.percent(found.probability_ppm)}){suspect}"]
        lines += [f"  {evidence.says(finding)}" for finding in found.findings[:FINDINGS_SHOWN_MAX]]
    if runner_up is not None:
        why = evidence.why_not(runner_up)
        lines.append(f"runner-up: {runner_up.cause} ({units.percent(runner_up.probability_ppm)}): {why}")
    for row in told.amplifiers:
        lines.append(f"amplifier {row.amplifier}: {'at work' if row.present else 'not seen'}")
        lines += [f"  {evidence.says(finding)}" for finding in row.findings[:FINDINGS_SHOWN_MAX]]
    return lines


def _of(chapter: Chapter, words: Mapping[str, PlanDecided], now_ms: int) -> list[Waiting]:
    latest: dict[Suggestion, int] = {}
    for place, told in enumerate(chapter.events):
        if isinstance(told, Suggested):
            latest[told.kind] = place
    found = []
    for kind, place in latest.items():
        told = chapter.events[place]
        assert isinstance(told, Suggested)
        after = chapter.events[place + 1 :]
        word = words.get(told.plan)
        if kind is Suggestion.APPLY:
            over = any(isinstance(one, Planned | HandedOver | Closed) for one in after)
            answered = [one for one in after if isinstance(one, Decided) and one.plan == told.plan and one.taken]
            over = over or any(_holds(one, word, now_ms) for one in answered[-1:])
        else:
            kept = word is not None and not word.approve and word.time_ms >= told.at_ms
            over = kept or not any(standing.stands(chapter, step.command) for step in told.steps)
        if not over:
            refused = next((one for one in reversed(after) if isinstance(one, Refused)), None)
            found.append(Waiting(told, chapter.last(Diagnosed), refused))
    return found


def _holds(said: Decided, word: PlanDecided | None, now_ms: int) -> bool:
    """True while an answer stands: a no for good, a yes until it expires."""
    return said.word is not Says.APPROVE or word is None or now_ms <= word.expires_ms

"""What an actuator admits, and the first reason for which it does not."""

from dataclasses import replace
from typing import Any

import pytest

from actuators.policy import admission
from actuators.policy.admission import Admitted, Facts, Refusal, Unread
from schemas.actuator import Allow
from schemas.commands import CommandKind, OutcomeReason, OutcomeStatus
from schemas.runbook import Scale, Set
from tests.actuators import commands

R = OutcomeReason
FACTS = Facts(
    actuator=commands.rules(),
    signer="key",
    age_ms=100,
    in_force=32,
    kills=frozenset(),
    applies_last_hour=0,
    unconfirmed=None,
    frozen=None,
)


def test_a_right_command_is_admitted_with_its_absolute_value() -> None:
    assert admission.admit(commands.command(), FACTS) == Admitted(commands.target(), 64)


@pytest.mark.parametrize(
    ("order", "facts", "reason"),
    [
        ({}, {"signer": None}, R.BAD_SIGNATURE),
        ({"action": None}, {}, R.MALFORMED),
        ({"confirm_ms": None}, {}, R.MALFORMED),
        ({"not_after_ms": None}, {}, R.MALFORMED),
        ({"applies": "another"}, {}, R.MALFORMED),
        ({"target": "other"}, {}, R.UNKNOWN_TARGET),
        ({"parameter": "timeout"}, {}, R.UNKNOWN_TARGET),
        ({"tenant": "globex"}, {}, R.TENANT_NOT_ALLOWED),
        ({"environment": "staging"}, {}, R.TENANT_NOT_ALLOWED),
        ({"mitigation": "drop-pool"}, {}, R.MITIGATION_NOT_ALLOWED),
        ({}, {"age_ms": 10_001}, R.NOT_AFTER),
        ({}, {"kills": {"global"}}, R.KILL_SWITCH),
        ({}, {"kills": {"tenant:default:acme"}}, R.KILL_SWITCH),
        ({}, {"kills": {"mitigation:raise-pool"}}, R.KILL_SWITCH),
        ({}, {"frozen": "unknown"}, R.BUSY),
        ({}, {"unconfirmed": "c0"}, R.BUSY),
        ({}, {"applies_last_hour": 10}, R.CAP_REACHED),
        ({}, {"target_applies_last_hour": 2, "target_applies_max": 2}, R.CAP_REACHED),
        ({}, {"since_applied_ms": 59_999, "cooldown_ms": 60_000}, R.CAP_REACHED),
        ({}, {"in_force": Unread(R.KEY_MISSING, "")}, R.KEY_MISSING),
        ({}, {"in_force": "32"}, R.EDIT_REFUSED),
        ({}, {"in_force": True}, R.EDIT_REFUSED),
        ({"action": Set(value=32)}, {}, R.NO_CHANGE),
        ({"action": Scale(numerator=1)}, {}, R.NO_CHANGE),
        ({"action": Scale(numerator=4)}, {}, R.OUT_OF_BOUNDS),
        ({"action": Set(value=7), "minimum": 1}, {}, R.OUT_OF_BOUNDS),
        ({"action": Set(value=90), "maximum": 64}, {}, R.OUT_OF_BOUNDS),
        ({"action": Set(value="big")}, {}, R.OUT_OF_BOUNDS),
    ],
)
def test_each_rule_refuses_alone(order: dict[str, Any], facts: dict[str, Any], reason: OutcomeReason) -> None:
    answer = admission.admit(commands.command(**order), replace(FACTS, **facts))
    assert isinstance(answer, Refusal)
    assert answer.reason is reason


def test_other_switches_stop_nothing() -> None:
    kills = {"tenant:default:globex", "mitigation:drop-pool", "tenant:staging:acme"}
    assert isinstance(admission.admit(commands.command(), replace(FACTS, kills=kills)), Admitted)


def test_a_forgery_learns_nothing_of_targets_and_tenants() -> None:
    forged = replace(FACTS, signer=None, kills={"global"}, frozen="x", age_ms=99_999)
    answers = {admission.admit(commands.command(target=name), forged) for name in ("pool", "none")}
    assert {answer.reason for answer in answers if isinstance(answer, Refusal)} == {R.BAD_SIGNATURE}


def test_scaling_rounds_down() -> None:
    order = commands.command(action=Scale(numerator=3, denominator=2))
    answer = admission.admit(order, replace(FACTS, in_force=33))
    assert isinstance(answer, Admitted)
    assert answer.value == 49


def test_a_word_is_set_only_where_the_target_lists_it() -> None:
    actuator = commands.rules(commands.target(choices=("linear", "exponential", True)))
    facts = replace(FACTS, actuator=actuator, in_force="linear")
    assert isinstance(admission.admit(commands.command(action=Set(value="exponential")), facts), Admitted)
    assert isinstance(admission.admit(commands.command(action=Set(value="none")), facts), Refusal)
    assert isinstance(admission.admit(commands.command(action=Set(value=1)), facts), Refusal)


def test_too_late_is_expired_and_unreadable_is_failed() -> None:
    assert Refusal(R.NOT_AFTER, "").status is OutcomeStatus.EXPIRED
    assert Refusal(R.UNREADABLE, "").status is OutcomeStatus.FAILED
    assert Refusal(R.KILL_SWITCH, "").status is OutcomeStatus.REFUSED


@pytest.mark.parametrize("kind", [CommandKind.CONFIRM, CommandKind.REVERT])
def test_a_word_counts_only_signed_and_about_a_change_of_its_own(kind: CommandKind) -> None:
    applied, word = commands.command(), commands.command("w", kind)
    assert admission.admit_word(word, "key", applied) is None
    unsigned = admission.admit_word(word, None, applied)
    unheard = admission.admit_word(word, "key", None)
    stranger = admission.admit_word(commands.command("w", kind, tenant="globex"), "key", applied)
    elsewhere = admission.admit_word(commands.command("w", kind, target="other"), "key", applied)
    reasons = [answer.reason for answer in (unsigned, unheard, stranger, elsewhere) if answer is not None]
    assert reasons == [R.BAD_SIGNATURE, R.UNKNOWN_COMMAND, R.TENANT_NOT_ALLOWED, R.UNKNOWN_TARGET]


def test_a_target_of_several_tenants_needs_the_leave_of_each() -> None:
    pool = commands.target(tenants=("acme", "globex"))
    leave = Allow(tenant="acme", mitigations=("raise-pool",))
    answers = [
        admission.admit(commands.command(), replace(FACTS, actuator=commands.rules(pool, allow=(leave, *more))))
        for more in (
            (),
            (Allow(tenant="globex", mitigations=("drop-pool",)),),
            (Allow(environment="staging", tenant="globex", mitigations=("raise-pool",)),),
            (Allow(tenant="globex", mitigations=("raise-pool",)),),
        )
    ]
    assert [isinstance(answer, Admitted) for answer in answers] == [False, False, False, True]
    assert all(answer.reason is R.TENANT_NOT_ALLOWED for answer in answers if isinstance(answer, Refusal))
    assert not any("globex" in answer.detail for answer in answers if isinstance(answer, Refusal))


def test_a_target_that_has_rested_and_is_below_its_cap_may_be_changed() -> None:
    facts = replace(
        FACTS, target_applies_last_hour=1, target_applies_max=2, since_applied_ms=60_000, cooldown_ms=60_000
    )
    assert isinstance(admission.admit(commands.command(), facts), Admitted)

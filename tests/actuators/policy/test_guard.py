"""The guard: every reason can be reached, the first in its order is told, and no name may mean everything."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actuators.policy import guard
from actuators.policy.guard import HOUR_MS, Facts, Refusal, TargetFacts
from detectors.state import DataState
from schemas.events import RefusalReason
from schemas.runbook import Limits, Mitigation, Scale, Target

NOW_MS = 1_800_000_000_000
MINUTE_MS = 60_000
LIMITS = Limits()
MITIGATION = Mitigation(name="more", parameter="pool_size", action=Scale(numerator=2), minimum=8, maximum=64)
TARGET = Target(
    id="north-pool", actuator="host", environment="live", tenants=("north",), service="basket", parameter="pool_size"
)
FACTS = Facts(
    now_ms=NOW_MS,
    environment="live",
    tenant="north",
    data_state=DataState.OK,
    act_from_ms=NOW_MS,
    lag_ms=0,
    target=TargetFacts(),
    tenant_applied_ms=(),
    switches={},
)

Case = tuple[Mitigation, Target, Facts]


def target(**changed: Any) -> Target:
    return Target(**{**TARGET.model_dump(), **changed})


def ago(*minutes: float) -> tuple[int, ...]:
    return tuple(NOW_MS - round(one * MINUTE_MS) for one in minutes)


# One change of the world for each reason, in the order in which the guard tells them.
FAULTS: dict[RefusalReason, Any] = {
    RefusalReason.EMPTY_TARGET: lambda m, t, f: (m, t.model_copy(update={"service": " "}), f),
    RefusalReason.WILDCARD_TARGET: lambda m, t, f: (m, t.model_copy(update={"actuator": "host*"}), f),
    RefusalReason.FENCE: lambda m, t, f: (m, t, replace(f, environment="test")),
    RefusalReason.SHARED_TARGET: lambda m, t, f: (m, t.model_copy(update={"tenants": ("north", "south")}), f),
    RefusalReason.BOUNDS: lambda m, t, f: (m.model_copy(update={"minimum": 65}), t, f),
    RefusalReason.KILL_SWITCH: lambda m, t, f: (m, t, replace(f, switches={"global": True})),
    RefusalReason.DATA_STATE: lambda m, t, f: (m, t, replace(f, data_state=DataState.STALE)),
    RefusalReason.WARMING_UP: lambda m, t, f: (m, t, replace(f, act_from_ms=NOW_MS + 1)),
    RefusalReason.LAG: lambda m, t, f: (m, t, replace(f, lag_ms=5_001)),
    RefusalReason.UNKNOWN_OUTCOME: lambda m, t, f: (m, t, replace(f, target=replace(f.target, unknown=True))),
    RefusalReason.UNCONFIRMED: lambda m, t, f: (m, t, replace(f, target=replace(f.target, unconfirmed=True))),
    RefusalReason.COOLDOWN: lambda m, t, f: (m, t, replace(f, target=replace(f.target, applied_ms=ago(5)))),
    RefusalReason.CAP_TARGET: lambda m, t, f: (
        m,
        t,
        replace(f, target=replace(f.target, applied_ms=(*ago(50, 20), *f.target.applied_ms))),
    ),
    RefusalReason.CAP_TENANT: lambda m, t, f: (m, t, replace(f, tenant_applied_ms=ago(50, 40, 20))),
}
ORDER = list(FAULTS)


def refused(case: Case, limits: Limits = LIMITS) -> Refusal | None:
    mitigation, at, facts = case
    return guard.refuses(mitigation, at, limits, facts)


def broken(*reasons: RefusalReason) -> Case:
    case: Case = (MITIGATION, TARGET, FACTS)
    for reason in reasons:
        case = FAULTS[reason](*case)
    return case


def test_a_named_target_within_all_limits_may_be_changed() -> None:
    assert refused(broken()) is None


@pytest.mark.parametrize("reason", ORDER)
def test_every_reason_is_reachable_alone(reason: RefusalReason) -> None:
    found = refused(broken(reason))
    assert found is not None
    assert found.reason is reason
    assert found.detail


@pytest.mark.parametrize(("first", "second"), list(combinations(ORDER, 2)), ids=str)
def test_of_two_reasons_the_first_in_the_order_is_told(first: RefusalReason, second: RefusalReason) -> None:
    found = refused(broken(first, second))
    assert found is not None
    assert found.reason is first


def test_reasons_that_time_cannot_mend_are_permanent_and_no_others() -> None:
    permanent = {reason for reason in ORDER if (found := refused(broken(reason))) and found.permanent}
    assert permanent == {
        RefusalReason.EMPTY_TARGET,
        RefusalReason.WILDCARD_TARGET,
        RefusalReason.FENCE,
        RefusalReason.SHARED_TARGET,
        RefusalReason.BOUNDS,
        RefusalReason.UNKNOWN_OUTCOME,
    }


def test_all_reasons_of_the_events_belong_to_the_guard_or_to_the_choice_before_it() -> None:
    choice = {"attempts", "cause_unknown", "no_mitigation", "not_allowed"}
    assert {reason.value for reason in RefusalReason} - {reason.value for reason in ORDER} == choice


NAMES = ("id", "actuator", "environment", "service")


@pytest.mark.parametrize("name", [*NAMES, "tenants"])
@pytest.mark.parametrize("text", ["", " ", "\t\n"])
def test_no_empty_name_passes(name: str, text: str) -> None:
    made = target(**{name: ("north", text) if name == "tenants" else text})
    found = refused((MITIGATION, made, replace(FACTS, environment=made.environment)))
    assert found is not None and found.reason is RefusalReason.EMPTY_TARGET


def test_a_target_of_no_tenant_is_not_one_of_all() -> None:
    found = refused((MITIGATION, target(tenants=()), FACTS))
    assert found is not None and found.reason is RefusalReason.EMPTY_TARGET


@given(st.sampled_from([*NAMES, "tenants"]), st.text("abc"), st.sampled_from("*?[]{}%"), st.text("abc"))
def test_no_wildcard_passes_and_none_that_matches_the_incident_either(
    name: str, before: str, sign: str, after: str
) -> None:
    text = before + sign + after
    made = target(**{name: ("north", text) if name == "tenants" else text})
    found = refused((MITIGATION, made, replace(FACTS, environment=made.environment, tenant=made.tenants[-1])))
    assert found is not None and found.reason is RefusalReason.WILDCARD_TARGET


@given(
    st.builds(
        Target,
        id=st.text(max_size=3),
        actuator=st.text(max_size=3),
        environment=st.text(max_size=3),
        tenants=st.lists(st.text(max_size=3), max_size=2).map(tuple),
        service=st.text(max_size=3),
        parameter=st.just("pool_size"),
    ),
    st.text(max_size=3),
    st.text(max_size=3),
)
def test_whatever_passes_is_one_tenants_own_and_fully_named(made: Target, environment: str, tenant: str) -> None:
    if refused((MITIGATION, made, replace(FACTS, environment=environment, tenant=tenant))) is None:
        assert (made.environment, made.tenants) == (environment, (tenant,))
        names = (made.id, made.actuator, environment, tenant, made.service)
        assert all(name.strip() and not set(name) & set("*?[]{}%") for name in names)


@pytest.mark.parametrize(
    ("scope", "stops"),
    [
        ("global", True),
        ("tenant:live:north", True),
        ("mitigation:more", True),
        ("tenant:live:south", False),
        ("tenant:test:north", False),
        ("mitigation:less", False),
    ],
)
def test_a_kill_switch_stops_what_it_names_while_it_is_on(scope: str, stops: bool) -> None:
    found = refused((MITIGATION, TARGET, replace(FACTS, switches={scope: True})))
    assert (found is not None and found.reason is RefusalReason.KILL_SWITCH and scope in found.detail) is stops
    assert refused((MITIGATION, TARGET, replace(FACTS, switches={scope: False}))) is None


@pytest.mark.parametrize("data_state", [one for one in DataState if one is not DataState.OK])
def test_nothing_happens_on_any_data_state_but_ok(data_state: DataState) -> None:
    found = refused((MITIGATION, TARGET, replace(FACTS, data_state=data_state)))
    assert found is not None and found.reason is RefusalReason.DATA_STATE
    assert data_state.text in found.detail


@pytest.mark.parametrize(
    ("minutes", "limits", "reason"),
    [
        ((10,), LIMITS, None),
        ((9.99,), LIMITS, RefusalReason.COOLDOWN),
        ((50, 40), LIMITS, RefusalReason.CAP_TARGET),
        ((60, 40), LIMITS, None),
        ((90,), Limits(cooldown_s=7200), RefusalReason.COOLDOWN),
        ((120,), Limits(cooldown_s=7200), None),
        ((), Limits(applies_per_hour_target=0), RefusalReason.CAP_TARGET),
        ((0,), Limits(cooldown_s=0), None),
    ],
)
def test_cooldown_and_cap_of_a_target(minutes: tuple[float, ...], limits: Limits, reason: RefusalReason | None) -> None:
    facts = replace(FACTS, target=TargetFacts(ago(*minutes)))
    found = refused((MITIGATION, TARGET, facts), limits)
    assert (found.reason if found else None) is reason


@pytest.mark.parametrize(
    ("minutes", "reason"), [((59, 30, 1), RefusalReason.CAP_TENANT), ((60, 30, 1), None), ((30, 1), None)]
)
def test_cap_of_a_tenant(minutes: tuple[float, ...], reason: RefusalReason | None) -> None:
    found = refused((MITIGATION, TARGET, replace(FACTS, tenant_applied_ms=ago(*minutes))))
    assert (found.reason if found else None) is reason


def test_limits_are_met_exactly_at_their_edge() -> None:
    assert refused((MITIGATION, TARGET, replace(FACTS, lag_ms=LIMITS.lag_ms_max))) is None
    assert refused((MITIGATION.model_copy(update={"minimum": 64}), TARGET, FACTS)) is None
    assert guard.HOUR_MS == HOUR_MS == 3_600_000


def test_numbers_say_by_how_much() -> None:
    found = refused(broken(RefusalReason.LAG))
    assert found is not None and dict(found.numbers) == {"lag_ms": 5_001, "lag_ms_max": 5_000}
    found = refused(broken(RefusalReason.COOLDOWN))
    assert found is not None and dict(found.numbers) == {"since_ms": 300_000, "cooldown_ms": 600_000}

"""The guard: every reason can be reached, the first in its order is told, and no name may mean everything."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actuators.policy import guard
from actuators.policy.guard import HOUR_MS, Facts, Fitness, FleetFacts, Refusal, TargetFacts
from detectors.state import DataState
from schemas.refusal import RefusalReason
from schemas.runbook import Autonomy, FreezeWindow, Limits, Mitigation, Scale, Target

NOW_MS = 1_800_000_000_000
MINUTE_MS = 60_000
LIMITS = Limits(freeze=(FreezeWindow(from_ms=NOW_MS + HOUR_MS, until_ms=NOW_MS + 2 * HOUR_MS, why="a fair"),))
MITIGATION = Mitigation(
    name="more", parameter="pool_size", action=Scale(numerator=2), minimum=8, maximum=64, capacity=True
)
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


def with_fleet(facts: Facts, **changed: Any) -> Facts:
    return replace(facts, fleet=replace(facts.fleet, **changed))


def fitting(facts: Facts, **changed: Any) -> Facts:
    return replace(facts, fitness=replace(facts.fitness, **changed))


def shared(at: Target, facts: Facts, tenant: str, level: Autonomy) -> tuple[Target, Facts]:
    """The same target with one tenant more, and the leave of that one and of the first."""
    leaves = {"north": Autonomy.AUTO, **facts.leaves, tenant: level}
    return at.model_copy(update={"tenants": (*at.tenants, tenant)}), replace(facts, leaves=leaves)


def ago(*minutes: float) -> tuple[int, ...]:
    return tuple(NOW_MS - round(one * MINUTE_MS) for one in minutes)


# One change of the world for each reason, in the order in which the guard tells them.
FAULTS: dict[RefusalReason, Any] = {
    RefusalReason.EMPTY_TARGET: lambda m, t, f: (m, t.model_copy(update={"service": " "}), f),
    RefusalReason.WILDCARD_TARGET: lambda m, t, f: (m, t.model_copy(update={"actuator": "host*"}), f),
    RefusalReason.FENCE: lambda m, t, f: (m, t, replace(f, environment="test")),
    RefusalReason.SHARED_TARGET: lambda m, t, f: (m, *shared(t, f, "south", Autonomy.APPROVE)),
    RefusalReason.BOUNDS: lambda m, t, f: (m.model_copy(update={"minimum": 65}), t, f),
    RefusalReason.KILL_SWITCH: lambda m, t, f: (m, t, replace(f, switches={"global": True})),
    RefusalReason.FREEZE_WINDOW: lambda m, t, f: (m, t, replace(f, now_ms=NOW_MS + HOUR_MS + MINUTE_MS)),
    RefusalReason.EXPIRED: lambda m, t, f: (m, t, replace(f, approved_until_ms=NOW_MS - 1)),
    RefusalReason.DATA_STATE: lambda m, t, f: (m, t, replace(f, data_state=DataState.STALE)),
    RefusalReason.WARMING_UP: lambda m, t, f: (m, t, replace(f, act_from_ms=NOW_MS + 1)),
    RefusalReason.LAG: lambda m, t, f: (m, t, replace(f, lag_ms=5_001)),
    RefusalReason.BLAST_RADIUS: lambda m, t, f: (
        m,
        *shared(t, with_fleet(f, known=False, shards_unknown=2), "east", Autonomy.AUTO),
    ),
    RefusalReason.FLEET_UNKNOWN: lambda m, t, f: (m, t, with_fleet(f, known=False, shards_unknown=2)),
    RefusalReason.STORM: lambda m, t, f: (m, t, with_fleet(f, alarming=11, tenants=20)),
    RefusalReason.UNKNOWN_OUTCOME: lambda m, t, f: (m, t, replace(f, target=replace(f.target, unknown=True))),
    RefusalReason.UNCONFIRMED: lambda m, t, f: (m, t, replace(f, target=replace(f.target, unconfirmed=True))),
    RefusalReason.COOLDOWN: lambda m, t, f: (m, t, replace(f, target=replace(f.target, applied_ms=ago(5)))),
    RefusalReason.CAP_TARGET: lambda m, t, f: (
        m,
        t,
        replace(f, target=replace(f.target, applied_ms=(*ago(50, 20), *f.target.applied_ms))),
    ),
    RefusalReason.CAP_TENANT: lambda m, t, f: (m, t, replace(f, tenant_applied_ms=ago(50, 40, 20))),
    RefusalReason.CAP_SERVICE: lambda m, t, f: (m, t, with_fleet(f, applies_service=6)),
    RefusalReason.CAP_FLEET: lambda m, t, f: (m, t, with_fleet(f, applies_fleet=20)),
    RefusalReason.OWNER: lambda m, t, f: (m, t, fitting(f, owner="an autoscaler")),
    RefusalReason.POOLS_SUM: lambda m, t, f: (m, t, fitting(f, pools_sum_after=201, connections_max=200)),
    RefusalReason.RETRIES_FIRST: lambda m, t, f: (m, t, fitting(f, retry_storm=True)),
    RefusalReason.USE_TIME_RISING: lambda m, t, f: (m, t, fitting(f, use_ratio_milli=1_201)),
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
        RefusalReason.OWNER,
        RefusalReason.POOLS_SUM,
        RefusalReason.RETRIES_FIRST,
    }


def test_all_reasons_of_the_events_belong_to_the_guard_or_to_the_choice_before_it() -> None:
    choice = {"attempts", "cause_unknown", "no_mitigation", "not_allowed", "rejected"}
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


@pytest.mark.parametrize(
    ("leave", "automatic", "allowed"),
    [
        (Autonomy.AUTO, True, True),
        (Autonomy.APPROVE, True, False),
        (Autonomy.APPROVE, False, True),
        (Autonomy.SUGGEST, False, False),
        (Autonomy.OBSERVE, False, False),
    ],
)
def test_a_shared_target_needs_as_much_leave_of_each_tenant_as_the_change(
    leave: Autonomy, automatic: bool, allowed: bool
) -> None:
    at, facts = shared(TARGET, replace(FACTS, automatic=automatic), "south", leave)
    found = refused((MITIGATION, at, facts))
    assert (found is None) is allowed
    if found is not None:
        assert found.reason is RefusalReason.SHARED_TARGET
        assert dict(found.numbers) == {"tenants": 2, "without_leave": 1}
        assert "south" not in found.detail, "events about one tenant name no other"


def test_who_is_not_named_gives_no_leave_to_a_shared_target() -> None:
    at, _ = shared(TARGET, FACTS, "south", Autonomy.AUTO)
    found = refused((MITIGATION, at, FACTS))
    assert found is not None and found.reason is RefusalReason.SHARED_TARGET


@pytest.mark.parametrize(
    ("alarming", "tenants", "stops"), [(2, 2, False), (3, 3, True), (3, 5, True), (3, 6, False), (549, 1_000, False)]
)
def test_a_storm_is_more_than_half_of_the_tenants_and_at_least_three(alarming: int, tenants: int, stops: bool) -> None:
    found = refused((MITIGATION, TARGET, with_fleet(FACTS, alarming=alarming, tenants=tenants)))
    assert (found is not None and found.reason is RefusalReason.STORM) is stops


@pytest.mark.parametrize("reason", [RefusalReason.FREEZE_WINDOW, RefusalReason.STORM, RefusalReason.FLEET_UNKNOWN])
def test_what_a_person_approved_may_go_against_freeze_and_storm(reason: RefusalReason) -> None:
    mitigation, at, facts = broken(reason)
    approved = replace(facts, automatic=False, approved_until_ms=facts.now_ms)
    assert refused((mitigation, at, approved)) is None


def test_no_approval_reaches_tenants_that_nobody_heard_of() -> None:
    mitigation, at, facts = broken(RefusalReason.BLAST_RADIUS)
    found = refused((mitigation, at, replace(facts, automatic=False)))
    assert found is not None and found.reason is RefusalReason.BLAST_RADIUS


@pytest.mark.parametrize(
    ("fleet", "reason"),
    [
        ({"target_standing": 1}, RefusalReason.UNCONFIRMED),
        ({"target_last_ms": NOW_MS - 599_999}, RefusalReason.COOLDOWN),
        ({"target_last_ms": NOW_MS - 600_000}, None),
        ({"target_applies": 2}, RefusalReason.CAP_TARGET),
    ],
)
def test_what_other_shards_did_to_the_target_counts_as_well(
    fleet: dict[str, int], reason: RefusalReason | None
) -> None:
    found = refused((MITIGATION, TARGET, with_fleet(FACTS, **fleet)))
    assert (found.reason if found else None) is reason


def test_the_steps_of_one_plan_count_against_the_caps_before_they_are_applied() -> None:
    facts = with_fleet(FACTS, applies_fleet=18)
    assert refused((MITIGATION, TARGET, replace(facts, steps_ahead=1))) is None
    found = refused((MITIGATION, TARGET, replace(facts, steps_ahead=2)))
    assert found is not None and found.reason is RefusalReason.CAP_FLEET


@pytest.mark.parametrize(
    "fitness",
    [
        Fitness(pools_sum_after=10_000),
        Fitness(pools_sum_after=200, connections_max=200),
        Fitness(use_ratio_milli=1_200),
        Fitness(retry_storm=True, retries_cut=True),
    ],
)
def test_capacity_may_grow_where_it_fits(fitness: Fitness) -> None:
    assert refused((MITIGATION, TARGET, replace(FACTS, fitness=fitness))) is None


def test_rules_for_capacity_do_not_stop_what_is_none() -> None:
    calmer = MITIGATION.model_copy(update={"capacity": False})
    facts = replace(FACTS, fitness=Fitness(use_ratio_milli=5_000, retry_storm=True))
    assert refused((calmer, TARGET, facts)) is None


def test_a_fleet_of_one_is_no_storm() -> None:
    assert refused((MITIGATION, TARGET, replace(FACTS, fleet=FleetFacts(tenants=1, alarming=1)))) is None

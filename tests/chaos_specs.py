"""Spec sets of the hostile worlds, and the services that they are about."""

import random
from dataclasses import dataclass, field

import numpy as np

from schemas import tiers
from schemas.runbook import (
    Autonomy,
    AutonomyRule,
    Cause,
    Course,
    Lift,
    Limits,
    Mitigation,
    OnSilence,
    Runbook,
    Scale,
    Set,
    Target,
)
from schemas.slo import Slo, SpanSli
from schemas.specs import SpecSet

ENVIRONMENT = "live"
SERVICES = ("basket", "search")
PARAMETERS = {"grow": "pool_size", "shrink": "pool_size", "calm": "backoff", "shed": "endpoint"}
"""What each mitigation changes; every service has a target for each parameter."""
CHANGES = ("slo", "sli", "target_ppm", "acts", "mitigation", "target", "autonomy")
LIMITS = (
    Limits(),
    Limits(cooldown_s=0, applies_per_hour_tenant=10, applies_per_hour_target=10, attempts_per_incident=3),
    Limits(cooldown_s=30, applies_per_hour_target=5, confirm_quiet_ms=5_000, confirm_grace_ms=1_000),
)


@dataclass
class Service:
    """One service of one tenant: its fault, and what its pool claims."""

    tenant: str
    name: str
    rate: int
    bad: float = 0.0
    exhausted: bool = False
    cured: float = 0.0
    """Share of the failures that is left while a change stands."""
    flows: np.ndarray = field(default_factory=lambda: np.zeros(5))

    @property
    def entity(self) -> tuple[str, str, str]:
        return (ENVIRONMENT, self.tenant, self.name)


def draw(draw: random.Random, services: list[Service], target_ppm: int, first_tier: int, page_acts: bool) -> SpecSet:
    """The spec set of one world, but for one thing that its operator changes now and then."""
    change = draw.choice(["", "", *CHANGES])
    names = [name for name in PARAMETERS if change != "mitigation" or name == "shrink"]
    plans = [("grow",), ("shrink",), ("grow", "calm", "shed"), ("calm", "grow")]
    draw.shuffle(plans)
    usual = draw.choice([Autonomy.AUTO] * 3 + [Autonomy.APPROVE])
    gone = draw.choice([one.entity for one in services])
    return SpecSet(
        slos=tuple(_objectives(change, gone, target_ppm, first_tier, page_acts)),
        mitigations=tuple(
            Mitigation(
                name=name,
                parameter=PARAMETERS[name],
                action=Scale(numerator=2) if PARAMETERS[name] == "pool_size" else Set(value=name),
                minimum=8,
                maximum=128,
                degrades=name == "shed",
                temporary=name == "calm",
                settle_ms=draw.choice([0, 1000, 5000]),
                on_silence=draw.choice(list(OnSilence)),
            )
            for name in names
        ),
        runbooks=(
            Runbook(
                cause=Cause.POOL_EXHAUSTED,
                courses=tuple(
                    Course(steps=plan, lift=draw.choice(list(Lift))) for plan in plans if set(plan) <= set(names)
                ),
            ),
        ),
        targets=tuple(
            Target(
                id=f"{one.tenant}-{one.name}-{parameter}",
                actuator="host",
                environment=ENVIRONMENT,
                tenants=(one.tenant,),
                service=one.name,
                parameter=parameter,
            )
            for one in services
            for parameter in sorted(set(PARAMETERS.values()))
            if change != "target" or one.entity != gone
        ),
        autonomy=tuple(
            AutonomyRule(environment=ENVIRONMENT, tenant=one.tenant, mitigation=name, level=level)
            for one in services
            for name in names
            for level in (draw.choice(list(Autonomy)) if change == "autonomy" else usual,)
        ),
        limits=draw.choice(LIMITS),
    )


def _objectives(
    change: str, gone: tuple[str, str, str], target_ppm: int, first_tier: int, page_acts: bool
) -> list[Slo]:
    return [
        Slo(
            name=word,
            sli=SpanSli(service=name, latency_ms_max=limit_ms, match={"v": "2"} if change == "sli" else {}),
            target_ppm=promised_ppm,
            tiers=tiers.defaults(promised_ppm, 2_592_000)[0][first_tier:],
            acts=limit_ms is None and change != "acts",
            page_acts=page_acts and change != "acts",
        )
        for name in SERVICES
        for word, limit_ms in (("availability", None), ("latency", 250))
        for promised_ppm in (900_000 if change == "target_ppm" else target_ppm,)
        if change != "slo" or (name, word) != (gone[2], "availability")
    ]

"""Shards: the same tenant is folded at the same place by whoever computes it."""

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import identity
from schemas.identity import Entity

NAME = st.text(min_size=1, max_size=40)


@given(NAME, NAME, st.integers(1, 64))
def test_a_shard_is_the_hash_of_environment_and_tenant(environment: str, tenant: str, shards: int) -> None:
    digest = blake2b(environment.encode() + b"\0" + tenant.encode(), digest_size=8).digest()
    assert identity.shard(environment, tenant, shards) == int.from_bytes(digest, "big") % shards


@given(NAME, st.integers(1, 64))
def test_a_missing_environment_is_the_default_one(tenant: str, shards: int) -> None:
    assert identity.shard("", tenant, shards) == identity.shard("default", tenant, shards)


@given(st.text(), st.integers(1, 64))
def test_what_fits_no_tenant_is_kept_in_shard_0(environment: str, shards: int) -> None:
    assert identity.shard(environment, identity.UNATTRIBUTED, shards) == 0


@pytest.mark.parametrize(("tenant", "shard"), [("acme-corp", 5), ("north", 12)])
def test_shards_never_move(tenant: str, shard: int) -> None:
    assert identity.shard("live", tenant, 16) == shard


def test_tenants_spread_evenly() -> None:
    counts = [0] * 16
    for number in range(16_000):
        counts[identity.shard("live", f"tenant-{number}", 16)] += 1
    assert min(counts) > 850
    assert max(counts) < 1150


def test_an_entity_is_its_key() -> None:
    assert tuple(Entity("live", "north", "basket")) == ("live", "north", "basket")

"""A folder of specs: what a user writes is read whole, every mistake is named at once, nothing is half taken."""

from pathlib import Path

import pytest

from schemas.runbook import Amplifier, Autonomy, Cause, Course, OnSilence, Scale, Set
from schemas.specs import SpecSet
from stream import specs

EXAMPLE = Path(__file__).parents[2] / "examples" / "acme" / "specs"
SLO = (EXAMPLE / "slos.yaml").read_text()
MITIGATION = """\
apiVersion: douse/v1
kind: Mitigation
metadata: {name: resize-pool}
spec:
  parameter: pool_size
  action: {op: scale, numerator: 2}
  minimum: 4
  maximum: 64
"""


def refused(folder: Path, **files: str) -> list[str]:
    """What is said about the example's files with these in their place."""
    for path in EXAMPLE.iterdir():
        (folder / path.name).write_text(path.read_text())
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    with pytest.raises(specs.BadSpecsError) as caught:
        specs.load(folder)
    return str(caught.value).splitlines()


def entry(kind: str, spec: str, name: str = "any") -> str:
    return f"apiVersion: douse/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def test_the_example_is_a_whole_spec_set() -> None:
    loaded = specs.load(EXAMPLE)
    assert loaded.notes == ()
    assert [slo.name for slo in loaded.specs.slos] == ["shop-availability", "shop-latency"]
    assert [slo.acts for slo in loaded.specs.slos] == [True, False]
    (mitigation,) = [one for one in loaded.specs.mitigations if one.name == "resize-pool"]
    assert (mitigation.action, mitigation.minimum, mitigation.maximum) == (Scale(numerator=2), 4, 64)
    assert mitigation.on_silence is OnSilence.REVERT
    (runbook,) = [one for one in loaded.specs.runbooks if one.cause is Cause.POOL_EXHAUSTED]
    storm, alone = runbook.courses
    assert storm.amplifiers == (Amplifier.RETRY_STORM,)
    assert storm.steps == ("resize-pool", "exponential-backoff", "shed-recommendations")
    assert alone == Course(steps=("resize-pool",))
    assert {target.tenants for target in loaded.specs.targets} == {("acme-corp",)}
    assert {rule.level for rule in loaded.specs.autonomy} == {Autonomy.AUTO}


def test_the_revision_does_not_depend_on_files_or_their_order(tmp_path: Path) -> None:
    texts = [path.read_text() for path in sorted(EXAMPLE.iterdir(), reverse=True)]
    (tmp_path / "all.yml").write_text("---\n".join(texts))
    assert specs.load(tmp_path).specs.revision == specs.load(EXAMPLE).specs.revision


def test_a_set_survives_the_wire() -> None:
    loaded = specs.load(EXAMPLE).specs
    assert SpecSet.read(loaded.fields()) == loaded


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (
            "runbooks",
            entry("Runbook", "{cause: pool_exausted, mitigations: [resize-pool]}"),
            "runbooks.yaml:4: spec.cause: 'pool_exausted' is not one of pool_exhausted, slow_database, "
            "slow_dependency, memory_leak, unknown (did you mean 'pool_exhausted'?)",
        ),
        (
            "runbooks",
            entry("Runbook", "{cause: pool_exhausted, mitigations: [resise-pool]}"),
            "runbooks.yaml:4: spec.mitigations[0]: no mitigation is named 'resise-pool' (did you mean 'resize-pool'?); "
            "known are resize-pool, exponential-backoff, shed-recommendations, recycle-workers",
        ),
        (
            "runbooks",
            entry("Runbook", "{cause: unknown, mitigations: [resize-pool]}"),
            "runbooks.yaml:4: spec.cause: what is not known is handed to a person; a runbook needs a cause that is "
            "named",
        ),
        (
            "targets",
            entry("Target", "{actuator: local, tenants: ['*'], service: shop-api, parameter: pool_size}"),
            "targets.yaml:4: spec.tenants: '*' is a wildcard, which is not read; name each one, as [acme-corp]",
        ),
        (
            "targets",
            entry("Target", "{actuator: local, tenants: [], service: shop-api, parameter: pool_size}"),
            "targets.yaml:4: spec.tenants: is empty; write [acme-corp]",
        ),
        (
            "targets",
            entry("Target", "{actuator: local, tenants: [acme-corp], service: shop, parameter: pool_size}"),
            "targets.yaml:4: spec.service: no service of an SLO is named 'shop' (did you mean 'shop-api'?); "
            "known are shop-api",
        ),
        (
            "targets",
            entry("Target", "{actuator: local, tenants: [acme-corp], service: shop-api, parameter: size}"),
            "targets.yaml:4: spec.parameter: no parameter of a mitigation is named 'size' (did you mean 'pool_size'?); "
            "known are endpoint_recommendations, pool_size, retry_backoff, workers_generation",
        ),
        (
            "autonomy",
            entry("Autonomy", "{rules: [{tenant: acme-*, mitigation: resize-pool, level: auto}]}"),
            "autonomy.yaml:4: spec.rules[0].tenant: 'acme-*' is a wildcard, which is not read; name each one, "
            "as acme-corp",
        ),
        (
            "autonomy",
            entry("Autonomy", "{rules: [{tenant: '', mitigation: resize-pool, level: auto}]}"),
            "autonomy.yaml:4: spec.rules[0].tenant: is empty; write acme-corp",
        ),
        (
            "autonomy",
            entry("Autonomy", "{rules: [{mitigation: resize-pool, level: auto}]}"),
            "autonomy.yaml:4: spec.rules[0].tenant: is missing; write acme-corp",
        ),
        (
            "mitigations",
            MITIGATION.replace("maximum: 64", "maximum: 2"),
            "mitigations.yaml:8: spec.maximum: 2 is below the minimum 4; write a number from 4",
        ),
        (
            "mitigations",
            MITIGATION.replace("{op: scale, numerator: 2}", "{op: set, value: 80}"),
            "mitigations.yaml:6: spec.action: sets 80, which is outside 4 to 64; write a value between",
        ),
        (
            "mitigations",
            MITIGATION.replace("numerator: 2", "numerator: 2, denominator: 2"),
            "mitigations.yaml:6: spec.action.numerator: 2/2 changes nothing; write e.g. numerator: 2",
        ),
        (
            "mitigations",
            MITIGATION + "  settle_s: 1\n",
            "mitigations.yaml:9: spec.settle_s: is not a known field (did you mean 'settle_ms'?); known are action, "
            "minimum, maximum, parameter, settle_ms, rollout_ms, on_silence, mend, degrades, "
            "capacity, cuts_retries, temporary",
        ),
        (
            "limits",
            entry("Limits", "{cooldown_s: ten}"),
            "limits.yaml:4: spec.cooldown_s: 'ten' is not a whole number; write 600",
        ),
        (
            "limits",
            entry("Limits", "{attempts_per_incident: 0}"),
            "limits.yaml:4: spec.attempts_per_incident: 0 is not between 1 and 10; write 2",
        ),
        (
            "limits",
            entry("Limit", "{}"),
            "limits.yaml:2: kind: 'Limit' is not one of Mitigation, Runbook, Target, Autonomy, Limits, Tenancy "
            "(did you mean 'Limits'?)",
        ),
        (
            "limits",
            "apiVersion: douse/v2\nkind: Limits\n",
            "limits.yaml:1: apiVersion: 'douse/v2' is not one of openslo/v1, douse/v1 (did you mean 'douse/v1'?)",
        ),
        ("limits", "kind: Limits\n", "limits.yaml:1: apiVersion: is missing; write openslo/v1, douse/v1"),
        (
            "more",
            SLO.partition("---\n")[0],
            "slos.yaml:5: metadata.name: there is another SLO 'shop-availability' at more.yaml:5; keep one of them",
        ),
        (
            "zmore",
            MITIGATION,
            "zmore.yaml:3: metadata.name: there is another mitigation 'resize-pool' at mitigations.yaml:5; "
            "keep one of them",
        ),
        (
            "zmore",
            entry("Limits", "{cooldown_s: 60}"),
            "zmore.yaml:4: spec: there is another document of kind 'Limits' at limits.yaml:5; keep one of them",
        ),
    ],
)
def test_a_mistake_is_named_with_file_line_field_and_what_would_be_right(
    tmp_path: Path, file: str, text: str, said: str
) -> None:
    assert said in refused(tmp_path, **{file: text})


def test_all_mistakes_of_all_files_are_named_at_once_and_in_order(tmp_path: Path) -> None:
    lines = refused(
        tmp_path,
        slos=SLO.replace("target: 0.999", "target: 1.5"),
        limits=entry("Limits", "{cooldown_s: -1}"),
        autonomy="a: [1\nb: 2\n",
    )
    assert [line.split(": ")[0] for line in lines] == ["autonomy.yaml:2", "limits.yaml:4", "slos.yaml:32"]


def test_a_text_mitigation_needs_no_bounds(tmp_path: Path) -> None:
    for path in EXAMPLE.iterdir():
        (tmp_path / path.name).write_text(path.read_text())
    text = "{parameter: backoff, action: {op: set, value: exponential}}"
    (tmp_path / "more.yaml").write_text(entry("Mitigation", text, "slow-retries"))
    loaded = specs.load(tmp_path)
    (slow,) = [one for one in loaded.specs.mitigations if one.name == "slow-retries"]
    assert slow.action == Set(value="exponential")
    assert loaded.notes == ("mitigation slow-retries is in no runbook: it is never chosen",)


@pytest.mark.parametrize("content", [None, ""])
def test_a_folder_without_specs_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "empty.yaml").write_text(content)
    with pytest.raises(specs.BadSpecsError):
        specs.load(tmp_path)


def test_what_will_only_be_suggested_is_said(tmp_path: Path) -> None:
    for path in EXAMPLE.iterdir():
        (tmp_path / path.name).write_text(path.read_text())
    assert specs.load(tmp_path).notes == ()
    (tmp_path / "autonomy.yaml").unlink()
    said = ": no autonomy rule for demo/acme-corp: changes are suggested, never made"
    assert specs.load(tmp_path).notes == tuple(
        f"target acme-corp-{name}{said}" for name in ("backoff", "pool", "recommendations", "workers")
    )


def test_what_has_no_effect_is_said(tmp_path: Path) -> None:
    for path in EXAMPLE.iterdir():
        (tmp_path / path.name).write_text(path.read_text().replace('"true"', '"false"'))
    (tmp_path / "targets.yaml").unlink()
    notes = specs.load(tmp_path).notes
    said = "autonomy demo/acme-corp/resize-pool: no target of this tenant has the parameter pool_size"
    assert said in notes
    assert notes[-1] == "no SLO has the annotation douse.dev/acts: 'true': incidents are reported, nothing is changed"

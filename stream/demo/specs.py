"""The example's specs as this world needs them: its names, and what its scenario has otherwise, in place of theirs.

examples/acme/specs is what people read; nothing is generated that does not stand there.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from examples.acme.world import Tenant, World
from stream.demo.scenario import Scenario

TEMPLATES = Path(__file__).resolve().parents[2] / "examples" / "acme" / "specs"
TENANT, SERVICE, ENVIRONMENT = "acme-corp", "shop-api", "demo"  # the names in the templates
CLIENTS = "retry_"  # parameters that begin so are the tabs', which every tenant has of its own
NO_STORM_STOP = 1_000  # tenants; where several scenarios share a stage, that they burn at once is the stage's doing


def write(folder: Path, world: World, scenarios: Sequence[Scenario], victims: Sequence[Tenant]) -> None:
    """A YAML file for each template. Where several scenarios share a stage, the first one's runbook is everyone's."""
    folder.mkdir(exist_ok=True)
    for template in sorted(TEMPLATES.glob("*.yaml")):
        documents = list(_documents(template, world, scenarios, victims))
        (folder / template.name).write_text(yaml.safe_dump_all(documents, sort_keys=False))


def targets(template: Any, world: World) -> Iterator[Any]:
    """A target for each tenant that has a service, or tabs, of its own; it names everyone who depends on it."""
    of_tabs = template["spec"]["parameter"].startswith(CLIENTS)
    for tenant in world.tenants:
        if tenant.lives_with and not of_tabs:
            continue
        found = renamed(template, {TENANT: tenant.name, SERVICE: world.service})
        if not of_tabs:
            found["spec"]["tenants"] += [one.name for one in world.tenants if one.lives_with == tenant.name]
        if "replicas" in found["spec"] and not tenant.has_worker:
            found["spec"]["replicas"] = 1
        found["spec"]["environment"] = world.environment
        yield found


def renamed(tree: Any, names: Mapping[str, str]) -> Any:
    """A copy in which each name is another one, wherever it stands in a text."""
    match tree:
        case dict():
            return {key: renamed(value, names) for key, value in tree.items()}
        case list():
            return [renamed(value, names) for value in tree]
        case str():
            for old, new in names.items():
                tree = tree.replace(old, new)
            return tree
        case _:
            return tree


def _documents(template: Path, world: World, scenarios: Sequence[Scenario], victims: Sequence[Tenant]) -> Iterator[Any]:
    first = scenarios[0]
    for document in yaml.safe_load_all(template.read_text()):
        spec = document["spec"]
        match document["kind"]:
            case "Target":
                yield from targets(document, world)
                continue
            case "Autonomy":
                level = {one.name: scenario.autonomy for one, scenario in zip(victims, scenarios, strict=True)}
                spec["rules"] = [
                    rule
                    | {"environment": world.environment, "tenant": tenant.name, "level": level.get(tenant.name, "auto")}
                    for tenant in world.tenants
                    for rule in spec["rules"]
                    if not tenant.lives_with  # who only lives with others gives no leave
                ]
            case "Limits":
                spec |= {"confirm_grace_ms": first.confirm_grace_ms, "confirm_quiet_ms": first.confirm_quiet_ms}
                if len({one.name for one in scenarios}) > 1:
                    spec |= {"storm_tenants_min": NO_STORM_STOP}
            case "Mitigation" if document["metadata"]["name"] == "resize-pool":
                numerator, denominator = first.scale
                spec["action"] = {"op": "scale", "numerator": numerator, "denominator": denominator}
            case "Runbook":
                for course in spec["courses"]:
                    course |= {"lift": first.lift} if "lift" in course else {}
        yield renamed(document, {SERVICE: world.service})

"""A folder of YAML files to one spec set: all is read and checked before anything starts, every mistake is named."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas import canonical, catalogue, openslo, yamlfile
from schemas.fields import Fields, nearest, one_of
from schemas.runbook import Autonomy, Limits
from schemas.specs import TENANT_ATTRIBUTES, SpecSet
from schemas.yamlfile import Document, Problem
from stream.trouble import OperatorNeededError

SUFFIXES = (".yaml", ".yml")
FILES_MAX = 1_000  # more files than that is another folder, given by mistake
SPEC_BYTES_MAX = (
    900_000  # one control record carries the whole set; brokers and clients take 1 MB unless told otherwise
)
API_VERSIONS = (openslo.API_VERSION, catalogue.API_VERSION)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The set, and what its authors should know: tiers that are left out, documents that are not used."""

    specs: SpecSet
    notes: tuple[str, ...]


class BadSpecsError(OperatorNeededError):
    """The folder cannot be used; `problems` are all that is wrong, in the order of the files."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def load(*places: Path) -> Loaded:
    """Reads files, and those of folders and their subfolders, as one set. Raises BadSpecsError, naming all mistakes."""
    problems: list[Problem] = []
    documents = [document for place in places for document in _documents(place, problems)]
    named = ", ".join(map(str, places))
    known = [document for document in documents if _has_version(document, problems)]
    objectives = openslo.read([each for each in known if _version(each) == openslo.API_VERSION], problems)
    entries = catalogue.read([each for each in known if _version(each) == catalogue.API_VERSION], problems)
    if not objectives.slos and not problems:
        problems.append(Problem(named, 0, "", "holds no SLO; write one (apiVersion: openslo/v1, kind: SLO)"))
    _check_names(objectives, entries)
    # References are checked against what was read; after a mistake that would name the consequences, not the cause.
    if not problems:
        _check_references(objectives, entries)
    if problems:
        raise BadSpecsError(problems)
    specs = SpecSet(
        tenant_attributes=entries.tenancy[0][0] if entries.tenancy else TENANT_ATTRIBUTES,
        slos=tuple(sorted((slo for slo, _ in objectives.slos), key=lambda slo: slo.name)),
        mitigations=tuple(sorted((each for each, _ in entries.mitigations), key=lambda each: each.name)),
        runbooks=tuple(
            sorted((each for each, _ in entries.runbooks), key=lambda each: (each.cause, each.service or ""))
        ),
        targets=tuple(sorted((each for each, _ in entries.targets), key=lambda each: each.id)),
        autonomy=tuple(
            sorted(
                (each for each, _ in entries.autonomy),
                key=lambda each: (each.environment, each.tenant, each.mitigation),
            )
        ),
        limits=entries.limits[0][0] if entries.limits else Limits(),
    )
    size_bytes = len(canonical.dumps(specs.fields()))
    if size_bytes > SPEC_BYTES_MAX:
        raise BadSpecsError([Problem(named, 0, "", f"is {size_bytes} bytes as one record; {SPEC_BYTES_MAX} fit")])
    return Loaded(specs, (*objectives.notes, *_idle(specs)))


def _documents(place: Path, problems: list[Problem]) -> list[Document]:
    if place.is_file():
        return yaml_file(place, str(place), problems)
    if not place.is_dir():
        problems.append(Problem(str(place), 0, "", "is not a folder; name the one that holds the YAML files"))
        return []
    paths = sorted(path for path in place.rglob("*") if path.suffix in SUFFIXES and not path.name.startswith("."))
    if not paths:
        problems.append(Problem(str(place), 0, "", f"holds no {' or '.join(SUFFIXES)} file"))
    if len(paths) > FILES_MAX:
        problems.append(Problem(str(place), 0, "", f"holds {len(paths)} files, more than {FILES_MAX}"))
        return []
    return [one for path in paths for one in yaml_file(path, str(path.relative_to(place)), problems)]


def yaml_file(path: Path, label: str, problems: list[Problem]) -> list[Document]:
    """The documents of one file, which mistakes are named after by `label`; none where it cannot be read."""
    try:
        found, wrong = yamlfile.read(path.read_text(encoding="utf-8"), label)
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(label, 0, "", f"cannot be read: {error}"))
        return []
    problems += wrong
    return list(found)


def _version(document: Document) -> str:
    node = document.root.values.get("apiVersion")
    return node.text if isinstance(node, yamlfile.Scalar) else ""


def _has_version(document: Document, problems: list[Problem]) -> bool:
    version = _version(document)
    if version in API_VERSIONS:
        return True
    root = Fields(document.file, "", document.root, problems)
    if version:
        root.refuse("apiVersion", f"{version!r} is not one of {one_of(API_VERSIONS)}{nearest(version, API_VERSIONS)}")
    else:
        root.refuse("apiVersion", f"is missing; write {one_of(API_VERSIONS)}")
    return False


def _check_names(objectives: openslo.Found, entries: catalogue.Found) -> None:
    _once("metadata.name", "SLO", [(slo.name, place) for slo, place in objectives.slos])
    _once("metadata.name", "mitigation", [(each.name, place) for each, place in entries.mitigations])
    _once("metadata.name", "target", [(each.id, place) for each, place in entries.targets])
    _once(
        "",
        "runbook for",
        [(f"{each.cause.value} of {each.service or 'every service'}", place) for each, place in entries.runbooks],
    )
    _once(
        "",
        "rule for",
        [(f"{each.environment}/{each.tenant}/{each.mitigation}", place) for each, place in entries.autonomy],
    )
    _once("", "document of kind", [("Limits", place) for _, place in entries.limits])
    _once("", "document of kind", [("Tenancy", place) for _, place in entries.tenancy])


def _once(key: str, what: str, named: Sequence[tuple[str, Fields]]) -> None:
    first: dict[str, Fields] = {}
    for name, place in named:
        before = first.setdefault(name, place)
        if before is not place:
            line, before_line = (each.name_line() if key else each.table.line for each in (place, before))
            text = f"there is another {what} {name!r} at {before.file}:{before_line}; keep one of them"
            place.problems.append(Problem(place.file, line, key or place.path, text))


def _check_references(objectives: openslo.Found, entries: catalogue.Found) -> None:
    services = sorted({slo.sli.service for slo, _ in objectives.slos})
    mitigations = [each.name for each, _ in entries.mitigations]
    parameters = sorted({each.parameter for each, _ in entries.mitigations})
    for runbook, place in entries.runbooks:
        written = "courses" if place.has("courses") else "mitigations"
        for number, course in enumerate(runbook.courses):
            for name in course.steps:
                _known(place, f"{written}[{number}]", "mitigation", name, mitigations)
        if runbook.service is not None:
            _known(place, "service", "service of an SLO", runbook.service, services)
    for target, place in entries.targets:
        _known(place, "service", "service of an SLO", target.service, services)
        _known(place, "parameter", "parameter of a mitigation", target.parameter, parameters)
    for rule, place in entries.autonomy:
        _known(place, "mitigation", "mitigation", rule.mitigation, mitigations)


def _known(place: Fields, key: str, what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        place.refuse(key, f"no {what} is named {name!r}{nearest(name, known)}; known are {one_of(known)}")


def _idle(specs: SpecSet) -> list[str]:
    """What is written, right, and without effect: worth a word, since its author expects something of it."""
    in_runbooks = {name for runbook in specs.runbooks for name in runbook.mitigations}
    changeable = {
        (target.environment, tenant, target.parameter) for target in specs.targets for tenant in target.tenants
    }
    parameter = {mitigation.name: mitigation.parameter for mitigation in specs.mitigations}
    notes = [
        f"mitigation {each.name} is in no runbook: it is never chosen"
        for each in specs.mitigations
        if each.name not in in_runbooks
    ]
    notes += [
        f"autonomy {rule.environment}/{rule.tenant}/{rule.mitigation}: no target of this tenant has the parameter "
        f"{parameter[rule.mitigation]}"
        for rule in specs.autonomy
        if rule.level in (Autonomy.APPROVE, Autonomy.AUTO)
        and (rule.environment, rule.tenant, parameter[rule.mitigation]) not in changeable
    ]
    ruled = {(rule.environment, rule.tenant) for rule in specs.autonomy}
    notes += [
        f"target {target.id}: no autonomy rule for {target.environment}/{tenant}: changes are suggested, never made"
        for target in specs.targets
        for tenant in target.tenants
        if (target.environment, tenant) not in ruled
    ]
    if specs.runbooks and not any(slo.acts for slo in specs.slos):
        notes.append(f"no SLO has the annotation {openslo.ACTS}: 'true': incidents are reported, nothing is changed")
    return notes

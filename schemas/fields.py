"""Asking a YAML tree for its fields: each question names what it expects, each wrong answer becomes a problem.

A question that cannot be answered records a problem and gives a stand-in, so that all mistakes of a folder are found
in one go; whoever asks must look at the problems before using the answers. Keys that nobody asked for are unknown.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from schemas.yamlfile import Items, Node, Problem, Scalar, Table, is_null

Choice = TypeVar("Choice", bound=StrEnum)

INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
NUMBER = re.compile(r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})")
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
TRUTH = {"true": True, "false": False}


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for a word that is close to a known one, else nothing."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {found[0]!r}?)" if found else ""


def one_of(known: Iterable[str]) -> str:
    """The known words for a message."""
    return ", ".join(known) or "none"


class Fields:
    """One mapping of a document, being asked."""

    def __init__(
        self, file: str, path: str, table: Table, problems: list[Problem], document: Table | None = None
    ) -> None:
        self.file, self.path, self.table, self.problems = file, path, table, problems
        self.document = document or table
        self._asked: list[str] = []
        self._forbidden: list[str] = []

    def where(self, key: str = "") -> str:
        """The field's full name, e.g. `spec.objectives[0].target`."""
        return ".".join(part for part in (self.path, key) if part)

    def line(self, key: str = "") -> int:
        return self.table.lines.get(key, self.table.line)

    def name_line(self) -> int:
        """The line of the document's `metadata.name`, or of this mapping where there is none."""
        metadata = self.document.values.get("metadata")
        return metadata.lines.get("name", metadata.line) if isinstance(metadata, Table) else self.table.line

    def refuse(self, key: str, text: str) -> None:
        """Record that the value of `key` (or the whole mapping for an empty key) is wrong."""
        self.problems.append(Problem(self.file, self.line(key.partition("[")[0]), self.where(key), text))

    def has(self, key: str) -> bool:
        self._asked.append(key)
        node = self.table.values.get(key)
        return node is not None and not (isinstance(node, Scalar) and is_null(node))

    def text(self, key: str, example: str, default: str | None = None) -> str:
        """A word or a sentence."""
        node = self._scalar(key, example, default is not None)
        return node.text if node is not None else default or ""

    def name(self, key: str, example: str, default: str | None = None) -> str:
        """A name of ours: letters, digits, dot, dash and underscore."""
        node = self._scalar(key, example, default is not None)
        if node is None:
            return default or ""
        if not NAME.fullmatch(node.text):
            self.refuse(key, f"{node.text!r} is not a name (letters, digits, '.', '_' and '-' inside); write {example}")
        return node.text

    def truth(self, key: str, default: bool) -> bool:
        node = self._scalar(key, "true or false", optional=True)
        if node is None:
            return default
        if node.text not in TRUTH:
            self.refuse(key, f"{node.text!r} is not true or false")
        return TRUTH.get(node.text, default)

    def integer(self, key: str, example: int, least: int, most: int, default: int | None = None) -> int:
        """A whole number from `least` to `most`."""
        node = self._scalar(key, str(example), default is not None)
        if node is None:
            return example if default is None else default
        if not (node.plain and INTEGER.fullmatch(node.text)):
            self.refuse(key, f"{node.text!r} is not a whole number; write {example}")
            return example
        value = int(node.text)
        if not least <= value <= most:
            self.refuse(key, f"{value} is not between {least} and {most}; write {example}")
        return value

    def number(self, key: str, example: str) -> Decimal | None:
        """A decimal number exactly as written; None where there is none."""
        node = self._scalar(key, example, optional=False)
        if node is None:
            return None
        if not NUMBER.fullmatch(node.text):
            self.refuse(key, f"{node.text!r} is not a number; write {example}")
            return None
        return Decimal(node.text)

    def choice(self, key: str, options: type[Choice], default: Choice | None = None) -> Choice:
        """One member of an enumeration, by its value."""
        words = [option.value for option in options]
        node = self._scalar(key, words[0], default is not None)
        if node is None:
            return default if default is not None else next(iter(options))
        if node.text not in words:
            self.refuse(key, f"{node.text!r} is not one of {one_of(words)}{nearest(node.text, words)}")
            return next(iter(options))
        return options(node.text)

    def texts(self, key: str, example: str, optional: bool = False) -> tuple[str, ...]:
        """A sequence of words, or a single one."""
        if not self.has(key):
            if not optional:
                self.refuse(key, f"is missing; write {example}")
            return ()
        node = self.table.values[key]
        nodes = node.values if isinstance(node, Items) else (node,)
        words: list[str] = []
        for place, inner in enumerate(nodes):
            if not isinstance(inner, Scalar) or not inner.text.strip():
                self._refuse_at(inner, f"{key}[{place}]", f"must be a word; write {example}")
            elif inner.text in words:
                self._refuse_at(inner, f"{key}[{place}]", f"{inner.text!r} is named twice")
            else:
                words.append(inner.text)
        if not nodes:
            self.refuse(key, f"is empty; write {example}")
        return tuple(words)

    def table_of(self, key: str, example: str, optional: bool = False) -> "Fields":
        """The mapping below `key`; an empty one where there is none."""
        if not self.has(key):
            if not optional:
                self.refuse(key, f"is missing; write {example}")
            return self._below(key, Table({}, {}, self.line(key)))
        node = self.table.values[key]
        if not isinstance(node, Table):
            self.refuse(key, f"must be a mapping; write {example}")
            return self._below(key, Table({}, {}, self.line(key)))
        if not node.values and not optional:
            self.refuse(key, f"is empty; write {example}")
        return self._below(key, node)

    def tables(self, key: str, example: str) -> tuple["Fields", ...]:
        """The mappings of the sequence below `key`."""
        if not self.has(key):
            self.refuse(key, f"is missing; write {example}")
            return ()
        node = self.table.values[key]
        if not isinstance(node, Items) or not node.values:
            self.refuse(key, f"must be a sequence that is not empty; write {example}")
            return ()
        found = []
        for place, inner in enumerate(node.values):
            if isinstance(inner, Table):
                found.append(self._below(f"{key}[{place}]", inner))
            else:
                self._refuse_at(inner, f"{key}[{place}]", f"must be a mapping; write {example}")
        return tuple(found)

    def strings(self, key: str) -> Mapping[str, str]:
        """All pairs of the mapping below `key`, values as text."""
        inner = self.table_of(key, "{name: value}", optional=True)
        return {name: inner.text(name, "text", "") for name in inner.table.values}

    def scalar(self, key: str, example: str) -> int | str | bool:
        """A value of whatever kind it is written in: 5, true, or text (in quotes always text)."""
        node = self._scalar(key, example, optional=False)
        if node is None:
            return ""
        if node.plain and INTEGER.fullmatch(node.text):
            return int(node.text)
        return TRUTH[node.text] if node.plain and node.text in TRUTH else node.text

    def forbid(self, key: str, text: str) -> None:
        """A field of the format that we cannot honour: refused with its own words where it stands."""
        self._forbidden.append(key)
        if key in self.table.values:
            self.refuse(key, text)

    def ignore(self, *keys: str) -> None:
        """Fields that may stand there and mean nothing to us."""
        self._asked += keys

    def done(self) -> None:
        """Nothing more will be asked: the keys that are left are unknown."""
        for key in self.table.values:
            if key not in self._asked and key not in self._forbidden:
                known = list(dict.fromkeys(self._asked))
                self.refuse(key, f"is not a known field{nearest(key, known)}; known are {one_of(known)}")

    def _below(self, key: str, table: Table) -> "Fields":
        return Fields(self.file, self.where(key), table, self.problems, self.document)

    def _scalar(self, key: str, example: str, optional: bool) -> Scalar | None:
        if not self.has(key):
            if not optional:
                self.refuse(key, f"is missing; write {example}")
            return None
        node = self.table.values[key]
        if not isinstance(node, Scalar):
            self.refuse(key, f"must be a single value; write {example}")
            return None
        if not node.text.strip():
            self.refuse(key, f"is empty; write {example}")
            return None
        return node

    def _refuse_at(self, node: Node, key: str, text: str) -> None:
        self.problems.append(Problem(self.file, node.line, self.where(key), text))

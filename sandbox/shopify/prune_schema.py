"""Cuts Shopify's introspection down to what a folder of documents uses, so that the repository can carry it.

    python -m sandbox.shopify.prune_schema admin_2026-10.json.gz connectors/shopify/queries \\
        sandbox/shopify/schema/admin_2026-10.pruned.json

Kept of a used type: the used fields and arguments, every value of a used enum, every field of a used input, and the
protected fields (customer data), so that a document which selects one is still recognised. `requiredAccess` and
`isProtected` stay. The source is Shopify's, ISC licence, see `schema/LICENSE-shopify.txt`.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphql import (
    DirectiveNode,
    FieldNode,
    GraphQLSchema,
    NamedTypeNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_client_schema,
    parse,
    validate,
    visit,
)

EXTRAS = ("requiredAccess", "isProtected")
PLAIN_KINDS = ("SCALAR", "ENUM")
TYPES_MAX = 500
_IMPORT = re.compile(r"^#import (.*?)\s*$", re.MULTILINE)


class Used(Visitor):
    """What a document touches."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.fields: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.types: set[str] = {"QueryRoot", "Mutation"}
        self.directives: set[str] = set()

    def enter_field(self, node: FieldNode, *_: object) -> None:
        parent = self.info.get_parent_type()
        if parent is not None and not node.name.value.startswith("__"):
            self.fields[parent.name][node.name.value] |= {argument.name.value for argument in node.arguments or ()}

    def enter_named_type(self, node: NamedTypeNode, *_: object) -> None:
        self.types.add(node.name.value)

    def enter_directive(self, node: DirectiveNode, *_: object) -> None:
        self.directives.add(node.name.value)


def prune(raw: dict[str, Any], documents: Sequence[str]) -> dict[str, Any]:
    """`raw` is the introspection result with its `data`. Raises `ValueError` when a document does not validate."""
    introspection: Any = raw["data"]
    schema: GraphQLSchema = build_client_schema(introspection, assume_valid=True)
    info = TypeInfo(schema)
    used = Used(info)
    for document in map(parse, documents):  # each by itself: two may have a fragment of one name
        errors = validate(schema, document)
        if errors:
            raise ValueError("; ".join(error.message for error in errors))
        visit(document, TypeInfoVisitor(info, used))
    return _cut(introspection["__schema"], used)


def _cut(full: dict[str, Any], used: Used) -> dict[str, Any]:
    by_name = {entry["name"]: entry for entry in full["types"]}
    kept: dict[str, dict[str, Any]] = {}
    todo = sorted(used.types | set(used.fields))
    while todo and len(kept) < TYPES_MAX:
        name = todo.pop()
        if name not in kept:
            kept[name] = _type(by_name[name], used.fields.get(name, {}), by_name)
            todo += _named(kept[name])
    for entry in kept.values():
        entry["interfaces"] = [i for i in entry.get("interfaces") or [] if i["name"] in kept]
        entry["possibleTypes"] = [i for i in entry.get("possibleTypes") or [] if i["name"] in kept] or None
    directives = [_bare(entry) for entry in full["directives"] if entry["name"] in used.directives]
    return {
        "queryType": {"name": "QueryRoot"},
        "mutationType": {"name": "Mutation"},
        "subscriptionType": None,
        "types": [kept[name] for name in sorted(kept)],
        "directives": directives,
    }


def _type(full: dict[str, Any], fields: dict[str, set[str]], by_name: dict[str, Any]) -> dict[str, Any]:
    entry = _bare(full)
    if full["kind"] in ("OBJECT", "INTERFACE"):
        entry["fields"] = [
            _field(field, fields.get(field["name"], set()))
            for field in full["fields"]
            if field["name"] in fields or _is_identity(field) or _is_protected(field, by_name)
        ]
    if full["kind"] == "INPUT_OBJECT":
        entry["inputFields"] = [_bare(field) for field in full["inputFields"]]
    if full["kind"] == "ENUM":
        entry["enumValues"] = [_bare(value) for value in full["enumValues"]]
    return entry


def _is_identity(field: dict[str, Any]) -> bool:
    return bool(field["name"] == "id")


def _is_protected(field: dict[str, Any], by_name: dict[str, Any]) -> bool:
    plain = by_name[_innermost(field["type"])]["kind"] in PLAIN_KINDS
    return bool(field.get("isProtected")) and plain and not any(a["type"]["kind"] == "NON_NULL" for a in field["args"])


def _field(full: dict[str, Any], arguments: set[str]) -> dict[str, Any]:
    field = _bare(full)
    field["args"] = [_bare(argument) for argument in full["args"] if argument["name"] in arguments]
    return field


def _bare(full: dict[str, Any]) -> dict[str, Any]:
    """Without texts; the extras only where they say something."""
    wordy = ("description", "deprecationReason", "isDeprecated", "specifiedByURL", "isOneOf")
    known = {"kind", "name", "type", "args", "defaultValue", "fields", "inputFields", "interfaces", "enumValues",
             "possibleTypes", "locations", "isRepeatable", *wordy}  # fmt: skip
    bare = {key: value for key, value in full.items() if key in known and key not in wordy}
    bare |= {key: full[key] for key in EXTRAS if full.get(key)}
    for name in ("interfaces", "possibleTypes"):
        if bare.get(name):
            bare[name] = [{"kind": entry["kind"], "name": entry["name"], "ofType": None} for entry in bare[name]]
    if bare.get("args"):
        bare["args"] = [_bare(argument) for argument in bare["args"]]
    return bare


def _named(entry: dict[str, Any]) -> list[str]:
    """Types that a kept type leads to."""
    fields = [*(entry.get("fields") or []), *(entry.get("inputFields") or [])]
    arguments = [argument for field in fields for argument in field.get("args") or []]
    return [_innermost(field["type"]) for field in (*fields, *arguments)]


def _innermost(type_: dict[str, Any]) -> str:
    while type_.get("ofType"):
        type_ = type_["ofType"]
    return str(type_["name"])


def _whole(name: str, texts: Mapping[str, str], imported: Mapping[str, Sequence[str]]) -> str:
    """A document with what it imports, each once."""
    names = [name]
    for known in names:
        names += [other for other in imported[known] if other not in names]
    return "\n".join(texts[known] for known in names)


def main(source: str, folder: str, target: str) -> None:
    """Read, prune, write; see the module's own text for the arguments."""
    with gzip.open(source) as stream:
        raw = json.load(stream)
    texts = {path.stem: path.read_text("utf-8") for path in sorted(Path(folder).glob("*.graphql"))}
    imported = {name: _IMPORT.findall(text) for name, text in texts.items()}
    parts = set().union(*imported.values())  # fragments: checked in the documents that they stand in
    documents = [_whole(name, texts, imported) for name in texts if name not in parts]
    pruned = {"data": {"__schema": prune(raw, documents)}}
    Path(target).write_text(json.dumps(pruned, separators=(",", ":"), sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:4])

"""What a query costs, and the leaky bucket it is paid from.

The published rules: a scalar is free, an object one point, a mutation ten, a connection its page size times one node.
The requested cost is reserved before a query runs; what it did not need is given back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

MUTATION = 10
Parent = GraphQLObjectType | GraphQLInterfaceType


@dataclass
class Bucket:
    """`size` points at most, `restored_per_s` points each second (Standard plan: 2,000 and 100)."""

    size: int = 2_000
    restored_per_s: int = 100
    _level: float = 0.0
    _at: datetime | None = None

    def __post_init__(self) -> None:
        self._level = float(self.size)

    def available(self, now: datetime) -> float:
        """Points at this moment."""
        if self._at is not None and now > self._at:
            restored = (now - self._at).total_seconds() * self.restored_per_s
            self._level = min(float(self.size), self._level + restored)
        self._at = now if self._at is None or now > self._at else self._at
        return self._level

    def take(self, points: int, now: datetime) -> bool:
        """Reserve points; False, and nothing taken, when there are too few."""
        if self.available(now) < points:
            return False
        self._level -= points
        return True

    def give_back(self, points: int) -> None:
        """Return what was reserved and not used."""
        self._level = min(float(self.size), self._level + points)


def requested_cost(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> int:
    """The cost before running: every page is taken to be full."""
    if operation.operation is OperationType.MUTATION:
        return MUTATION * len(operation.selection_set.selections)
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    pricer = _Pricer(schema, fragments, variables)
    root = schema.query_type
    return pricer.selections(root, operation.selection_set) if root is not None else 0


def actual_cost(data: Any) -> int:
    """The cost after running: one point per object that came back; a connection and its page info are free."""
    todo, count = [data], 0
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            count += 0 if {"nodes", "pageInfo", "hasNextPage"} & value.keys() else 1
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
    return max(0, count - 1)


class _Pricer:
    def __init__(
        self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode], variables: Mapping[str, Any]
    ) -> None:
        self.schema, self.fragments, self.variables = schema, fragments, variables

    def selections(self, parent: Parent, selected: SelectionSetNode) -> int:
        """Fields add up; of fragments on different types of one interface the dearest counts."""
        total, dearest = 0, 0
        for node in selected.selections:
            if isinstance(node, FieldNode):
                total += self._field(parent, node)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self.fragments[node.name.value]
                total += self.selections(self._named(fragment.type_condition.name.value), fragment.selection_set)
            elif isinstance(node, InlineFragmentNode) and node.type_condition is not None:
                inner = self._named(node.type_condition.name.value)
                dearest = max(dearest, self.selections(inner, node.selection_set))
        return total + dearest

    def _field(self, parent: Parent, node: FieldNode) -> int:
        if node.selection_set is None or node.name.value.startswith("__"):
            return 0
        type_ = get_named_type(parent.fields[node.name.value].type)
        if not isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            return 0
        size = self._size(node)
        if type_.name.endswith("Connection"):
            return size * self._node(type_, node.selection_set)
        return size * (1 + self.selections(type_, node.selection_set))

    def _node(self, connection: Parent, selected: SelectionSetNode) -> int:
        """One node of a connection with all below it."""
        for node in selected.selections:
            if isinstance(node, FieldNode) and node.name.value == "nodes" and node.selection_set is not None:
                type_ = get_named_type(connection.fields["nodes"].type)
                if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
                    return 1 + self.selections(type_, node.selection_set)
        return 1

    def _size(self, node: FieldNode) -> int:
        """`first` or the number of `ids`; 1 where a field has neither."""
        for argument in node.arguments or ():
            value = argument.value
            given = self.variables.get(value.name.value) if isinstance(value, VariableNode) else None
            if argument.name.value == "first":
                return int(value.value) if isinstance(value, IntValueNode) else int(given or 1)
            if argument.name.value == "ids":
                return len(given or ())
        return 1

    def _named(self, name: str) -> Parent:
        type_ = self.schema.type_map[name]
        if not isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            raise TypeError(name)
        return type_

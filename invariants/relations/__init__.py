"""The catalogue of relations: what every simulator must satisfy, call against call."""

from __future__ import annotations

from invariants.relations import metamorphic as m
from invariants.relations.comparing import Comparison, Relation, RelationBroken
from invariants.relations.reference import equals_reference

RELATIONS: tuple[Relation, ...] = (
    Relation(m.rerun_is_identical, "the same scenario gives the same fills, also after another one"),
    Relation(m.prefix_is_stable, "fills up to an instant do not depend on what comes after it"),
    Relation(m.time_shift, "moving time moves the fills"),
    Relation(m.price_shift, "moving prices moves the fills' prices"),
    Relation(m.size_scale, "scaling sizes, cap and position scales the fills"),
    Relation(m.mirror, "buys and sells are treated alike"),
    Relation(m.renamed_ids, "names of orders do not matter"),
    Relation(m.quiet_events, "tops of book, and trades that cross nothing, change nothing"),
    Relation(m.unfillable_order, "an order that cannot fill changes no other fill"),
    Relation(m.chunked_tape, "a tape in two pieces gives the fills of the whole", {"cap_action": "rest"}),
    Relation(m.inputs_are_not_changed, "the scenario is left as it was"),
    Relation(
        m.through_is_within_at,
        "what fills through fills at, no later (whole, no cap)",
        {"sizing": "whole", "position_cap_lots": None},
    ),
    Relation(equals_reference, "the fills are those of the reference simulator"),
)


def relation_named(name: str) -> Relation:
    """The relation of this name. Raises ``KeyError``."""
    return {relation.name: relation for relation in RELATIONS}[name]


__all__ = ["RELATIONS", "Comparison", "Relation", "RelationBroken", "equals_reference", "relation_named"]

"""One test per relation, and one for answering at all."""

from __future__ import annotations

import pytest

from invariants.conformance.trial import Trial
from invariants.relations import RELATIONS, Relation


def test_simulator_answers(trial: Trial) -> None:
    """It answers every scenario: no crash, no hang, no garbage, no endless list."""
    __tracebackhide__ = True
    trial.of_answers()


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)
def test_relation(relation: Relation, trial: Trial) -> None:
    """Related scenarios get related answers."""
    __tracebackhide__ = True
    trial.of_relation(relation)

"""The verdict of a whole session: laws, features, and what was not verified."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from invariants.conformance.tally import ANSWERS, Tally
from invariants.laws import LAWS
from invariants.relations import RELATIONS
from invariants.tapes import FEATURES
from invariants.tapes.supports import Supports
from invariants.verdict import Verdict
from simcore import Rules

FLOOR = 20
"""Times that a feature must be exercised before it counts as verified."""

FORMAT = "fillproof-verify/1"
ORDER = (ANSWERS, *(law.name for law in LAWS), *(relation.name for relation in RELATIONS))


@dataclass(frozen=True)
class Summary:
    """All tallies of a session, in the order in which they came in."""

    simulator: str
    rules: Rules | None
    supports: Supports
    seed: str
    tallies: tuple[Tally, ...]

    @cached_property
    def rows(self) -> tuple[Tally, ...]:
        """One tally a law or relation, shards added up; answers first."""
        shards = [t for t in self.tallies if t.kind == "exhaustive"]
        single = [t for t in self.tallies if t.kind not in ("exhaustive", "answers")] + self._answers()
        single.sort(key=lambda t: ORDER.index(t.name) if t.name in ORDER else len(ORDER))
        return (*single, *([_added(shards)] if shards else []))

    @cached_property
    def features(self) -> Counter[str]:
        """How often each feature of the generator was exercised, over all tests."""
        return sum((t.features for t in self.tallies), Counter(dict.fromkeys(FEATURES, 0)))

    @property
    def is_restricted(self) -> bool:
        """Whether the simulator, or the command, keeps the generator away from something."""
        return self.rules is not None or bool(self.supports.missing())

    @property
    def not_verified(self) -> tuple[str, ...]:
        """What SUPPORTS or the rules put out of reach."""
        out = tuple(f for f in FEATURES if self._is_out_of_reach(f))
        return (*(f"{name} (SUPPORTS)" for name in self.supports.missing()), *out)

    @property
    def too_rare(self) -> tuple[str, ...]:
        """The features that were within reach, and exercised fewer than ``FLOOR`` times."""
        if not any(t.features for t in self.tallies):
            return ()
        return tuple(f for f in FEATURES if self.features[f] < FLOOR and not self._is_out_of_reach(f))

    @property
    def verdict(self) -> Verdict:
        """The most severe one: pass < unknown < fail."""
        worst = Verdict.worst(Verdict(t.verdict) for t in self.rows)
        if worst is Verdict.FAIL or any(t.unanswered for t in self.tallies):
            return Verdict.FAIL
        if worst is Verdict.NOT_APPLICABLE or self.too_rare:
            return Verdict.UNKNOWN
        return worst

    def lines(self) -> Iterator[str]:
        """The summary as text."""
        width = max((len(t.name) for t in self.rows), default=0)
        yield f"{'':{width}}  {'verdict':14}  {'scenarios':>9}  {'exercised':>9}  {'judged':>9}"
        for tally in self.rows:
            yield _line(tally, width)
        yield ""
        yield from _columns([f"{name} {self.features[name]}" for name in FEATURES], "features exercised")
        for name in self.too_rare:
            yield f"feature {name}: unknown: exercised {self.features[name]} times, wanted at least {FLOOR}"
        for name in self.not_verified:
            yield f"not verified: {name}"
        yield f"seed {self.seed}; verdict: {self.verdict.value}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``--fillproof-json``."""
        return {
            "format": FORMAT,
            "simulator": self.simulator,
            "verdict": self.verdict.value,
            "seed": self.seed,
            "rules": None if self.rules is None else self.rules.to_dict(),
            "laws": [_law_dict(t) for t in self.rows],
            "features": dict(self.features),
            "too_rare": list(self.too_rare),
            "not_verified": list(self.not_verified),
        }

    def _is_out_of_reach(self, feature: str) -> bool:
        return self.is_restricted and self.features[feature] == 0

    def _answers(self) -> list[Tally]:
        """The row for answering at all: a failure counts, whichever test met it."""
        failed = Verdict.FAIL.value
        asked = sorted((t for t in self.tallies if t.kind == "answers"), key=lambda t: t.verdict != failed)
        met = next((t for t in self.tallies if t.unanswered), None)
        if met is None or (asked and asked[0].verdict == failed):
            return asked[:1]
        row = asked[0] if asked else Tally(ANSWERS, "answers", scenarios=met.scenarios)
        return [replace(row, verdict=failed, message=met.failure, case=met.case, case_not_kept=met.case_not_kept)]


def _added(shards: list[Tally]) -> Tally:
    """All shards as one row: the first that failed speaks for it, or else what the sums say."""
    verdict = Verdict.worst(Verdict(t.verdict) for t in shards)
    speaker = next(t for t in shards if t.verdict == verdict.value)
    total = Tally("exhaustive", "exhaustive", case=speaker.case, case_not_kept=speaker.case_not_kept)
    for name in ("failure", "cut_short"):
        setattr(total, name, next(filter(None, (getattr(t, name) for t in shards)), ""))
    for name in ("scenarios", "exercised", "judged", "undecided", "unanswered"):
        setattr(total, name, sum(getattr(t, name) for t in shards))
    if verdict is Verdict.FAIL:
        total.fail(speaker.message)
    else:
        total.conclude()
    return total


def _columns(words: list[str], title: str, columns: int = 3) -> Iterator[str]:
    """The words under a title, in columns read downwards."""
    yield title
    height = -(-len(words) // columns)
    widths = [max(map(len, words[i : i + height]), default=0) for i in range(0, len(words), height)]
    for row in range(height):
        yield "  " + "  ".join(w.ljust(widths[i]) for i, w in enumerate(words[row::height])).rstrip()
    yield ""


def _line(tally: Tally, width: int) -> str:
    counts = f"{tally.scenarios:>9}  {tally.exercised:>9}  {tally.judged:>9}"
    words = (tally.message or tally.reason).strip().splitlines()
    line = f"{tally.name:{width}}  {tally.verdict:14}  {counts}  {words[0] if words else ''}".rstrip()
    has_case = tally.verdict == Verdict.FAIL.value and tally.where
    return f"{line}\n{'':{width}}  case: {tally.where}" if has_case else line


def _law_dict(tally: Tally) -> dict[str, Any]:
    left_out = ("name", "features", "reasons", "failure", "cut_short", "crashed")
    return {"law": tally.name, **{k: v for k, v in tally.to_dict().items() if k not in left_out}}

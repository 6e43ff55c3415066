"""What a law is: a function over a run, one line in the catalogue, three verdicts."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from invariants.laws.ruling import Ruling
from invariants.laws.windows import lacks
from invariants.verdict import Finding, Judgement, LawBroken, Modelled, Verdict
from simcore.rules import Rules
from simcore.run import Run

Find = Callable[[Run], Ruling | Iterable[Ruling]]

_COLUMNS = ("submit_ns", "cancel_ns")
_PARTS = ("tape", "fills", "window", *_COLUMNS)

MAX_FINDINGS = 50
"""Findings worded for each law; the counts are always exact."""


@dataclass(frozen=True, eq=False)
class Law:
    """One law of the catalogue.

    ``only``: dial -> words under which the law applies; elsewhere it is not applicable.
    ``needs``: dials, columns and parts (tape, fills, window: when orders were live, by the rules or by
    the log) without which it can only answer *unknown*; one with a ``?`` is needed only where the fill of
    one order can hang on another. ``partly``: dials without which it judges some of its rows.
    """

    find: Find
    family: str
    statement: str
    only: Mapping[str, tuple[Any, ...]]
    needs: tuple[str, ...]
    partly: tuple[str, ...] = ()

    @cached_property
    def name(self) -> str:
        """The one name: of the function, the catalogue line, the finding, the test."""
        return self.find.__name__

    @cached_property
    def doc(self) -> str:
        """Why / Fails / Passes / Unknown / Source."""
        return inspect.getdoc(self.find) or ""

    @cached_property
    def error(self) -> type[LawBroken]:
        """The exception of this law alone, so that Hypothesis tells bugs apart."""
        name = "".join(word.capitalize() for word in self.name.split("_"))
        return type(name, (LawBroken,), {"__doc__": self.statement, "__module__": __name__})

    def applies(self, run: Run) -> str:
        """Why the law does not apply to the run's rules; empty where it does."""
        for dial, words in self.only.items():
            if run.rules.declares(dial) and not _is_one_of(getattr(run.rules, dial), words):
                return f"{dial} is {_word(getattr(run.rules, dial))}"
        return ""

    def narrow(self, rules: Rules) -> Rules:
        """``rules`` with the dials turned so that the law applies."""
        some = {"ttl_ns": rules.latency_ns + 5_000_000_000, "position_cap_lots": 10}
        changes: dict[str, Any] = {
            dial: some[dial] if words == (...,) else words[0]
            for dial, words in self.only.items()
            if not _is_one_of(getattr(rules, dial), words)
        }
        return replace(rules, **changes)

    def judge(self, run: Run, *, max_findings: int = MAX_FINDINGS) -> Judgement:
        """The law's verdict on a run. Never raises: a law that crashes is *unknown*, and says how."""
        reason = self.applies(run)
        if reason:
            return Judgement(self.name, Verdict.NOT_APPLICABLE, reason=reason)
        missing = self._missing(run)
        if missing:
            return Judgement(self.name, Verdict.UNKNOWN, reason=missing)
        try:
            answer = self.find(run)
            rulings = [answer] if isinstance(answer, Ruling) else list(answer)
            return _judgement(self.name, run, rulings, max_findings)
        except Exception:  # noqa: BLE001 - the judge's own bug must not acquit or convict anybody
            return Judgement(self.name, Verdict.UNKNOWN, reason=f"the law crashed:\n{traceback.format_exc()}")

    def check(self, run: Run) -> Judgement:
        """Like ``judge``, but raises ``self.error`` when the law is broken."""
        judgement = self.judge(run)
        if judgement.verdict is Verdict.FAIL:
            raise self.error(judgement)
        return judgement

    def _missing(self, run: Run) -> str:
        reasons = (self._undeclared(run.rules), self._unseen(run), *self._no_rows(run))
        return next(filter(None, reasons), "")

    def _undeclared(self, rules: Rules) -> str:
        apart = _orders_stand_apart(rules)
        needs = [n.removesuffix("?") for n in self.needs if n not in _PARTS and not (apart and n.endswith("?"))]
        dials = [dial for dial in dict.fromkeys((*self.only, *needs)) if not rules.declares(dial)]
        return f"undeclared: {', '.join(dials)}" if dials else ""

    def _unseen(self, run: Run) -> str:
        if "window" in self.needs and lacks(run, "nominal") and lacks(run, "logged"):
            return lacks(run, "nominal")
        unseen = [c for c in _COLUMNS if c in self.needs and run.provenance.get(c) in ("absent", "nominal")]
        return f"{', '.join(unseen)} is absent, or computed from the rules" if unseen and len(run.orders) else ""

    def _no_rows(self, run: Run) -> Iterator[str]:
        if "fills" in self.needs and not len(run.fills):
            yield "no row to judge"
        if "tape" in self.needs and not run.has_tape:
            yield "no tape was given"
        if "tape" in self.needs and not run.is_tape_ordered:
            yield "the tape runs backwards (time_is_ordered)"


def _orders_stand_apart(rules: Rules) -> bool:
    """Whether no order's fill can hang on another order: no cap, and no shared volume."""
    uncapped = rules.declares("position_cap_lots") and rules.position_cap_lots is None
    return uncapped and rules.declares("sizing") and rules.sizing != "shared"


def _is_one_of(value: Any, words: tuple[Any, ...]) -> bool:
    return value is not None if words == (...,) else value in words


def _word(value: Any) -> str:
    return "none" if value is None else str(value)


def _judgement(law: str, run: Run, rulings: list[Ruling], max_findings: int) -> Judgement:
    rulings, modelled = _by_model(law, run.rules, rulings)
    failed = sum(len(r.broken) for r in rulings)
    judged = sum(r.judged for r in rulings)
    undecided = sum(r.undecided for r in rulings)
    findings: list[Finding] = []
    for ruling in rulings:
        findings += [
            _finding(law, run, ruling, k) for k in range(min(len(ruling.broken), max_findings - len(findings)))
        ]
    reasons = list(dict.fromkeys(r.reason for r in rulings if r.reason))
    absent = [r.not_applicable for r in rulings if r.not_applicable]
    if failed:
        verdict = Verdict.FAIL
    elif absent and not judged and not undecided:
        verdict, reasons = Verdict.NOT_APPLICABLE, absent
    elif undecided or not judged:
        verdict, reasons = Verdict.UNKNOWN, reasons or ["no row to judge"]
    else:
        verdict = Verdict.PASS
    by_model = sum(modelled.values())
    counted = tuple(Modelled(kind, count, run.rules.documented[f"{law}.{kind}"]) for kind, count in modelled.items())
    return Judgement(
        law, verdict, judged, failed, undecided, by_model, "; ".join(reasons), tuple(findings), modelled=counted
    )


def _by_model(law: str, rules: Rules, rulings: list[Ruling]) -> tuple[list[Ruling], dict[str, int]]:
    """The rulings without the broken rows of which the rules document a kind, and how many of each."""
    kinds = {name.partition(".")[2] for name in rules.documented if name.partition(".")[0] == law}
    counts: dict[str, int] = {}
    if not kinds:
        return rulings, counts
    left: list[Ruling] = []
    for ruling in rulings:
        model = [next((kind for kind in named.split() if kind in kinds), "") for named in ruling.kinds]
        for kind in filter(None, model):
            counts[kind] = counts.get(kind, 0) + 1
        left.append(_without(ruling, [k for k, kind in enumerate(model) if kind]))
    return left, counts


def _without(ruling: Ruling, gone: list[int]) -> Ruling:
    """The ruling without some of its broken rows; they stay judged."""
    if not gone:
        return ruling
    keep = np.setdiff1d(np.arange(len(ruling.broken)), gone)
    tell = ruling.tell
    places = tuple(ruling.places[k] for k in keep.tolist()) if ruling.places else ()
    return replace(ruling, broken=ruling.broken[keep], tell=lambda k: tell(int(keep[k])), places=places, kinds=())


def _finding(law: str, run: Run, ruling: Ruling, k: int) -> Finding:
    field, got, want, because, story = ruling.tell(k)
    table = ruling.table
    file, row = ruling.places[k] if ruling.places else _place(run, table, int(ruling.broken[k]))
    where = table if row is None else f"{table} row {row}"
    message = f"{where} {field}={got}, but should be {want}" + (f" [{because}]" if because else "")
    return Finding(law, table, file, row, message, story)


def _place(run: Run, table: str, index: int) -> tuple[str, int | None]:
    """The file and the row in it; reported figures have none."""
    tables: dict[str, Any] = {
        "tape": run.trades,
        "quotes": run.tops,
        "orders": run.orders,
        "fills": run.fills,
        "positions": run.positions,
    }
    if table not in tables:
        return run.files.get(table, table), None
    return run.place_of(table, int(tables[table].row[index]))

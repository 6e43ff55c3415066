"""A calibration as text and as plain JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from invariants.calibration.answers import OWN, Rule
from invariants.calibration.calibrating import Calibration
from invariants.calibration.makers import FrontOfQueue, Part
from invariants.calibration.scores import Score

FORMAT = "fillproof-calibration/1"

HEAD = ("rule", "right", "early", "late", "missed", "phantom", "same size", "volume", "error")
PARTS = ("rule", "next fill right", "early", "late", "missed", "rest filled right", "early", "missed")


_PERCENTAGES = (
    "right, early, late and missed are shares of the orders that the venue filled, phantom of those that the rule",
    "fills, same size of those that both fill; volume is all that the rule fills over all that the venue did; error",
    "is the median of the rule's first fill minus the real one. Queue L1 waits behind the displayed size, queue L3",
    "behind the orders ahead. The tape holds the very trades that filled each order: a rule is to find them, and",
    "no others.",
)

_ONLY_FILLS = (
    "Only fills are known: no submit, no size, no cancel, no order that never filled. What can be judged is the",
    "rest of an order after its first fill, when it stands at its limit with nobody ahead of it; nothing can be",
    "said of queues, of orders that never filled, or of how long a fill took.",
)

_BY_TIME = (
    "The file is taken to be in the exchange's order. `by time` are the same executions sorted by their timestamps,",
    "as a tape usually is: what is lost there is the tape's fault, and no fill rule can mend it.",
)


def calibration_dict(found: Calibration | FrontOfQueue) -> dict[str, Any]:
    """Plain values."""
    if isinstance(found, FrontOfQueue):
        return {"format": FORMAT, "kind": "fills of real makers", **asdict(found)}
    return {
        "format": FORMAT,
        "kind": "lives of real orders",
        "read": found.read,
        "judged": found.judged,
        "aside": dict(found.aside),
        "tolerance_ns": found.tolerance_ns,
        "depth": found.depth,
        "tape": dict(found.tape),
        "events": dict(found.events),
        "rules": [_row(rule, score) for rule, score in found.scores],
        "by_distance": [
            {"distance": name, "rules": [_row(rule, score) for rule, score in scores]}
            for name, scores in found.by_distance
        ],
        "inputs": dict(found.inputs),
    }


def _row(rule: Rule, score: Score) -> dict[str, Any]:
    return {"rule": rule.name, "cross": rule.cross, "sizing": rule.sizing, **asdict(score)}


def calibration_text(found: Calibration | FrontOfQueue) -> str:
    """The tables, and what they mean."""
    lines = _makers_lines(found) if isinstance(found, FrontOfQueue) else _lives_lines(found)
    return "\n".join(lines) + "\n"


def _lives_lines(found: Calibration) -> Iterator[str]:
    yield f"{found.read:,} real orders = {found.judged:,} judged + {sum(found.aside.values()):,} set aside"
    yield from _asides(found.aside)
    yield _sources(found)
    if not found.judged:
        yield "Nothing could be judged."
        return
    first = found.scores[0][1]
    yield ""
    yield (
        f"The venue filled {first.filled:,} of the {first.orders:,}. Right: first filled within"
        f" {found.tolerance_ns / 1e9:g} s of the real fill; phantom: filled, though the venue did not."
    )
    yield ""
    yield from _table(HEAD, [_cells(rule, score) for rule, score in found.scores])
    yield ""
    yield from _meaning(found)
    yield ""
    yield f"By distance from the touch at submit ({found.depth}): right / early + late / missed / phantom"
    yield ""
    # how much a trade can fill decides nothing about the first fill
    shown = [at for at, (rule, _) in enumerate(found.scores) if rule.sizing == "whole" or rule.name == OWN]
    head = ("distance", "filled", *(_crossing(found.scores[at][0]) for at in shown))
    yield from _table(head, [_distance(name, scores, shown) for name, scores in found.by_distance])


def _crossing(rule: Rule) -> str:
    return rule.name.partition(",")[0]


def _distance(name: str, scores: Sequence[tuple[Rule, Score]], shown: Sequence[int]) -> tuple[str, ...]:
    first = scores[0][1]
    return (name, f"{first.filled:,} of {first.orders:,}", *(_short(scores[at][1]) for at in shown))


def _asides(aside: Mapping[str, int]) -> Iterator[str]:
    for reason, count in sorted(aside.items(), key=lambda item: -item[1]):
        yield f"  {count:>9,}  {reason}"


def _sources(found: Calibration) -> str:
    told = {
        "order events": "what stood ahead of each order and which orders took at once: from the order events",
        "tops of book": "which orders took at once: from the tops of book, as often as they come",
        "nothing": "no book: orders that took at once cannot be told from others, and are judged like them",
    }[found.depth]
    rejected = f", {found.tape['rejected']:,} rows rejected" if found.tape["rejected"] else ""
    unusable = found.events.get("unusable", 0)
    rejected += f", {unusable:,} of {found.events['read']:,} order events unusable" if unusable else ""
    return f"Tape: {found.tape['trades']:,} trades, {found.tape['tops']:,} tops of book{rejected}; {told}."


def _cells(rule: Rule, score: Score) -> tuple[str, ...]:
    both = score.filled - score.missed
    error = "-" if score.median_error_s is None else f"{score.median_error_s:+.3f} s"
    return (
        rule.name,
        *(_share(n, score.filled) for n in (score.right, score.early, score.late, score.missed)),
        _share(score.phantom, score.fills),
        _share(score.same_size, both),
        f"{score.lots / score.real_lots:.3f} x" if score.real_lots else "-",
        error,
    )


def _share(count: int, whole: int) -> str:
    return f"{count:,} ({_percent(count, whole)})" if whole else f"{count:,}"


def _percent(count: int, whole: int) -> str:
    """One decimal, and never all or nothing where it is not."""
    share = 100 * count / whole if whole else 0.0
    if 0 < share < 0.05:
        return "< 0.1 %"
    return "> 99.9 %" if 99.95 <= share < 100 else f"{share:.1f} %"


def _short(score: Score) -> str:
    return f"{score.right:,} / {score.early + score.late:,} / {score.missed:,} / {score.phantom:,}"


def _meaning(found: Calibration) -> Iterator[str]:
    """What the percentages are of, and what they say of each way to cross."""
    yield from _PERCENTAGES
    for name, rows in groupby(found.scores, key=lambda scored: _crossing(scored[0])):
        listed = list(rows)
        rule, score = listed[0]
        if score.filled:
            volumes = " or ".join(f"{s.lots / s.real_lots:.2f} ({r.sizing})" for r, s in listed)
            yield (
                f"- {name}: {_percent(score.filled - score.missed, score.filled)} of the venue's fills,"
                f" {_percent(score.right, score.filled)} on time; {_percent(score.phantom, score.fills)} of its own"
                f" never happened{_worst(found, rule)}; volume {volumes} times the real"
            )
    total = found.scores[0][1]
    never = _percent(total.orders - total.filled, total.orders)
    yield f"- a rule that never fills is right about {never} of all orders: such a share says nothing"


def _worst(found: Calibration, rule: Rule) -> str:
    """Where most of a rule's fills are phantoms."""
    scores = [(name, dict(rows)[rule]) for name, rows in found.by_distance]
    shares = [(score.phantom / score.fills, name, score) for name, score in scores if score.phantom]
    if not shares:
        return ""
    _, name, score = max(shares, key=lambda share: share[0])
    return f" ({name}: {score.phantom:,} of {score.fills:,})"


def _makers_lines(found: FrontOfQueue) -> Iterator[str]:
    yield f"{found.executions:,} executions = {found.used:,} used + {sum(found.aside.values()):,} set aside"
    yield from _asides(found.aside)
    yield f"{found.makers:,} maker orders = {found.judged:,} judged + {sum(found.orders_aside.values()):,} set aside"
    yield from _asides(found.orders_aside)
    if not found.judged:
        yield "Nothing could be judged."
        return
    yield ""
    yield from _ONLY_FILLS
    yield ""
    rows = [_part(part, part.name, found.judged) for part in found.parts]
    rows += [_part(part, f"{part.name}; by time", found.judged) for part in found.by_time]
    yield from _table(PARTS, rows)
    yield ""
    own, through = _share(found.own, found.at_limit), _share(found.through, found.judged)
    yield f"Of {found.at_limit:,} executions exactly at such a limit {own} were fills of the order that"
    yield "stood there first: so nearly does the venue keep price-time priority, and so nearly is `at` with the traded"
    yield "size right for an order without a queue. `through` waits for an execution beyond the limit: before its last"
    yield f"fill, {through} of the orders saw one."
    whole = found.parts[0]
    if whole.median_early_s is not None:
        yield f"Filled whole at once, the rest comes too early by {whole.median_early_s:.3f} s in the median."
    if found.by_time:
        yield from _BY_TIME


def _part(part: Part, name: str, judged: int) -> tuple[str, ...]:
    soon = (part.next_right, part.next_early, part.next_late, part.next_missed)
    done = (part.done_right, part.done_early, part.done_missed)
    return (name, *(_share(count, judged) for count in (*soon, *done)))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as their widest cell, the first to the left."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    for row in (head, *rows):
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        yield "  ".join((row[0].ljust(widths[0]), *cells)).rstrip()

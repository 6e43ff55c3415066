"""Who lost the money: a diagnosis on the page, its tables and its plots, and sweeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from invariants.diagnosis.text import diagnosis_text, sanity_lines
from invariants.diagnosis.verdict import TITLES
from invariants.diagnosis.words import Words, bps, doubled, seconds, signed
from invariants.report.page import plots
from invariants.report.page.plots import Bar, Interval
from invariants.report.page.text import badge, facts, plot_box, safe, section, table

if TYPE_CHECKING:
    from invariants.diagnosis.bootstrap import Estimate
    from invariants.diagnosis.bracket import Bracket
    from invariants.diagnosis.diagnosing import Diagnosis
    from invariants.diagnosis.pnl import Pnl
    from invariants.diagnosis.sweeps import Sweep
    from simcore import Instrument


def money(
    instrument: Instrument, diagnosis: Diagnosis | None, sweeps: Sequence[Sweep], drawn: dict[str, Any]
) -> Iterator[str]:
    """The sections; their plots go into ``drawn``."""
    if diagnosis is not None:
        yield section("diagnosis", "Who lost the money", _diagnosis(diagnosis, drawn))
    if sweeps:
        words = Words(instrument)
        yield section("sweeps", "Sweeps", "".join(_sweep(n, sweep, words, drawn) for n, sweep in enumerate(sweeps, 1)))


def title_of(d: Diagnosis) -> str:
    """The verdict in words; without one, why there is none."""
    return safe(TITLES[d.verdict] if d.verdict != "undecided" else d.conclusion.cause)


def _diagnosis(d: Diagnosis, drawn: dict[str, Any]) -> str:
    words, found = Words(d.run.instrument), d.conclusion
    parts = [f'<p class="lead">{badge(d.verdict)} {title_of(d)}</p><p>{safe(found.reason)}.</p>']
    parts.append(_items("Evidence", found.evidence))
    if d.markouts:
        parts.append(_markouts(d, words, drawn))
    if d.pnl is not None:
        parts.append(_pnl(d.pnl, words, drawn))
    if d.bracket is not None:
        parts.append(_bracket(d.bracket, words, drawn))
    if d.sanity is not None:
        checks = facts("What a wrong simulator would show", sanity_lines(d, d.sanity))
        parts.append(f"<h3>Sanity checks of the simulator</h3>{checks}")
    if d.patterns:
        rows = ((safe(p.name), f"<b>{safe(p.answer)}</b>", safe("; ".join(filter(None, (p.because, p.figures)))))
                for p in d.patterns)  # fmt: skip
        parts.append(
            f"<h3>What is, and what is not the problem</h3>{table('Patterns', ('pattern', 'answer', 'why'), rows)}"
        )
    parts.append(_items("Keep in mind", d.notes))
    text = safe(diagnosis_text(d), 100_000)
    parts.append(f'<details><summary>All of it as text</summary><pre tabindex="0">{text}</pre></details>')
    return "".join(parts)


def _items(title: str, lines: Iterable[str]) -> str:
    items = "".join(f"<li>{safe(line)}</li>" for line in lines)
    return f"<h3>{title}</h3><ul>{items}</ul>" if items else ""


def _markouts(d: Diagnosis, words: Words, drawn: dict[str, Any]) -> str:
    names = [seconds(m.horizon_ns) for m in d.markouts]

    def series(colour: str, part: str) -> tuple[str, list[Interval | None]]:
        return colour, [_interval(getattr(m, part), words) for m in d.markouts]

    drawn["markouts"] = plots.intervals(
        "Markout by horizon", "price units per unit", names,
        {"combined": series(plots.FILL, "combined"), "BUY": series(plots.BUY, "buy"),
         "SELL": series(plots.SELL, "sell")},
    )  # fmt: skip
    drawn["parts"] = plots.intervals(
        "What the markout is made of", "price units per unit", names,
        {"half-spread earned": series(plots.GOOD, "half_spread"), "drift after the fill": series(plots.BAD, "drift"),
         "combined": series(plots.FILL, "combined")},
    )  # fmt: skip
    told = "What a unit filled is worth so long after the fill, with 95 % intervals: below zero is a loss."
    boxes = plot_box("markouts", "Markout by horizon", told) + plot_box(
        "parts", "What the markout is made of", "Half-spread and drift add up to the markout. 95 % intervals."
    )
    means = ("horizon", "BUY avg", "SELL avg", "combined per unit", "combined bps")
    rows = (
        (seconds(m.horizon_ns), *(_mean(e, words) for e in (m.buy, m.sell, m.combined)),
         "-" if m.bps is None else f"{signed(m.bps.mean, 2)} bps")
        for m in d.markouts
    )  # fmt: skip
    spans = ("horizon", "fills", "combined", "bps", "half-spread", "drift")
    wide = (
        (seconds(m.horizon_ns), f"{m.judged:,}", words.estimate(m.combined), bps(m.bps), words.estimate(m.half_spread),
         words.estimate(m.drift))
        for m in d.markouts
    )  # fmt: skip
    return (
        f'<h3>Markouts</h3><div class="plots">{boxes}</div>'
        + table(f"Price units per unit of size (mid from {d.mid_source})", means, rows, numbers=4)
        + table("The same with 95 % intervals (block bootstrap), and its parts", spans, wide, numbers=5)
    )


def _mean(value: Estimate | None, words: Words) -> str:
    return "-" if value is None else words.price(value.mean)


def _interval(value: Estimate | None, words: Words) -> Interval | None:
    return None if value is None else Interval(value.mean, value.low, value.high, words.estimate(value))


def _pnl(pnl: Pnl, words: Words, drawn: dict[str, Any]) -> str:
    parts = [
        ("spread earned", doubled(pnl.spread)),
        ("drift", doubled(pnl.drift)),
        ("inventory of fills", doubled(pnl.inventory_of_fills)),
        ("initial position", doubled(pnl.inventory_of_initial)),
        ("fees", -pnl.fees),
    ]
    drawn["pnl"] = plots.bars(
        "From the spread to the result", "currency", list(_waterfall(parts, pnl.total, words)), height=300
    )
    result = "result" if pnl.adds_up else "result (THE PARTS DO NOT ADD UP: a bug of fillproof)"
    rows = [*parts, (result, pnl.total), ("result without the initial position's own", pnl.trading)]
    told = (
        f"Each part begins where the one before ended; the last bar is the result. Split at {seconds(pnl.horizon_ns)}."
    )
    return f"<h3>Result</h3>{plot_box('pnl', 'Result as a waterfall', told)}" + table(
        "The result, split exactly", ("part", "currency"), ((safe(n), words.exact(v)) for n, v in rows), numbers=1
    )


def _waterfall(parts: Sequence[tuple[str, Decimal]], total: Decimal, words: Words) -> Iterator[Bar]:
    """Each part from where the one before ended, and the total from zero."""
    at = Decimal(0)
    for name, amount in parts:
        yield _bar(name, at, at + amount, words, words.exact(amount))
        at += amount
    yield _bar("result", Decimal(0), total, words, words.exact(total))


def _bar(name: str, start: Decimal, end: Decimal, words: Words, said: str) -> Bar:
    low, high = (float(words.instrument.notional(v)) for v in sorted((start, end)))
    return Bar(name, low, high, plots.GOOD if end >= start else plots.BAD, said)


def _bracket(bracket: Bracket, words: Words, drawn: dict[str, Any]) -> str:
    title = "<h3>Bracket: the same actions, filled otherwise</h3>"
    if bracket.reason:
        return f"{title}<p>None: {safe(bracket.reason)}.</p>"
    drawn["bracket"] = plots.bars(
        "Result without the initial position", "currency",
        [_bar(row.name, Decimal(0), row.trading, words, f"{row.fills:,} fills, {words.exact(row.trading)}")
         for row in bracket.rows],
    )  # fmt: skip
    rows = (
        (safe(row.name), f"{row.fills:,}", f"{words.instrument.size(row.size_lots).normalize():,f}",
         words.money(row.pnl),
         words.money(row.trading), words.estimate(row.markout))
        for row in bracket.rows
    )  # fmt: skip
    names = ("filled", "fills", "size", "result", "without initial", "markout per unit")
    told = "A trade at the limit fills (most fills), only one through it (fewest), and queues between."
    return f"{title}{plot_box('bracket', 'Bracket', told)}{table('Bracket', names, rows, numbers=5)}{_said(bracket)}"


def _said(bracket: Bracket) -> str:
    lines = []
    if bracket.reproduced is not None:
        told = "gives the recorded fills again, all of them" if bracket.reproduced else "gives other fills"
        lines.append(f"The reference simulator, asked again under the run's own rules, {told}.")
    if bracket.no_queue:
        lines.append(f"No queue-aware estimate: {bracket.no_queue}.")
    if bracket.assumed:
        lines.append(f"Assumed where the run declares nothing: {', '.join(bracket.assumed)}.")
    return "".join(f"<p>{safe(line)}</p>" for line in lines)


def _sweep(number: int, sweep: Sweep, words: Words, drawn: dict[str, Any]) -> str:
    """One parameter: means with intervals, results, and the table."""
    names, after = [str(row.value) for row in sweep.rows], seconds(sweep.horizon_ns)
    means = {
        "markout": (plots.BOOK, "markout"),
        "half-spread": (plots.GOOD, "half_spread"),
        "drift": (plots.BAD, "drift"),
    }
    drawn[f"sweep-{number}"] = plots.intervals(
        f"Markout after {after}", "price units per unit", names,
        {name: (colour, [_interval(getattr(row, part), words) for row in sweep.rows])
         for name, (colour, part) in means.items()},
    )  # fmt: skip
    drawn[f"sweep-{number}-result"] = plots.bars(
        "Result without the initial position", "currency",
        [_bar(str(row.value), Decimal(0), row.trading, words, f"{row.fills:,} fills, {words.exact(row.trading)}")
         for row in sweep.rows], height=300,
    )  # fmt: skip
    boxes = plot_box(f"sweep-{number}", "Markouts", f"Means with 95 % intervals by {sweep.parameter}.")
    boxes += plot_box(f"sweep-{number}-result", "Results", f"Result by {sweep.parameter}.")
    columns = ("value", "verdict", "fills", "result", f"markout {after}", "half-spread", "drift")
    rows = (
        (safe(row.value), f"{badge(row.verdict)} {safe(row.cause)}", f"{row.fills:,}", words.money(row.pnl),
         *(words.estimate(e) for e in (row.markout, row.half_spread, row.drift)))
        for row in sweep.rows
    )  # fmt: skip
    figures = table(f"Sweep of {sweep.parameter}", columns, rows, numbers=5)
    return f'<h3>{safe(sweep.parameter)}</h3><div class="plots">{boxes}</div>{figures}'

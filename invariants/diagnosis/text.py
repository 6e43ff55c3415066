"""The diagnosis that a person reads: the verdict with its evidence, then the tables behind it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from decimal import Decimal

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from invariants.diagnosis.bootstrap import Estimate
from invariants.diagnosis.bracket import Bracket
from invariants.diagnosis.diagnosing import Diagnosis
from invariants.diagnosis.pnl import Pnl
from invariants.diagnosis.sanity import Refills, Sanity, Spread
from invariants.diagnosis.scaling import Scaling
from invariants.diagnosis.sweeps import Sweep
from invariants.diagnosis.verdict import TITLES
from invariants.diagnosis.words import Words, bps, doubled, seconds, signed
from invariants.laws.ruling import side_word
from invariants.report.as_text import clean
from simcore import Instrument

COLOURS = {"A": "magenta", "B": "red", "C": "yellow", "undecided": "cyan"}


def print_diagnosis(diagnosis: Diagnosis, console: Console | None = None) -> None:
    """Print it: in colour on a terminal, plain anywhere else."""
    (console or Console()).print(_page(diagnosis))


def diagnosis_text(diagnosis: Diagnosis, *, width: int = 120) -> str:
    """The same as plain text of ``width`` columns."""
    return _plain(_page(diagnosis), width)


def sweep_text(sweep: Sweep, instrument: Instrument, *, width: int = 120) -> str:
    """A sweep's table as plain text."""
    words = Words(instrument)
    after = seconds(sweep.horizon_ns)
    table = _table("value", "fills", "result", f"markout {after}", "half-spread", "drift", "verdict")
    for row in sweep.rows:
        means = (words.estimate(row.markout), _mean(row.half_spread, words), words.estimate(row.drift))
        verdict = f"{row.verdict}: {row.cause}" if row.verdict in ("C", "undecided") else row.verdict
        _add(table, str(row.value), f"{row.fills:,}", words.money(row.pnl), *means, verdict)
    return _plain(Group(*_section(f"Sweep: {sweep.parameter}", table)), width).lstrip("\n")


def _plain(page: RenderableType, width: int) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(page)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _page(d: Diagnosis) -> RenderableType:
    return Group(*_parts(d, Words(d.run.instrument)))


def _parts(d: Diagnosis, words: Words) -> Iterator[RenderableType]:
    verdict = Text(f" {d.verdict.upper()} ", f"bold reverse {COLOURS[d.verdict]}")
    yield Text.assemble(verdict, " ", TITLES[d.verdict] if d.verdict != "undecided" else d.conclusion.cause)
    yield Text(clean(f"{d.run.name}: {d.conclusion.reason}."))
    if d.verdict == "B" and d.markouts:
        yield Text("The tables below describe fills that break laws; they are shown for looking, not for concluding.")
    yield from _lines("Evidence", d.conclusion.evidence)
    if d.markouts:
        yield from _section(f"Markouts, price units per unit of size (mid from {d.mid_source})", _origin_table(d))
        yield from _section("The same with 95 % intervals (block bootstrap), and its parts", _parts_table(d, words))
    if d.pnl is not None:
        yield from _section(f"Result, split at {seconds(d.pnl.horizon_ns)}", _pnl_table(d.pnl, words))
    if d.sanity is not None:
        yield from _section("Sanity checks of the simulator", _grid(sanity_lines(d, d.sanity)))
    if d.patterns:
        yield from _section("What is, and what is not the problem", _pattern_table(d))
    if d.bracket is not None:
        yield from _section("Bracket: the same actions, filled otherwise", *_bracket_parts(d.bracket, words))
    if d.scaling is not None:
        yield from _section("Scaled to the long period", *_scaling_parts(d.scaling))
    yield from _lines("Keep in mind", d.notes)


def _section(title: str, *body: RenderableType) -> Iterator[RenderableType]:
    yield Text(f"\n{title}", style="bold")
    for part in body:
        yield Padding(part, (0, 0, 0, 2))


def _lines(title: str, lines: tuple[str, ...]) -> Iterator[RenderableType]:
    if lines:
        yield from _section(title, *(Text(f"- {clean(line)}") for line in lines))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bright_black")
    for number, name in enumerate(columns):
        table.add_column(clean(name), justify="left" if number == 0 else "right")
    return table


def _add(table: Table, *cells: str) -> None:
    """A row of plain text: brackets are intervals, and a stranger's words no markup."""
    table.add_row(*(Text(clean(cell)) for cell in cells))


def _grid(rows: Iterator[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        _add(table, name, value)
    return table


def _origin_table(d: Diagnosis) -> Table:
    """The origin report's table, in its layout."""
    table = _table("horizon", "BUY avg", "SELL avg", "combined per unit", "combined bps")
    words = Words(d.run.instrument)
    for m in d.markouts:
        means = [_mean(e, words) for e in (m.buy, m.sell, m.combined)]
        in_bps = "-" if m.bps is None else f"{signed(m.bps.mean, 2)} bps"
        _add(table, seconds(m.horizon_ns), *means, in_bps)
    return table


def _mean(value: Estimate | None, words: Words) -> str:
    return "-" if value is None else words.price(value.mean)


def _parts_table(d: Diagnosis, words: Words) -> Table:
    table = _table("horizon", "fills", "combined", "bps", "half-spread", "drift")
    for m in d.markouts:
        half = _mean(m.half_spread, words)
        cells = (words.estimate(m.combined), bps(m.bps), half, words.estimate(m.drift))
        _add(table, seconds(m.horizon_ns), f"{m.judged:,}", *cells)
    return table


def _pnl_table(pnl: Pnl, words: Words) -> Table:
    rows: list[tuple[str, Decimal]] = [
        ("spread earned at the fills", doubled(pnl.spread)),
        ("drift after the fills", doubled(pnl.drift)),
        ("inventory: fills, beyond the horizon", doubled(pnl.inventory_of_fills)),
        ("inventory: initial position", doubled(pnl.inventory_of_initial)),
        ("fees", -pnl.fees),
        ("result" if pnl.adds_up else "result (THE PARTS DO NOT ADD UP: a bug of fillproof)", pnl.total),
        ("result without the initial position's own", pnl.trading),
    ]
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for name, amount in rows:
        _add(table, name, words.exact(amount))
    return table


def sanity_lines(d: Diagnosis, s: Sanity) -> Iterator[tuple[str, str]]:
    """What each sanity check found, in words."""
    size = d.run.instrument.size
    for far in s.distances:
        figures = f"mean {signed(far.mean_bps, 2)} bps, largest {far.largest_bps:.2f} bps ({far.fills:,} fills)"
        yield f"trade price against {side_word(far.side)} fill", figures
    sizes = (s.size_lots.low, s.size_lots.median, s.size_lots.high)
    low, median, high = (f"{size(round(v)).normalize():f}" for v in sizes)
    yield "size per fill", f"{low} each" if low == high else f"min {low}, median {median}, max {high}"
    yield "quote age at fill", _ages(s)
    yield "several fills at one side and price", _refill_words(s.refills)
    yield "run on one side", f"mean {s.run_mean:.2f}, max {s.run_most}"
    yield "buys and sells", f"{s.buys:,} BUY, {s.sells:,} SELL"
    if s.ns_per_fill is not None:
        yield "fill rate", f"{s.fills:,} fills, one in {seconds(s.ns_per_fill)}"
    if s.fills_per_trade is not None:
        yield "fill ratio", f"{s.fills_per_trade:.2%} of {s.trades:,} trades"


def _ages(s: Sanity) -> str:
    if s.age_ns is None:
        return "not known"
    spread = ", ".join(f"{name} {seconds(value)}" for name, value in _named(s.age_ns))
    latency = "undeclared" if s.latency_ns is None else seconds(s.latency_ns)
    word = {None: "", True: ": respected", False: ": NOT respected"}[s.youngest_waits]
    matched = f"; {s.matched:,} of {s.fills:,} fills matched to a submit"
    return f"{spread}; latency {latency}{word}{matched}"


def _named(spread: Spread) -> Iterator[tuple[str, float]]:
    yield from (("min", spread.low), ("p5", spread.p5), ("median", spread.median), ("p95", spread.p95))
    yield "max", spread.high


def _refill_words(refills: Refills) -> str:
    if not refills.pairs:
        return "none"
    explained = "all explained by re-submits" if not refills.unexplained else f"{refills.unexplained:,} NOT explained"
    return f"{refills.pairs:,} pairs, at most {refills.most} fills at one; {explained}"


def _pattern_table(d: Diagnosis) -> Table:
    table = Table.grid(padding=(0, 2))
    for p in d.patterns:
        told = "; ".join(part for part in (p.because, p.figures) if part)
        table.add_row(Text(p.name), Text(p.answer, style="bold"), Text(told))
    return table


def _bracket_parts(bracket: Bracket, words: Words) -> Iterator[RenderableType]:
    if bracket.reason:
        yield Text(f"none: {clean(bracket.reason)}")
        return
    table = _table("", "fills", "size", "result", "without initial", "markout per unit")
    for row in bracket.rows:
        size = f"{words.instrument.size(row.size_lots).normalize():,f}"
        amounts = (words.money(row.pnl), words.money(row.trading), words.estimate(row.markout))
        _add(table, row.name, f"{row.fills:,}", size, *amounts)
    yield table
    if bracket.reproduced is not None:
        told = "gives the recorded fills again, all of them" if bracket.reproduced else "gives other fills"
        yield Text(f"The reference simulator, asked again under the run's own rules, {told}.")
    if bracket.no_queue:
        yield Text(f"No queue-aware estimate: {bracket.no_queue}.")
    if bracket.assumed:
        yield Text(f"Assumed where the run declares nothing: {clean(', '.join(bracket.assumed))}.")


def _scaling_parts(scaling: Scaling) -> Iterator[RenderableType]:
    if scaling.reason:
        yield Text(f"none: {scaling.reason}")
        return
    days = f"{scaling.days:g} days"
    table = _table("", f"run ({scaling.run_days:.3g} days)", days, "95 % interval", "given", "")
    for row in scaling.rows:
        given = "-" if row.given is None else f"{row.given:,.0f}"
        word = {None: "", True: "consistent", False: "NOT consistent"}[row.is_consistent]
        interval = f"[{row.low:,.0f}, {row.high:,.0f}]"
        _add(table, row.name, f"{row.run:,.0f}", f"{row.expected:,.0f}", interval, given, word)
    yield table

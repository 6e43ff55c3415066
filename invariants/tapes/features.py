"""What a scenario exercises, counted from the scenario itself, whoever made it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from simcore import Cancel, Fill, Rules, Scenario, Submit, TopOfBook, Trade, simulate

_NEAR = {-1: "1 ns before", 0: "at", 1: "1 ns after"}
_HOUR_NS = 3_600_000_000_000

FEATURES: tuple[str, ...] = (
    *(f"trade {near} {what}" for what in ("arrival", "expiry", "cancel effect") for near in _NEAR.values()),
    "price at limit",
    "price 1 tick through",
    "price 1 tick short",
    "price jump through",
    "two trades in 1 ns",
    "trade, submit, cancel and expiry in 1 ns",
    "trade across several orders",
    "trade across both sides",
    "trade smaller than the orders",
    "trade equal to the orders",
    "trade larger than the orders",
    "cap exactly reached",
    "cap passed by 1 lot",
    "both sides working",
    "initial position long",
    "initial position short",
    "initial position at cap",
    "initial position beyond cap",
    "position flipped",
    "re-submit at side and price",
    "cancel before arrival",
    "cancel twice",
    "cancel of a filled order",
    "cancel before submit",
    "latency zero",
    "latency 1 ns",
    "latency below 1 us",
    "latency of hours",
    "long silence",
    "epoch beyond 2**53",
    "size around 2**31",
    "size around 2**53",
    "empty tape",
    "no actions",
    "orders open at the end",
    "top of book between",
)
"""Every feature of section 5 of the specification, by the name under which it is counted."""


def features(scenario: Scenario, fills: Sequence[Fill] | None = None) -> frozenset[str]:
    """The names in ``FEATURES`` that ``scenario`` exercises; ``fills`` are the reference's."""
    answer = simulate(scenario) if fills is None else fills
    found: set[str] = set()
    trades = [e for e in scenario.tape if isinstance(e, Trade)]
    submits = [a for a in scenario.actions if isinstance(a, Submit)]
    cancels = [a for a in scenario.actions if isinstance(a, Cancel)]
    first_cancel = _first_cancels(scenario)
    ends = _ends(answer)
    _of_rules(scenario.rules, found)
    _of_streams(scenario, trades, submits, found)
    _of_cancels(submits, cancels, first_cancel, ends, scenario.rules, found)
    _of_crossings(scenario.rules, trades, submits, first_cancel, ends, found)
    _of_positions(scenario, answer, found)
    if _left_open(scenario, submits, first_cancel, answer):
        found.add("orders open at the end")
    return frozenset(found)


def _first_cancels(scenario: Scenario) -> dict[int | str, int]:
    """The first request to cancel each order that was submitted before it, in the order given."""
    submitted: set[int | str] = set()
    first: dict[int | str, int] = {}
    for a in scenario.actions:
        if isinstance(a, Submit):
            submitted.add(a.order_id)
        elif a.order_id in submitted:
            first.setdefault(a.order_id, a.ns)
    return first


def _left_open(
    scenario: Scenario, submits: list[Submit], cancelled: dict[int | str, int], fills: Sequence[Fill]
) -> bool:
    """Whether an order was neither filled, nor cancelled, nor expired when the scenario ended."""
    rules = scenario.rules
    last_ns = max((e.ns for e in (*scenario.tape, *scenario.actions)), default=0)
    filled: dict[int | str, int] = {}
    for f in fills:
        filled[f.order_id] = filled.get(f.order_id, 0) + f.size_lots
    return any(
        filled.get(s.order_id, 0) < s.size_lots
        and (s.order_id not in cancelled or cancelled[s.order_id] + rules.cancel_latency_ns > last_ns)
        and (rules.ttl_ns is None or s.ns + rules.ttl_ns > last_ns)
        for s in submits
    )


def _ends(fills: Sequence[Fill]) -> dict[int | str, int]:
    """The instant of each order's last fill."""
    return {f.order_id: f.ns for f in fills}


def _of_rules(rules: Rules, found: set[str]) -> None:
    latency_ns, cap_lots, start_lots = rules.latency_ns, rules.position_cap_lots, rules.initial_position_lots
    for name, holds in (
        ("latency zero", latency_ns == 0),
        ("latency 1 ns", latency_ns == 1),
        ("latency below 1 us", 1 < latency_ns < 1000),
        ("latency of hours", latency_ns >= _HOUR_NS),
        ("initial position long", start_lots > 0),
        ("initial position short", start_lots < 0),
        ("initial position at cap", start_lots != 0 and abs(start_lots) == cap_lots),
        ("initial position beyond cap", cap_lots is not None and abs(start_lots) > cap_lots),
    ):
        if holds:
            found.add(name)


def _of_streams(scenario: Scenario, trades: list[Trade], submits: list[Submit], found: set[str]) -> None:
    if not scenario.tape:
        found.add("empty tape")
    if not scenario.actions:
        found.add("no actions")
    if any(isinstance(e, TopOfBook) for e in scenario.tape):
        found.add("top of book between")
    times = sorted([e.ns for e in scenario.tape] + [a.ns for a in scenario.actions])
    if any(b - a >= _HOUR_NS for a, b in pairwise(times)):
        found.add("long silence")
    if times and times[-1] > 2**53:
        found.add("epoch beyond 2**53")
    at = [t.ns for t in trades]
    if len(set(at)) < len(at):
        found.add("two trades in 1 ns")
    sizes = [s.size_lots for s in submits]
    if any(2**30 <= s <= 2**33 for s in sizes):
        found.add("size around 2**31")
    if any(2**52 <= s <= 2**56 for s in sizes):
        found.add("size around 2**53")
    placed = [(s.side, s.price_ticks) for s in submits]
    if len(set(placed)) < len(placed):
        found.add("re-submit at side and price")


def _of_cancels(
    submits: list[Submit],
    cancels: list[Cancel],
    first: dict[int | str, int],
    ends: dict[int | str, int],
    rules: Rules,
    found: set[str],
) -> None:
    submitted = {s.order_id: s.ns for s in submits}
    names = [c.order_id for c in cancels]
    if len(set(names)) < len(names):
        found.add("cancel twice")
    for c in cancels:
        if c.ns < submitted[c.order_id]:
            found.add("cancel before submit")
        elif c.ns < submitted[c.order_id] + rules.latency_ns and c.ns == first.get(c.order_id):
            found.add("cancel before arrival")
        if c.order_id in ends and ends[c.order_id] <= c.ns:
            found.add("cancel of a filled order")


def _of_crossings(
    rules: Rules,
    trades: list[Trade],
    submits: list[Submit],
    cancelled: dict[int | str, int],
    ends: dict[int | str, int],
    found: set[str],
) -> None:
    """Boundaries of time and price, of every trade that an order not yet filled could meet."""
    instants = {s.ns for s in submits} & set(cancelled.values())
    for trade in trades:
        met: list[Submit] = []
        for s in submits:
            if ends.get(s.order_id, trade.ns) < trade.ns:
                continue
            life = _life(s, cancelled.get(s.order_id), rules)
            beyond = s.side * (s.price_ticks - trade.price_ticks)
            if beyond >= (rules.cross == "through"):
                found.update(_boundaries(trade.ns, life))
                if life["expiry"] == trade.ns and trade.ns in instants:
                    found.add("trade, submit, cancel and expiry in 1 ns")
            if _is_live(s, trade.ns, life):
                found.update(_distance(beyond))
                met += [s] if beyond >= 0 else []
        _of_crowd(trade, met, found)


def _life(s: Submit, cancel_ns: int | None, rules: Rules) -> dict[str, int | None]:
    """The instants at which the life of an order turns."""
    return {
        "arrival": s.ns + rules.latency_ns,
        "expiry": None if rules.ttl_ns is None else s.ns + rules.ttl_ns,
        "cancel effect": None if cancel_ns is None else cancel_ns + rules.cancel_latency_ns,
    }


def _boundaries(ns: int, life: dict[str, int | None]) -> set[str]:
    near = {what: _NEAR.get(ns - at) for what, at in life.items() if at is not None}
    return {f"trade {word} {what}" for what, word in near.items() if word}


def _is_live(s: Submit, ns: int, life: dict[str, int | None]) -> bool:
    """Whether the order was in its window, ties included."""
    arrival_ns, *ends = life.values()
    assert arrival_ns is not None, "every order arrives"
    return ns >= arrival_ns and ns > s.ns and all(end is None or ns <= end for end in ends)


def _distance(beyond_ticks: int) -> set[str]:
    names = {0: "price at limit", 1: "price 1 tick through", -1: "price 1 tick short"}
    if beyond_ticks in names:
        return {names[beyond_ticks]}
    return {"price jump through"} if beyond_ticks >= 5 else set()


def _of_crowd(trade: Trade, met: list[Submit], found: set[str]) -> None:
    if len(met) < 2:
        return
    found.add("trade across several orders")
    if len({s.side for s in met}) == 2:
        found.add("trade across both sides")
    quoted = sum(s.size_lots for s in met)
    word = "smaller than" if trade.size_lots < quoted else "equal to" if trade.size_lots == quoted else "larger than"
    found.add(f"trade {word} the orders")


def _of_positions(scenario: Scenario, fills: Sequence[Fill], found: set[str]) -> None:
    rules = scenario.rules
    cap_lots, position = rules.position_cap_lots, rules.initial_position_lots
    path = [(-1, position)]
    for fill in fills:
        after = position + fill.side * fill.size_lots
        if position * after < 0:
            found.add("position flipped")
        if cap_lots is not None and abs(after) == cap_lots:
            found.add("cap exactly reached")
        position = after
        path.append((fill.ns, position))
    submits = [a for a in scenario.actions if isinstance(a, Submit)]
    if cap_lots is not None:
        reached = {p for _, p in path}
        if any(s.side * p + s.size_lots == cap_lots + 1 for s in submits for p in reached):
            found.add("cap passed by 1 lot")
    if _both_working(submits, scenario.rules):
        found.add("both sides working")


def _both_working(submits: list[Submit], rules: Rules) -> bool:
    """Whether a buy and a sell were alive at once, as far as their times to live say."""
    for a in submits:
        for b in submits:
            if a.side != b.side and a.ns <= b.ns and (rules.ttl_ns is None or b.ns < a.ns + rules.ttl_ns):
                return True
    return False

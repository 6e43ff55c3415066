"""Relations between two calls of one simulator. No reference is needed for any of them."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from invariants.relations.comparing import Comparison, Simulate, can_be_asked, same, skipped
from simcore import Fill, Rules, Scenario, Side, Submit, TapeEvent, TopOfBook, Trade
from simcore.units import INT64_MAX, LARGEST_LOTS, LARGEST_TICKS

_HOUR_NS = 3_600_000_000_000
_DAY_NS = 24 * _HOUR_NS
_PRICES = ("price_ticks", "bid_ticks", "ask_ticks")
_SIZES = ("size_lots", "bid_lots", "ask_lots")


def rerun_is_identical(simulate: Simulate, scenario: Scenario) -> Comparison:
    """A second call, and a call after another scenario was simulated, give the same fills."""
    first = list(simulate(scenario))
    again = same(first, list(simulate(scenario)), "Let the same scenario be simulated twice.")
    if again.difference:
        return again
    other = _shifted(scenario, ns=_DAY_NS, ticks=1)
    if other is not None:
        list(simulate(other))
    list(simulate(Scenario((), (), scenario.rules)))
    return same(first, list(simulate(scenario)), "Let another scenario be simulated in between.")


def prefix_is_stable(simulate: Simulate, scenario: Scenario) -> Comparison:
    """Fills up to an instant do not change when the tape and the actions after it do: no look-ahead."""
    times = sorted({e.ns for e in scenario.tape})
    if len(times) < 2:
        return skipped("fewer than two instants on the tape")
    whole = list(simulate(scenario))
    high = 2**60 if _can(simulate, "huge_prices") else 2**40
    asked = False
    for cut_ns in times[:-1]:
        want = _up_to(whole, cut_ns)
        cut = Scenario(
            tuple(e for e in scenario.tape if e.ns <= cut_ns), _with_submits(scenario, cut_ns), scenario.rules
        )
        poison = replace(scenario, tape=tuple(_poisoned(e, high) if e.ns > cut_ns else e for e in scenario.tape))
        for other, story in (
            (cut, f"Let everything after {cut_ns} ns be cut off."),
            (poison, f"Let every price after {cut_ns} ns be absurd."),
        ):
            if can_be_asked(simulate, other):
                asked = True
                found = same(want, _up_to(list(simulate(other)), cut_ns), story)
                if found.difference:
                    return found
    return Comparison(applies=True) if asked else skipped("no such cut is inside what the simulator supports")


def _up_to(fills: Iterable[Any], ns: int) -> list[Any]:
    return [f for f in fills if not isinstance(f, Fill) or f.ns <= ns]


def _with_submits(scenario: Scenario, cut_ns: int) -> tuple[Any, ...]:
    """The actions up to an instant; a cancel whose submit was cut off goes with it."""
    kept = [a for a in scenario.actions if a.ns <= cut_ns]
    submitted = {a.order_id for a in kept if isinstance(a, Submit)}
    return tuple(a for a in kept if a.order_id in submitted)


def _poisoned(event: TapeEvent, high: int) -> TapeEvent:
    if isinstance(event, Trade):
        return replace(event, price_ticks=1 if event.price_ticks % 2 else high, size_lots=1)
    return TopOfBook(event.ns, 1, 1, high, 1)


def time_shift(simulate: Simulate, scenario: Scenario) -> Comparison:
    """Moving every event by one constant moves every fill by it."""
    found = Comparison(applies=False, reason="no room in int64")
    fills = list(simulate(scenario))
    for ns in (1, 501, _DAY_NS * 7 + 1, *_midnights(scenario)):
        moved = _shifted(scenario, ns=ns)
        if moved is not None:
            want = [replace(f, ns=f.ns + ns) if isinstance(f, Fill) else f for f in fills]
            found = same(want, list(simulate(moved)), f"Let every event happen {ns} ns later.")
            if found.difference:
                return found
    return found


def _midnights(scenario: Scenario) -> Iterable[int]:
    """By how much to move the scenario so that a day begins in its midst, in UTC and elsewhere."""
    times = sorted({e.ns for e in (*scenario.tape, *scenario.actions)})
    middle_ns = times[len(times) // 2] if times else 0
    return ((hour * _HOUR_NS - middle_ns) % _DAY_NS for hour in (0, 15, 5)) if times else ()


def price_shift(simulate: Simulate, scenario: Scenario) -> Comparison:
    """Moving every price by one constant moves every fill's price by it."""
    found = Comparison(applies=False, reason="no room in int64")
    for ticks in (1, 1000):
        moved = _shifted(scenario, ticks=ticks)
        if moved is not None:
            want = [
                replace(f, price_ticks=f.price_ticks + ticks, fee=None) if isinstance(f, Fill) else f
                for f in simulate(scenario)
            ]
            found = same(want, list(simulate(moved)), f"Let every price be {ticks} ticks higher.")
            if found.difference:
                return found
    return found


def _shifted(scenario: Scenario, *, ns: int = 0, ticks: int = 0) -> Scenario | None:
    """The scenario moved in time and price; None where int64 has no room."""
    events = (*scenario.tape, *scenario.actions)
    latest_ns = max((e.ns for e in events), default=0)
    highest = max((getattr(e, name) for e in events for name in _PRICES if hasattr(e, name)), default=0)
    if latest_ns + ns > INT64_MAX or highest + ticks > LARGEST_TICKS:
        return None
    return _each(
        scenario,
        lambda e: replace(e, ns=e.ns + ns, **{p: getattr(e, p) + ticks for p in _PRICES if hasattr(e, p)}),
        scenario.rules,
    )


def _each(scenario: Scenario, change: Any, rules: Rules) -> Scenario:
    return Scenario(tuple(map(change, scenario.tape)), tuple(map(change, scenario.actions)), rules)


def size_scale(simulate: Simulate, scenario: Scenario) -> Comparison:
    """Multiplying every size, the cap and the initial position multiplies every fill's size."""
    rules = scenario.rules
    largest = sum(getattr(e, name) for e in (*scenario.tape, *scenario.actions) for name in _SIZES if hasattr(e, name))
    found = skipped("no room in int64")
    for factor in (3, 2**20) if _can(simulate, "huge_sizes") else (3,):
        if factor * max(largest, abs(rules.initial_position_lots), rules.position_cap_lots or 0) > LARGEST_LOTS:
            continue
        cap_lots = None if rules.position_cap_lots is None else rules.position_cap_lots * factor
        scaled = replace(rules, position_cap_lots=cap_lots, initial_position_lots=rules.initial_position_lots * factor)
        if scaled != rules and not _free(simulate):
            return skipped("the cap cannot be scaled: the simulator's rules are fixed")
        bigger = _each(
            scenario, lambda e, k=factor: replace(e, **{n: getattr(e, n) * k for n in _SIZES if hasattr(e, n)}), scaled
        )
        want = [
            replace(f, size_lots=f.size_lots * factor, fee=None) if isinstance(f, Fill) else f
            for f in simulate(scenario)
        ]
        found = same(want, list(simulate(bigger)), f"Let every size, cap and position be {factor} times as large.")
        if found.difference:
            return found
    return found


def mirror(simulate: Simulate, scenario: Scenario) -> Comparison:
    """Prices reflected, sides swapped and the position negated give the mirrored fills."""
    rules = replace(scenario.rules, initial_position_lots=-scenario.rules.initial_position_lots)
    if rules != scenario.rules and not _free(simulate):
        return skipped("the initial position cannot be negated: the simulator's rules are fixed")
    prices = [getattr(e, p) for e in (*scenario.tape, *scenario.actions) for p in _PRICES if hasattr(e, p)]
    about = max(prices, default=1) + min(prices, default=1)
    turned = _each(scenario, lambda e: _turn(e, about), rules)
    want = [
        _turn(replace(f, fee=None), about) if isinstance(f, Fill) and f.side in (1, -1) else f
        for f in simulate(scenario)
    ]
    return same(want, list(simulate(turned)), "Let buys be sells, and prices be reflected.")


def _turn(event: Any, about: int) -> Any:
    if isinstance(event, TopOfBook):
        return TopOfBook(event.ns, about - event.ask_ticks, event.ask_lots, about - event.bid_ticks, event.bid_lots)
    changes: dict[str, Any] = {"price_ticks": about - event.price_ticks} if hasattr(event, "price_ticks") else {}
    if hasattr(event, "side"):
        changes["side"] = Side(-event.side)
    if getattr(event, "aggressor", None) is not None:
        changes["aggressor"] = Side(-event.aggressor)
    return replace(event, **changes)


def renamed_ids(simulate: Simulate, scenario: Scenario) -> Comparison:
    """What an order is called changes nothing but the name on its fills."""
    ids = [a.order_id for a in scenario.actions if isinstance(a, Submit)]
    if not ids:
        return skipped("no orders")
    whole = list(simulate(scenario))
    numbers = {old: 1_000_000 - i for i, old in enumerate(ids)}
    words = {old: f"x{(i * 7919) % 1000:03}-{i}" for i, old in enumerate(ids)}
    # a number and its text are two ids; whoever converts them takes one order for another
    alike = {old: f"{i // 2}" if i % 2 else i // 2 for i, old in enumerate(ids)}
    for names in (numbers, words, alike) if _can(simulate, "str_ids") else (numbers,):
        actions = tuple(replace(a, order_id=names[a.order_id]) for a in scenario.actions)
        want = [replace(f, order_id=names.get(f.order_id, f.order_id)) if isinstance(f, Fill) else f for f in whole]
        found = same(
            want, list(simulate(Scenario(scenario.tape, actions, scenario.rules))), "Let the orders have other names."
        )
        if found.difference:
            return found
    return Comparison(applies=True)


def quiet_events(simulate: Simulate, scenario: Scenario) -> Comparison:
    """Tops of book, and trades that cross nothing, fill nothing and change nothing."""
    if _is_near_the_edge(scenario):
        return skipped("no room in int64")
    whole = list(simulate(scenario))
    others = [(_with_quiet_trades(scenario), "Let trades be added that cross no order.")]
    if _can(simulate, "tops"):
        others.append((_with_tops(scenario), "Let tops of book be added, some of which cross our orders."))
    asked = False
    for tape, story in others:
        tape = _askable(simulate, scenario, tape)  # noqa: PLW2901 (the same, as far as it can be asked)
        if len(tape) > len(scenario.tape):
            asked = True
            found = same(whole, list(simulate(replace(scenario, tape=tape))), story)
            if found.difference:
                return found
    return Comparison(applies=True) if asked else skipped("no quiet event is inside what the simulator supports")


def _askable(simulate: Simulate, scenario: Scenario, tape: tuple[TapeEvent, ...]) -> tuple[TapeEvent, ...]:
    """The longer tape, with so many of the added events as the simulator supports."""
    if can_be_asked(simulate, replace(scenario, tape=tape)):
        return tape
    kept = set(map(id, scenario.tape))
    for event in [event for event in tape if id(event) not in kept][:_MOST_TRIED]:
        some = tuple(e for e in tape if id(e) in kept or e is event)
        if can_be_asked(simulate, replace(scenario, tape=some)):
            kept.add(id(event))
    return tuple(event for event in tape if id(event) in kept)


_MOST_TRIED = 30
"""Added events that are tried one by one where a simulator does not support them all."""


def _is_near_the_edge(scenario: Scenario) -> bool:
    """Whether a few ticks and lots more might not fit."""
    events = (*scenario.tape, *scenario.actions)
    highest = max((getattr(e, p) for e in events for p in _PRICES if hasattr(e, p)), default=0)
    traded = sum(e.size_lots for e in scenario.tape if isinstance(e, Trade))
    return highest > LARGEST_TICKS - 100 or traded > LARGEST_LOTS - 100 * (len(events) + 1)


def _with_tops(scenario: Scenario) -> tuple[TapeEvent, ...]:
    """A top of book before and after every event, around, on and across our limits."""
    limits = [a.price_ticks for a in scenario.actions if isinstance(a, Submit)] or [100]
    times = sorted({e.ns for e in (*scenario.tape, *scenario.actions)} | _boundaries(scenario))
    tops = [
        TopOfBook(
            ns,
            max(limits[i % len(limits)] + (-2, 1, 5)[i % 3], 1),
            1 + i,
            max(limits[i % len(limits)] + (-2, 1, 5)[i % 3], 1) + 1,
            2,
        )
        for i, ns in enumerate(times)
    ]
    # sorting is stable: the added tops stand before and after the trades of their instant in turn
    return tuple(sorted((*tops[::2], *scenario.tape, *tops[1::2]), key=lambda e: e.ns))


def _boundaries(scenario: Scenario) -> set[int]:
    """Instants of arrival and expiry, at which a timer might do something."""
    rules = scenario.rules
    found: set[int] = set()
    for a in scenario.actions:
        if isinstance(a, Submit):
            found |= {a.ns + rules.latency_ns, a.ns + 1}
            found |= set() if rules.ttl_ns is None else {a.ns + rules.ttl_ns}
    return {ns for ns in found if ns <= INT64_MAX}


def _with_quiet_trades(scenario: Scenario) -> tuple[TapeEvent, ...]:
    """Trades at prices that no order reaches while any could be live; before the first submit, any."""
    submits = [a for a in scenario.actions if isinstance(a, Submit)]
    buys = [s.price_ticks for s in submits if s.side > 0]
    sells = [s.price_ticks for s in submits if s.side < 0]
    first_ns = min((s.ns for s in submits), default=0)
    taker = Side.SELL if len(submits) % 2 else Side.BUY
    early = [Trade(ns, price, 5, taker) for ns in (max(first_ns - 1, 0), first_ns) for price in (*buys[:2], *sells[:2])]
    low, high = max(buys, default=0) + 1, min(sells, default=2**40)
    between = [
        Trade(ns, price, 3, side)
        for ns in sorted({e.ns for e in scenario.tape} | _boundaries(scenario))
        for price, side in ((low, Side.SELL), (high - 1, Side.BUY))
        if low < high and price < high
    ]
    # an own buy at or above an own sell leaves no price that crosses nothing
    return tuple(sorted((*early, *scenario.tape, *between), key=lambda e: e.ns))


def unfillable_order(simulate: Simulate, scenario: Scenario) -> Comparison:
    """Adding an order that no trade reaches changes no other fill."""
    prices = [e.price_ticks for e in scenario.tape if isinstance(e, Trade)]
    if not prices or not scenario.actions:
        return skipped("no trades, or no orders")
    low, high = min(prices) - 1, max(prices) + 1
    total_lots = sum(a.size_lots for a in scenario.actions if isinstance(a, Submit))
    if high > LARGEST_TICKS or total_lots + 8 > LARGEST_LOTS:
        return skipped("no room in int64")
    whole = list(simulate(scenario))
    taken = {a.order_id for a in scenario.actions}
    names = [n for n in range(900_000, 900_000 + len(taken) + 2) if n not in taken]
    for at in {0, len(scenario.actions) // 2, len(scenario.actions)}:
        ns = scenario.actions[min(at, len(scenario.actions) - 1)].ns
        extra = [Submit(ns, names[0], Side.SELL, high, 4)]
        extra += [Submit(ns, names[1], Side.BUY, low, 4)] if low > 0 else []
        actions = (*scenario.actions[:at], *extra, *scenario.actions[at:])
        unreached = Scenario(scenario.tape, actions, scenario.rules)
        found = same(whole, list(simulate(unreached)), "Let orders be added that no trade reaches.")
        if found.difference:
            return found
    return Comparison(applies=True)


def chunked_tape(simulate: Simulate, scenario: Scenario) -> Comparison:
    """Simulating in two pieces, with open orders and position carried over, changes nothing."""
    rules = scenario.rules
    times = sorted({e.ns for e in (*scenario.tape, *scenario.actions)})
    if len(times) < 2:
        return skipped("fewer than two instants")
    if not (_free(simulate) and _can(simulate, "initial_position")):
        return skipped("a position cannot be carried over: the simulator's rules are fixed, or it starts flat")
    if rules.cap_action == "cancel" and rules.position_cap_lots is not None:
        return skipped("an order that the cap cancelled leaves no trace to carry over")
    whole = list(simulate(scenario))
    for cut_ns in times[1:]:
        pieces = _cut(simulate, scenario, cut_ns)
        if pieces is None:
            return skipped("the first piece's fills are no fills to carry over")
        found = same(whole, pieces, f"Let the run be cut before {cut_ns} ns, and what is open carried over.")
        if found.difference:
            return found
    return Comparison(applies=True)


def _cut(simulate: Simulate, scenario: Scenario, cut_ns: int) -> list[Any] | None:
    """Fills of the two pieces, one after the other."""
    tape = tuple(e for e in scenario.tape if e.ns < cut_ns)
    first = list(simulate(Scenario(tape, _with_submits(scenario, cut_ns - 1), scenario.rules)))
    if not all(isinstance(f, Fill) and isinstance(f.size_lots, int) for f in first):
        return None
    position_lots = scenario.rules.initial_position_lots + sum(f.side * f.size_lots for f in first)
    if abs(position_lots) > LARGEST_LOTS:
        return None
    left = {a.order_id: a.size_lots for a in scenario.actions if isinstance(a, Submit)}
    for f in first:
        left[f.order_id] = left.get(f.order_id, 0) - f.size_lots
    # open orders go on with their own submit time: age, latency and priority are all theirs
    actions = tuple(
        replace(a, size_lots=left[a.order_id]) if isinstance(a, Submit) else a
        for a in scenario.actions
        if left[a.order_id] > 0
    )
    rest = tuple(e for e in scenario.tape if e.ns >= cut_ns)
    rules = replace(scenario.rules, initial_position_lots=position_lots)
    return first + list(simulate(Scenario(rest, actions, rules)))


def inputs_are_not_changed(simulate: Simulate, scenario: Scenario) -> Comparison:
    """A simulator leaves the scenario that it was given as it was."""
    before = copy.deepcopy(scenario)
    list(simulate(scenario))
    for name in ("tape", "actions", "rules"):
        if getattr(before, name) != getattr(scenario, name):
            return Comparison(
                applies=True,
                difference=f"Let a scenario be simulated. Then its {name} are as before. Yet they were changed.",
            )
    return Comparison(applies=True)


def through_is_within_at(simulate: Simulate, scenario: Scenario) -> Comparison:
    """``whole``, no cap: an order that fills under ``through`` also fills under ``at``, no later."""
    rules = scenario.rules
    if rules.sizing != "whole" or rules.position_cap_lots is not None:
        return skipped("whole sizing without a cap only")
    if not _free(simulate):
        return skipped("cross cannot be changed: the simulator's rules are fixed")
    through = _first_fills(simulate(replace(scenario, rules=replace(rules, cross="through"))))
    at = _first_fills(simulate(replace(scenario, rules=replace(rules, cross="at"))))
    for name, ns in through.items():
        if name not in at or at[name] > ns:
            when = f"at {at[name]} ns" if name in at else "never"
            return Comparison(
                applies=True,
                difference=(
                    f"Let a trade at the limit suffice. Then order {name!r}, which a trade through it fills at "
                    f"{ns} ns, fills by then. Yet it fills {when}."
                ),
            )
    return Comparison(applies=True)


def _first_fills(fills: Iterable[Any]) -> dict[Any, int]:
    first: dict[Any, int] = {}
    for f in fills:
        if isinstance(f, Fill):
            first.setdefault(f.order_id, f.ns)
    return first


def _free(simulate: Simulate) -> bool:
    """Whether the simulator follows the rules of the scenario (it declares none of its own)."""
    return getattr(simulate, "rules", None) is None


def _can(simulate: Simulate, feature: str) -> bool:
    """Whether the simulator declares that it can be driven to do this; yes where it declares nothing."""
    return bool(getattr(getattr(simulate, "supports", None), feature, True))

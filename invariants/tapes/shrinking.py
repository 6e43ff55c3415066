"""Shrinking to the scenario that a person would write: deterministic, whatever found the failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from simcore import Action, InputError, Rules, Scenario, Side, Submit, TapeEvent, TopOfBook, Trade
from simcore.rules import DIALS, OPTIONAL

Fails = Callable[[Scenario], bool]
Step = Callable[[Scenario], Iterator[Scenario]]

_PLAIN_TICKS = 100
_PRICE_FIELDS = ("price_ticks", "bid_ticks", "ask_ticks")
_SIZE_FIELDS = ("size_lots", "bid_lots", "ask_lots")


def minimise(scenario: Scenario, still_fails: Fails, *, keep_rules: bool = True, most_calls: int = 6000) -> Scenario:
    """The smallest scenario found that still fails.

    Tries, until nothing helps: fewer events, plain rules (unless ``keep_rules``), buys instead of
    sells, plain ids, shorter waits, smaller sizes, prices near 100 and near each other, and pairs of
    such changes that only help together. A step is taken only where it makes the scenario simpler
    by one total order (``_cost``), so the search ends; ``most_calls`` bounds it anyway.
    """
    best, calls = scenario, 0
    seen: set[Scenario] = {scenario}
    steps = _STEPS if keep_rules else (*_STEPS, _plainer_rules)
    improved = True
    while improved:
        improved = False
        for step in steps:
            for candidate in _simpler(step, best, seen):
                if calls >= most_calls:
                    return best
                calls += 1
                if still_fails(candidate):
                    best, improved = candidate, True
                    break
            if improved:
                break
    return best


def _simpler(step: Step, scenario: Scenario, seen: set[Scenario]) -> Iterator[Scenario]:
    """The step's candidates that are simpler, and were not asked before."""
    cost, ranks = _cost(scenario), _ranks_sides(scenario)
    for candidate in step(scenario):
        if candidate not in seen and _cost(candidate) < cost and (ranks or not _ranks_sides(candidate)):
            seen.add(candidate)
            yield candidate


def _ranks_sides(s: Scenario) -> bool:
    """Whether a buy and a sell would have to be ranked by price, which rule 9 does not say how to do."""
    if s.rules.priority != "price-time" or s.rules.aggressor != "any":
        return False
    buys = [a.price_ticks for a in s.actions if isinstance(a, Submit) and a.side is Side.BUY]
    sells = [a.price_ticks for a in s.actions if isinstance(a, Submit) and a.side is Side.SELL]
    return bool(buys and sells) and max(buys) >= min(sells)


def _cost(s: Scenario) -> tuple[Any, ...]:
    """How much there is to read: events first, then rules, time, sides, prices, sizes, names."""
    events: list[Any] = [*s.tape, *s.actions]
    plain = Rules()
    odd = [name for name in DIALS if getattr(s.rules, name) not in (getattr(plain, name), None)]
    times = sorted(e.ns for e in events)
    prices = [abs(getattr(e, n) - _PLAIN_TICKS) for e in events for n in _PRICE_FIELDS if hasattr(e, n)]
    sizes = [getattr(e, n) for e in events for n in _SIZE_FIELDS if hasattr(e, n)]
    takers = [2 if e.aggressor is Side.BUY else 1 for e in events if getattr(e, "aggressor", None) is not None]
    sides = [a.side for a in s.actions if isinstance(a, Submit)]
    names = [a.order_id != n for n, a in enumerate((a for a in s.actions if isinstance(a, Submit)), 1)]
    limits = [abs(a.price_ticks - _PLAIN_TICKS) for a in s.actions if isinstance(a, Submit)]
    kinds = [isinstance(e, TopOfBook) for e in s.tape]
    return (
        len(events), len(odd), sum(times), len(set(times)), sides.count(Side.SELL), sum(names), sum(kinds),
        limits[:1], sum(prices), sum(sizes), sum(takers), [e.ns for e in events], [-side for side in sides],
        prices, sizes,
    )  # fmt: skip


def _made(tape: Iterable[TapeEvent], actions: Iterable[Action], rules: Rules) -> Iterator[Scenario]:
    """The scenario, if there can be one: a candidate may be no valid scenario at all."""
    try:
        yield Scenario(tuple(tape), tuple(actions), rules)
    except InputError:
        return


def _fewer_events(s: Scenario) -> Iterator[Scenario]:
    """Half of the events, a quarter ... one; an order goes with its cancels."""
    count = len(s.tape) + len(s.actions)
    width = count
    while width:
        for start in range(0, count, width):
            cut = range(start, min(start + width, count))
            tape = [e for i, e in enumerate(s.tape) if i not in cut]
            actions = [a for i, a in enumerate(s.actions, len(s.tape)) if i not in cut]
            submitted = {a.order_id for a in actions if isinstance(a, Submit)}
            yield from _made(tape, [a for a in actions if a.order_id in submitted], s.rules)
        width //= 2


def _plainer_rules(s: Scenario) -> Iterator[Scenario]:
    """One dial at its default, or without."""
    plain = Rules()
    for name in DIALS:
        values: list[Any] = [None, getattr(plain, name)] if name in OPTIONAL else [getattr(plain, name)]
        here = getattr(s.rules, name)
        for value in values[: values.index(here)] if here in values else values:
            changes: dict[str, Any] = {name: value}
            yield Scenario(s.tape, s.actions, replace(s.rules, **changes))


def _mirrored(s: Scenario) -> Iterator[Scenario]:
    """Sides swapped and prices reflected, where the first order sells."""
    first = next((a for a in s.actions if isinstance(a, Submit)), None)
    if first is None or first.side is Side.BUY:
        return
    prices = [getattr(e, name) for e in (*s.tape, *s.actions) for name in _PRICE_FIELDS if hasattr(e, name)]
    about = max(prices) + min(prices)
    rules = replace(s.rules, initial_position_lots=-s.rules.initial_position_lots)
    if rules != s.rules:
        return
    yield from _made((_mirror(e, about) for e in s.tape), (_mirror(a, about) for a in s.actions), rules)


def _mirror(event: Any, about: int) -> Any:
    if isinstance(event, Trade):
        taker = None if event.aggressor is None else Side(-event.aggressor)
        return replace(event, price_ticks=about - event.price_ticks, aggressor=taker)
    if isinstance(event, TopOfBook):
        return TopOfBook(event.ns, about - event.ask_ticks, event.ask_lots, about - event.bid_ticks, event.bid_lots)
    if isinstance(event, Submit):
        return replace(event, side=Side(-event.side), price_ticks=about - event.price_ticks)
    return event


def _plain_ids(s: Scenario) -> Iterator[Scenario]:
    """Ids 1, 2, 3 in the order of submission."""
    names: dict[Any, int] = {}
    for a in s.actions:
        if isinstance(a, Submit):
            names[a.order_id] = len(names) + 1
    if any(old != new for old, new in names.items()):
        yield Scenario(s.tape, tuple(replace(a, order_id=names[a.order_id]) for a in s.actions), s.rules)


def _shorter_waits(s: Scenario) -> Iterator[Scenario]:
    """The first event at zero, and each wait between two instants as short as it can be."""
    times = sorted({e.ns for e in (*s.tape, *s.actions)})
    if not times:
        return
    if times[0] > 0:
        yield from _retimed(s, {t: t - times[0] for t in times})
    for at in range(1, len(times)):
        gap = times[at] - times[at - 1]
        for shorter in _smaller(gap, 0):
            yield from _retimed(s, {t: t - (gap - shorter if t >= times[at] else 0) for t in times})
    # one instant alone: nearer to the one before, the later ones staying where they are
    for at in range(1, len(times)):
        for earlier in _smaller(times[at] - times[at - 1], 0):
            yield from _retimed(s, {t: times[at - 1] + earlier if t == times[at] else t for t in times})
    yield from _moved_alone(s, times)


def _moved_alone(s: Scenario, times: list[int]) -> Iterator[Scenario]:
    """One event, or one and all that follow it, to an earlier instant or just after it."""
    events: list[Any] = [*s.tape, *s.actions]
    follows = sorted(range(len(events)), key=lambda i: (events[i].ns, i))
    for place, i in enumerate(follows):
        for ns in (t + off for t in times for off in (0, 1) if t + off < events[i].ns):
            yield from _with(s, i, "ns", ns)
            back_ns = events[i].ns - ns
            moved = {k: replace(events[k], ns=events[k].ns - back_ns) for k in follows[place:]}
            yield from _sorted([moved.get(k, e) for k, e in enumerate(events)], s)


def _retimed(s: Scenario, moved: dict[int, int]) -> Iterator[Scenario]:
    yield from _made(
        (replace(e, ns=moved[e.ns]) for e in s.tape), (replace(a, ns=moved[a.ns]) for a in s.actions), s.rules
    )


def _smaller(value: int, low: int) -> Iterator[int]:
    """Simpler values of a number: the least, then closer and closer to it from below."""
    if value <= low:
        return
    yield low
    if value > low + 1:
        yield low + 1
    step = (value - low) // 2
    while step > 0:
        if value - step > low + 1:
            yield value - step
        step //= 2


def _smaller_sizes(s: Scenario) -> Iterator[Scenario]:
    """Each size towards 1."""
    for i, event in enumerate((*s.tape, *s.actions)):
        for name in _SIZE_FIELDS:
            if hasattr(event, name):
                for size in _smaller(getattr(event, name), 1):
                    yield from _with(s, i, name, size)
    yield from _all_sizes(s)


def _all_sizes(s: Scenario) -> Iterator[Scenario]:
    """Every size less by one at once, which keeps their differences."""

    def less(event: Any) -> Any:
        return replace(event, **{n: max(getattr(event, n) - 1, 1) for n in _SIZE_FIELDS if hasattr(event, n)})

    if any(getattr(e, n) > 1 for e in (*s.tape, *s.actions) for n in _SIZE_FIELDS if hasattr(e, n)):
        yield from _made(map(less, s.tape), map(less, s.actions), s.rules)


def _plainer_prices(s: Scenario) -> Iterator[Scenario]:
    """The first limit at 100, and each other price nearer to it."""
    first = next((a.price_ticks for a in s.actions if isinstance(a, Submit)), None)
    if first is None:
        return
    if first != _PLAIN_TICKS:
        off = _PLAIN_TICKS - first
        yield from _made((_shifted(e, off) for e in s.tape), (_shifted(a, off) for a in s.actions), s.rules)
        return
    for i, event in enumerate((*s.tape, *s.actions)):
        for name in _PRICE_FIELDS:
            if hasattr(event, name):
                away = getattr(event, name) - _PLAIN_TICKS
                for nearer in _smaller(abs(away), 0):
                    yield from _with(s, i, name, _PLAIN_TICKS + (nearer if away > 0 else -nearer))


def _shifted(event: Any, ticks: int) -> Any:
    return replace(event, **{name: getattr(event, name) + ticks for name in _PRICE_FIELDS if hasattr(event, name)})


def _plainer_aggressors(s: Scenario) -> Iterator[Scenario]:
    """An unknown aggressor where he does not matter; else a seller before a buyer."""
    for i, event in enumerate(s.tape):
        if isinstance(event, Trade) and event.aggressor is not None:
            yield from _with(s, i, "aggressor", None)
            yield from _with(s, i, "aggressor", Side.SELL)


def _merged(s: Scenario) -> Iterator[Scenario]:
    """Two orders, or two trades, in one of both sizes; or one gone, and another smaller or larger by it."""
    events: list[Any] = [*s.tape, *s.actions]
    sized = [i for i, e in enumerate(events) if isinstance(e, Trade | Submit)]
    for gone in range(len(events)):
        size_lots = getattr(events[gone], "size_lots", 1)
        for other in sized:
            for size in (events[other].size_lots + size_lots, events[other].size_lots - size_lots):
                if size > 0 and other != gone:
                    changed = [replace(e, size_lots=size) if i == other else e for i, e in enumerate(events)]
                    yield from _without(changed, gone, s)


def _without(events: list[Any], gone: int, s: Scenario) -> Iterator[Scenario]:
    """The events without one of them; an order goes with its cancels."""
    out = events[gone]
    kept_tape = [e for i, e in enumerate(events[: len(s.tape)]) if i != gone]
    actions = [a for i, a in enumerate(events[len(s.tape) :], len(s.tape)) if i != gone]
    if isinstance(out, Submit):
        actions = [a for a in actions if a.order_id != out.order_id]
    yield from _made(kept_tape, actions, s.rules)


def _swapped(s: Scenario) -> Iterator[Scenario]:
    """One order on the other side; all prices at 100; one price at another's; two sizes exchanged."""
    events: list[Any] = [*s.tape, *s.actions]
    for i, event in enumerate(events):
        if isinstance(event, Submit) and event.side is Side.SELL:
            yield from _with(s, i, "side", Side.BUY)
            for price_ticks in (_PLAIN_TICKS, 2 * _PLAIN_TICKS - event.price_ticks):
                if price_ticks > 0:
                    turned = replace(event, side=Side.BUY, price_ticks=price_ticks)
                    yield from _sorted([turned if k == i else e for k, e in enumerate(events)], s)
    flat = [replace(e, **dict.fromkeys((n for n in _PRICE_FIELDS if hasattr(e, n)), _PLAIN_TICKS)) for e in events]
    yield from _sorted(flat, s)
    priced = [i for i, e in enumerate(events) if isinstance(e, Trade | Submit)]
    for i in priced:
        for k in priced:
            yield from _with(s, i, "price_ticks", events[k].price_ticks)
            both = {
                i: replace(events[i], size_lots=events[k].size_lots),
                k: replace(events[k], size_lots=events[i].size_lots),
            }
            yield from _sorted([both.get(n, e) for n, e in enumerate(events)], s)
            less = {n: replace(events[n], size_lots=max(events[n].size_lots - 1, 1)) for n in (i, k)}
            yield from _sorted([less.get(n, e) for n, e in enumerate(events)], s)
            near = {n: replace(events[n], price_ticks=_PLAIN_TICKS) for n in (i, k)}
            yield from _sorted([near.get(n, e) for n, e in enumerate(events)], s)


def _with(s: Scenario, i: int, name: str, value: Any) -> Iterator[Scenario]:
    """The scenario with one field of its i-th event changed, sorted again."""
    events: list[Any] = [*s.tape, *s.actions]
    events[i] = replace(events[i], **{name: value})
    yield from _sorted(events, s)


def _sorted(events: list[Any], s: Scenario) -> Iterator[Scenario]:
    """A scenario of changed events, each stream sorted again; equal times stay as they were."""
    tape = sorted(events[: len(s.tape)], key=lambda e: e.ns)
    actions = sorted(events[len(s.tape) :], key=lambda a: a.ns)
    yield from _made(tape, actions, s.rules)


_STEPS: tuple[Step, ...] = (
    _fewer_events, _merged, _mirrored, _plain_ids, _shorter_waits, _plainer_prices, _smaller_sizes,
    _plainer_aggressors, _swapped,
)  # fmt: skip

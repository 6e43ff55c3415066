"""Small worlds in which it is known who loses the money, because it was planted.

A venue posts tops of book around a wandering mid; takers come. A maker quotes the touch on both
sides. What differs is the cause of the loss:

- ``none``: takers know nothing, the maker follows the market. Spread is earned; inventory may lose.
- ``A``: many takers know where the mid goes within the next seconds.
- ``B``: as ``none`` or ``A``, but a faulty simulator fills, or a dishonest recorder writes the run.
- ``C stale``: takers know nothing, the mid jumps, and quotes are not withdrawn when it does.
- ``C throttle``: the same, but quotes are moved only at a minimum interval.
- ``C refire``: now and then a big order walks the book; the maker, filled, quotes again at once.
- ``C cap``: the maker runs into its cap, stops to quote the other side, and the market trends.

Every parameter that does not define the cause is drawn anew for each seed. A run that happens to earn
money has no cause of a loss: under A and C another is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from fixtures.faults import FAULTS
from fixtures.faults.fault import RecordFault
from fixtures.faults.records import RECORD_FAULTS
from invariants.laws import LAWS
from invariants.simulate import logged_run
from simcore import Action, Cancel, Fill, Instrument, Rules, Run, Scenario, Side, Submit, TopOfBook, Trade, simulate

KINDS = ("none", "A", "B", "C stale", "C throttle", "C refire", "C cap")
MS = 1_000_000
SECOND = 1_000 * MS
START_NS = 946_684_800 * SECOND
LAW_NAMES = {law.name for law in LAWS}


@dataclass(frozen=True)
class World:
    """What the venue and the takers do; distances in ticks, rates a second."""

    seconds: int
    half: int
    step: float
    rate: float
    informed: float = 0.0
    edge: float = 0.0
    jump_rate: float = 0.0
    jump: float = 0.0
    burst_rate: float = 0.0
    trend: float = 0.0


@dataclass(frozen=True)
class Habits:
    """What the maker does.

    ``pause_ns``: after a fill, until it quotes that side again; ``stuck_side``: once at the cap there,
    the other side is no longer quoted.
    """

    size_lots: int = 5
    interval_ns: int = 0
    withdraws: bool = True
    pause_ns: int = 10 * SECOND
    stuck_side: Side | None = None


def planted(kind: str, seed: int) -> Run:
    """The run number ``seed`` of this kind."""
    random = Random(f"{kind}/{seed}")  # noqa: S311 - worlds, not secrets
    run = _drawn(kind, random, f"{kind}/{seed}")
    while kind[0] in "AC" and run.reported["pnl"] >= 0:
        run = _drawn(kind, random, f"{kind}/{seed}")
    return run


def _drawn(kind: str, random: Random, name: str) -> Run:
    world, habits, rules = _plan(kind, random)
    tape = tuple(_tape(world, random))
    maker = _Maker(habits, rules)
    actions = tuple(maker.act(tape))
    scenario = Scenario(tape, actions, rules)
    if kind == "B":
        return _corrupted(scenario, random)
    fills = simulate(scenario)
    assert len(fills) == maker.fills, "the maker believes in other fills than it gets"
    return logged_run(scenario, fills, Instrument(), name=name)


def _plan(kind: str, random: Random) -> tuple[World, Habits, Rules]:
    half = random.randint(20, 60)
    step = half * random.uniform(0.05, 0.2)
    calm = World(random.randint(5_000, 9_000), half, step, random.uniform(0.04, 0.1))
    cap = random.choice((10, 20, 50, None))
    rules = Rules(latency_ns=random.choice((50, 300)) * MS, position_cap_lots=cap)
    if kind == "B":
        kind, calm = random.choice(("none", "A")), _with(calm, seconds=2_000)
    if kind == "none":
        moves = _with(calm, trend=half * random.uniform(-0.002, 0.002))
        return moves, Habits(), replace(rules, initial_position_lots=random.choice((0, 5, -5)))
    if kind == "A":
        share = random.uniform(0.5, 0.9)
        return _with(calm, informed=share, edge=half * random.uniform(1.6, 2.4) / share), Habits(), rules
    if kind in ("C stale", "C throttle"):
        jumps = _with(calm, seconds=9_000, jump_rate=1 / random.uniform(60, 120), jump=half * random.uniform(14, 20))
        patient = Rules(latency_ns=rules.latency_ns, ttl_ns=random.choice((120, 300)) * SECOND, position_cap_lots=None)
        if kind == "C stale":
            return jumps, Habits(withdraws=False), patient
        return jumps, Habits(interval_ns=random.randint(30, 60) * SECOND), patient
    if kind == "C refire":
        bursts = _with(calm, seconds=4_000, rate=random.uniform(0.15, 0.25), burst_rate=1 / random.uniform(100, 150))
        return bursts, Habits(pause_ns=0), Rules(latency_ns=50 * MS, position_cap_lots=None)
    side = random.choice((Side.BUY, Side.SELL))
    start = random.choice((0, 5, -5))
    stuck = Rules(latency_ns=rules.latency_ns, position_cap_lots=10, initial_position_lots=start)
    return _with(calm, trend=-side * half * random.uniform(0.008, 0.015)), Habits(stuck_side=side), stuck


def _with(world: World, **changes: float) -> World:
    return World(**{**world.__dict__, **changes})  # type: ignore[arg-type]


@dataclass
class _Market:
    """The mid, what it still has to do for those who knew, and the posted book."""

    mid: float = 100_000.0
    owed: list[tuple[float, int]] = field(default_factory=list)  # ticks a second, seconds left
    posted: float = 0.0


def _tape(world: World, random: Random) -> Iterator[Trade | TopOfBook]:
    market = _Market()
    for second in range(world.seconds):
        ns = START_NS + second * SECOND
        _move(market, world, random)
        if abs(market.mid - market.posted) > 0.15 * world.half:
            yield _post(market, world, ns)
        at_ns = ns + random.randint(50, 400) * MS
        if random.random() < world.rate:
            yield _take(market, world, random, at_ns)
        elif random.random() < world.burst_rate:
            yield from _burst(market, world, random, at_ns)


def _move(market: _Market, world: World, random: Random) -> None:
    market.mid += random.gauss(0, world.step) + world.trend
    market.mid += sum(ticks for ticks, _ in market.owed)
    market.owed = [(ticks, left - 1) for ticks, left in market.owed if left > 1]
    if random.random() < world.jump_rate:
        market.mid += random.choice((1, -1)) * world.jump * random.uniform(0.7, 1.3)


def _post(market: _Market, world: World, ns: int) -> TopOfBook:
    market.posted = round(market.mid)
    return TopOfBook(ns, market.posted - world.half, 30, market.posted + world.half, 30)


def _take(market: _Market, world: World, random: Random, ns: int) -> Trade:
    side = random.choice((Side.BUY, Side.SELL))
    if random.random() < world.informed:
        seconds = random.randint(2, 15)
        market.owed.append((side * world.edge / seconds, seconds))
    return Trade(ns, int(market.posted) + side * world.half, random.randint(1, 40), side)


def _burst(market: _Market, world: World, random: Random, ns: int) -> Iterator[Trade | TopOfBook]:
    """A big order in children of one side, all within the second; each moves the book."""
    side = random.choice((Side.BUY, Side.SELL))
    for _ in range(random.randint(6, 8)):
        yield Trade(ns, int(market.posted) + side * world.half, random.randint(1, 40), side)
        market.mid += side * world.half * random.uniform(2.0, 3.0)
        yield _post(market, world, ns + MS)
        ns += random.randint(55, 62) * MS


@dataclass
class _Quote:
    submit: Submit
    live_ns: int
    over_ns: int


class _Maker:
    """Quotes the touch on both sides, one quote a side, and knows at once when it was filled."""

    def __init__(self, habits: Habits, rules: Rules) -> None:
        self.habits, self.rules = habits, rules
        self.position = rules.initial_position_lots
        self.quotes: dict[Side, _Quote | None] = {Side.BUY: None, Side.SELL: None}
        self.ready_ns = {Side.BUY: 0, Side.SELL: 0}
        self.sent_ns = {Side.BUY: -(10**18), Side.SELL: -(10**18)}
        self.count = self.fills = 0

    def act(self, tape: tuple[Trade | TopOfBook, ...]) -> Iterator[Action]:
        for event in tape:
            if isinstance(event, Trade):
                self._trade(event)
            else:
                for side in (Side.BUY, Side.SELL):
                    yield from self._quote(side, event)

    def _trade(self, trade: Trade) -> None:
        for side in self._by_age():
            quote = self.quotes[side]
            if quote is None or not quote.live_ns <= trade.ns < quote.over_ns:
                continue
            after = self.position + side * self.habits.size_lots
            cap = self.rules.position_cap_lots
            if side * (quote.submit.price_ticks - trade.price_ticks) < 0 or (cap is not None and abs(after) > cap):
                continue
            self.position, self.fills, self.quotes[side] = after, self.fills + 1, None
            self.ready_ns[side] = trade.ns + self.habits.pause_ns

    def _by_age(self) -> list[Side]:
        return sorted(self.quotes, key=lambda side: q.submit.order_id if (q := self.quotes[side]) else 0)

    def _quote(self, side: Side, top: TopOfBook) -> Iterator[Action]:
        quote, price = self.quotes[side], top.bid_ticks if side is Side.BUY else top.ask_ticks
        if quote is not None and top.ns >= quote.over_ns:
            quote = self.quotes[side] = None
        held_off = top.ns < max(self.ready_ns[side], self.sent_ns[side] + self.habits.interval_ns)
        if held_off or self._is_stuck(side):
            return
        if quote is not None:
            if quote.submit.price_ticks == price or not self.habits.withdraws:
                return
            yield Cancel(top.ns, quote.submit.order_id)
        self.count += 1
        submit = Submit(top.ns, self.count, side, price, self.habits.size_lots)
        live_ns = top.ns + max(1, self.rules.latency_ns)
        assert self.rules.ttl_ns is not None
        self.quotes[side] = _Quote(submit, live_ns, top.ns + self.rules.ttl_ns)
        self.sent_ns[side] = top.ns
        yield submit

    def _is_stuck(self, side: Side) -> bool:
        """The bug: at the cap, the side that would reduce the position is no longer quoted."""
        held, cap = self.habits.stuck_side, self.rules.position_cap_lots
        return held is not None and cap is not None and side == -held and held * self.position >= cap


def _corrupted(scenario: Scenario, random: Random) -> Run:
    """The run under a fault that a law must see, drawn until one shows in this world."""
    reference = simulate(scenario)
    honest = logged_run(scenario, reference, Instrument())
    faults = [*FAULTS, *RECORD_FAULTS]
    random.shuffle(faults)
    for fault in faults:
        if fault.law not in LAW_NAMES:
            continue
        if isinstance(fault, RecordFault):
            run = fault.falsify(honest)
            if run is not honest:
                return run
        elif (fills := answer(fault.fresh(), scenario)) is not None and _differ(fills, reference):
            return Run.from_scenario(scenario, fills, name=f"B/{fault.name}")
    raise AssertionError("no fault shows in this world")


def answer(subject: Callable[[Scenario], object], scenario: Scenario) -> list[Fill] | None:
    """The fills of a simulator; None where it does not answer in fills."""
    try:
        fills = list(subject(scenario))  # type: ignore[call-overload]
    except Exception:  # noqa: BLE001 - some faults crash; there is no run to judge then
        return None
    return fills if all(isinstance(f, Fill) for f in fills) else None


def _differ(fills: list[Fill], reference: list[Fill]) -> bool:
    return [_key(f) for f in fills] != [_key(f) for f in reference]


def _key(fill: Fill) -> tuple[object, ...]:
    return fill.ns, str(fill.order_id), fill.side, fill.price_ticks, fill.size_lots

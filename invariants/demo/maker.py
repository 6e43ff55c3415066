"""The inside-spread maker of the origin report, played against the reference simulator.

It quotes both sides at the best bid and ask and sees nothing but the tape so far and its own fills:
its position moves its quotes, so maker and simulator advance together, instant by instant. What it
decided is a plain list of actions; replayed as a scenario, they give exactly the fills that it saw.

The report names the parts and most of their figures, but neither the strength of the inventory skew
nor that of the imbalance lean: those two defaults are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import groupby
from operator import attrgetter

from invariants.demo.pricing import Quoter
from invariants.ends import order_ends
from invariants.simulate import logged_run
from simcore import (
    Action,
    Cancel,
    Fill,
    InputError,
    Instrument,
    OrderId,
    Rules,
    Run,
    Scenario,
    Side,
    Submit,
    TapeEvent,
    Trade,
    simulate,
)
from simcore.engine import crosses
from simcore.units import decimal_of

_MOST_DECIMALS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """The parameters. Sizes are in size units, prices in basis points of the touch.

    ``offset_bps`` moves each quote away from its touch (negative: inside the spread).
    ``inventory_skew_bps`` is by how much both quotes move against a position at the ``cap``, less
    in proportion; ``imbalance_lean_bps`` by how much they move towards the thinner side of a book
    that shows one side only. With ``imbalance_one_side`` only the side that the book leans to is quoted.

    The guard withdraws a side while the trades of the last ``guard_window_ns`` reach ``guard_size``
    in volume or ``guard_count`` in number; with ``guard_same_side`` only trades that hit that side
    count. A quote lives ``life_ns``; no quote is sent within ``min_interval_ns`` of another of its side.
    The ``cap`` is the maker's own (that of the rules holds besides), ``None`` is none.
    ``initial_position`` is the account's; ``None`` takes that of the rules.
    Raises ``InputError`` for a value that no maker can have.
    """

    size: Decimal = Decimal(5)
    offset_bps: Decimal = Decimal(0)
    inventory_skew_bps: Decimal = Decimal(1)
    imbalance_lean_bps: Decimal = Decimal("0.5")
    imbalance_one_side: bool = False
    guard_size: Decimal | None = Decimal("0.8")
    guard_count: int | None = None
    guard_window_ns: int = 500_000_000
    guard_same_side: bool = False
    life_ns: int = 5_000_000_000
    min_interval_ns: int = 500_000_000
    cap: Decimal | None = Decimal(10)
    initial_position: Decimal | None = Decimal(10)

    def __post_init__(self) -> None:
        for name in ("size", "guard_size", "cap", "initial_position"):
            value = getattr(self, name)
            if value is not None or name == "size":
                self._set(name, decimal_of(value, field=name, file="maker"))
            if value is not None and name != "initial_position" and getattr(self, name) <= 0:
                raise InputError(file="maker", field=name, got=value, wanted="a size > 0")
        for name in ("offset_bps", "inventory_skew_bps", "imbalance_lean_bps"):
            number = decimal_of(getattr(self, name), field=name, file="maker")
            if abs(number) >= 10_000 or int(number.normalize().as_tuple().exponent) < -_MOST_DECIMALS:
                wanted = f"less than 10000 basis points, with at most {_MOST_DECIMALS} decimals"
                raise InputError(file="maker", field=name, got=number, wanted=wanted)
            self._set(name, number)
        for name, low in (("guard_window_ns", 1), ("life_ns", 1), ("min_interval_ns", 0), ("guard_count", 1)):
            value = getattr(self, name)
            if value is None and name == "guard_count":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise InputError(file="maker", field=name, got=value, wanted=f"a whole number >= {low}")

    def _set(self, name: str, value: Decimal) -> None:
        object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it: the scenario, the fills, and why each order that was withdrawn was.

    ``reasons`` has requote, stale_quote, adverse_volume_guard, inventory_cap, imbalance, no_book.
    """

    scenario: Scenario
    fills: tuple[Fill, ...]
    reasons: Mapping[OrderId, str]


def run_maker(
    events: Iterable[TapeEvent], rules: Rules, instrument: Instrument, maker: Maker | None = None, *, name: str = "run"
) -> Run:
    """The run of the maker on a tape, with all that an engine logs. Raises ``InputError``."""
    played = play(events, rules, instrument, maker)
    return logged_run(played.scenario, played.fills, instrument, name=name)


def play(events: Iterable[TapeEvent], rules: Rules, instrument: Instrument, maker: Maker | None = None) -> Played:
    """Let the maker quote on a tape, event by event; linear in the tape. Raises ``InputError``.

    All events of one instant are seen before it acts, as rule 1 orders them.
    """
    maker, tape = maker or Maker(), tuple(events)
    if maker.initial_position is not None:
        position = instrument.lots(maker.initial_position, file="maker", field="initial_position")
        rules = replace(rules, initial_position_lots=position)
    table = _Table(maker, rules, Quoter(maker, instrument))
    seq = 0
    for ns, group in groupby(tape, key=attrgetter("ns")):
        instant = tuple(group)
        table.advance(ns, instant, seq)
        seq += len(instant)
    scenario = Scenario(tape, tuple(table.actions), rules)
    fills = tuple(simulate(scenario))
    if fills != tuple(table.fills):
        raise AssertionError("the fills that the maker saw are not those of its actions: a bug in fillproof")
    return Played(scenario, fills, table.reasons)


@dataclass(slots=True)
class _Alive:
    """An order that may still fill: what is left of it, and its cancel."""

    submit: Submit
    cancel: Cancel | None = None


@dataclass(slots=True)
class _Table:
    """The maker's side of the game: its quotes, its fills; its position is the initial one of ``rules``."""

    maker: Maker
    rules: Rules
    quoter: Quoter
    actions: list[Action] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    reasons: dict[OrderId, str] = field(default_factory=dict)
    _alive: dict[OrderId, _Alive] = field(default_factory=dict)
    _quote: dict[Side, _Alive | None] = field(default_factory=lambda: dict.fromkeys(Side))
    _next_ns: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))

    def advance(self, ns: int, instant: tuple[TapeEvent, ...], seq: int) -> None:
        """One instant: what filled, what is to be seen, what is to be done. ``seq`` is its first event's."""
        self._fill(ns, instant, seq)
        for event in instant:
            self.quoter.see(event)
        targets = self.quoter.targets(ns, self.rules.initial_position_lots)
        for side, target in targets.items():
            self._act(side, ns, target)

    def _fill(self, ns: int, instant: tuple[TapeEvent, ...], seq: int) -> None:
        """Ask the reference simulator for this instant alone: its state is the live orders and the position."""
        trades = [event for event in instant if isinstance(event, Trade)]
        if not trades:
            return
        self._forget(ns)
        live = [order.submit for order in self._alive.values()]
        if not any(crosses(submit, trade, self.rules) for submit in live for trade in trades):
            return
        cancels = [order.cancel for order in self._alive.values() if order.cancel is not None]
        actions: list[Action] = [*live, *cancels]
        scenario = Scenario(instant, tuple(sorted(actions, key=attrgetter("ns"))), self.rules)
        fills = simulate(scenario)
        for fill in fills:
            self._book(replace(fill, trade_seq=None if fill.trade_seq is None else seq + fill.trade_seq))
        if self.rules.cap_action == "cancel":
            for order_id, end in order_ends(scenario, fills).items():
                if end.word == "cancelled":
                    self._alive.pop(order_id, None)

    def _book(self, fill: Fill) -> None:
        order = self._alive[fill.order_id]
        leaves_lots = order.submit.size_lots - fill.size_lots
        self.rules = replace(
            self.rules, initial_position_lots=self.rules.initial_position_lots + fill.side * fill.size_lots
        )
        self.fills.append(fill)
        if leaves_lots:
            order.submit = replace(order.submit, size_lots=leaves_lots)
        else:
            del self._alive[fill.order_id]

    def _forget(self, ns: int) -> None:
        """Drop the orders that no trade from ``ns`` on can fill, whatever the ties."""
        ttl_ns, delay_ns = self.rules.ttl_ns, self.rules.cancel_latency_ns
        over = [
            order_id
            for order_id, order in self._alive.items()
            if (ttl_ns is not None and ns > order.submit.ns + ttl_ns)
            or (order.cancel is not None and ns > order.cancel.ns + delay_ns)
        ]
        for order_id in over:
            del self._alive[order_id]

    def _act(self, side: Side, ns: int, target: int | str) -> None:
        """Withdraw what must not stand, and quote what is wanted, no faster than the interval allows."""
        quote = self._quote[side]
        if quote is not None and self._is_over(quote, ns):
            quote = self._quote[side] = None
        may_send = ns >= self._next_ns[side]
        reason = "" if quote is None else self._why_withdraw(quote.submit, ns, target, may_send=may_send)
        if quote is not None and reason:
            quote.cancel = Cancel(ns, quote.submit.order_id)
            self.actions.append(quote.cancel)
            self.reasons[quote.submit.order_id] = reason
            quote = self._quote[side] = None
        if quote is None and may_send and isinstance(target, int):
            self._send(Submit(ns, len(self.actions) + 1, side, target, self.quoter.size_lots))

    def _is_over(self, quote: _Alive, ns: int) -> bool:
        """Whether it is filled, blocked, or expired by itself."""
        ttl_ns = self.rules.ttl_ns
        return quote.submit.order_id not in self._alive or (ttl_ns is not None and ns >= quote.submit.ns + ttl_ns)

    def _why_withdraw(self, submit: Submit, ns: int, target: int | str, *, may_send: bool) -> str:
        if isinstance(target, str):
            return target
        if ns >= submit.ns + self.maker.life_ns:
            return "stale_quote"
        return "requote" if may_send and target != submit.price_ticks else ""

    def _send(self, submit: Submit) -> None:
        self.actions.append(submit)
        self._next_ns[submit.side] = submit.ns + self.maker.min_interval_ns
        self._alive[submit.order_id] = self._quote[submit.side] = _Alive(submit)

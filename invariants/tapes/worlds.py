"""Scenarios decoded from bytes: a small world in which trades are aimed at the live orders.

A gene is nine bytes: an operation, a target order, an instant, a price, a size and a side. Every
choice is a place in a table whose first entry is the simplest, so that zero bytes make the plainest
scenario, and a gene of operation 0 makes nothing: that is how Hypothesis shrinks it away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from invariants.tapes.supports import Supports
from simcore import Cancel, Rules, Scenario, Side, Submit, TopOfBook, Trade

GENE = 9
HEADER = 7
"""Bytes of a gene and of a scenario's header; odd lengths, at which no module has a bytes constant:
Hypothesis would draw those, and what is drawn would hang on what else is imported."""

HOUR_NS = 3_600_000_000_000
_EPOCHS = (10**12, 1_700_000_000_000_000_001, 10**12, 2**53 - 1, 1_767_571_200_123_456_789, 0, 2**53 + 1, 10**12)
_PRICES = (100_000, 361_000, 500, 100, 2**31 - 3, 100_000, 2**53 + 1, 60)
_UNITS = (1, 1, 1, 1, 1, 1, 2**31 - 1, 2**53 + 1)
_ID_STYLES = 10
_JUMP_TICKS = 37
_APART_TICKS = 4 * _JUMP_TICKS
LARGEST_EXACT_TICKS = 2**52
"""Prices up to here, and what is added to them, are exact in a double."""
_MOST_LOTS = 2**55
"""So that sixty-four events together stay inside what a scenario may hold."""


@dataclass(slots=True)
class _Draft:
    """An order as it was planned: when it is live, if nothing fills it."""

    name: int | str
    side: Side
    price_ticks: int
    size_lots: int
    submit_ns: int
    effect_ns: int | None = None


class Gene(NamedTuple):
    """One gene's bytes by name."""

    op: int
    target: int
    when: int
    price: int
    size: int
    side: int
    more: int
    extra: int
    spare: int = 0


class World:
    """Builds one scenario; every method adds events, none looks at a simulator."""

    def __init__(self, rules: Rules, header: bytes, supports: Supports, max_events: int) -> None:
        self.rules = rules
        self.supports = supports
        self.max_events = max_events
        self.now_ns = _EPOCHS[header[0] % 8]
        self.start_ns = self.now_ns
        self.unit_lots = self._unit(header[2])
        # a fee on huge sizes at huge prices has more digits than Decimal keeps by default
        plain = rules.fee_rate and self.unit_lots > 1
        self.price_ticks = _PRICES[0 if plain else header[1] % 8]
        if not supports.huge_prices and self.price_ticks > LARGEST_EXACT_TICKS:
            self.price_ticks = _PRICES[0]
        self.id_style = header[3] % _ID_STYLES
        self.has_odd_ids = header[5] % 8 == 7
        # rule 9 does not say how a buy and a sell compare in price: keep own sides apart there
        self.apart = rules.priority == "price-time" and rules.aggressor == "any"
        self.orders: list[_Draft] = []
        self.tape: list[Trade | TopOfBook] = []
        self.actions: list[Submit | Cancel] = []

    def _unit(self, byte: int) -> int:
        cap_lots = self.rules.position_cap_lots
        if cap_lots is not None:
            return max(cap_lots // 5, 1) if cap_lots >= 2**30 else 1
        return _UNITS[byte % 8] if self.supports.huge_sizes else 1

    @property
    def is_full(self) -> bool:
        """Whether there are as many events as there may be, or a few more."""
        return len(self.tape) + len(self.actions) >= self.max_events

    def grow(self, gene: Gene) -> None:
        """Add what one gene says."""
        if self.is_full or gene.op % len(_OPERATIONS) == 0:
            return
        if not self.orders:
            self.submit(gene)
        _OPERATIONS[gene.op % len(_OPERATIONS)](self, gene)

    # --- operations ---

    def submit(self, gene: Gene, *, like: _Draft | None = None, turned: bool = False) -> None:
        """A new order; ``like`` another at its side and price, or ``turned`` to the other side."""
        side = (Side.BUY, Side.SELL)[gene.side % 2]
        target = self._target(gene)
        if like is not None:
            side, price_ticks = like.side, like.price_ticks
        elif turned and target is not None and not self.apart:
            side, price_ticks = Side(-target.side), target.price_ticks
        else:
            price_ticks = self._limit(gene, side, target)
        ns = self._instant(gene, target) if target is not None else self.now_ns
        name = self._name(len(self.orders))
        draft = _Draft(name, side, price_ticks, self._order_size(gene, side, target), ns)
        self.orders.append(draft)
        self.actions.append(Submit(ns, name, side, draft.price_ticks, draft.size_lots))
        self.now_ns = ns

    def trade(self, gene: Gene, *, ns: int | None = None, sweep: bool = False) -> None:
        """A trade aimed at the target: at a boundary of its life, at or near its limit."""
        target = self._aimed(gene)
        when = self._instant(gene, target) if ns is None else ns
        price_ticks = max(target.price_ticks - target.side * _THROUGH[gene.price % 12], 1)
        self._add_trade(when, price_ticks, self._trade_size(gene, target, sweep=sweep), self._taker(gene, target))

    def fresh_trade(self, gene: Gene) -> None:
        """A new order and a trade aimed at it."""
        self.submit(gene)
        self.trade(gene._replace(target=0, when=gene.more))

    def cancel(self, gene: Gene) -> None:
        """A cancel whose request, or whose effect, falls on a boundary."""
        if not self.supports.cancels:
            return
        target = self._aimed(gene)
        ns = self._instant(gene, target)
        if gene.side % 2:
            ns -= self.rules.cancel_latency_ns
        ns = max(ns, 0)
        self.actions.append(Cancel(ns, target.name))
        if target.effect_ns is None and ns >= target.submit_ns:
            target.effect_ns = ns + self.rules.cancel_latency_ns
        self.now_ns = max(self.now_ns, ns)

    def cancel_and_trade(self, gene: Gene) -> None:
        """A cancel of the target, and a trade around the instant of its effect; at times one before, too."""
        if gene.extra % 3 == 1:
            self.trade(gene._replace(when=_ARRIVAL, price=_CROSSING, extra=7 if gene.extra % 2 else 0))
            gene = gene._replace(when=_LIVE[gene.when % len(_LIVE)])
        elif gene.extra % 4 == 3:  # the effect falls on the expiry: two ties at once
            gene = gene._replace(when=_EXPIRY, side=gene.side | 1, more=0, price=_CROSSING)
        self.cancel(gene)
        target = self._aimed(gene)
        effect_ns = self.now_ns if target.effect_ns is None else target.effect_ns
        self.trade(gene, ns=max(effect_ns + _NEAR[gene.more % 3], 0))

    def two_cancels(self, gene: Gene) -> None:
        """A second cancel that must change nothing, and a trade just after the effect of the first."""
        self.cancel(gene._replace(when=_LIVE[gene.when % len(_LIVE)], side=0))
        target = self._aimed(gene)
        if target.effect_ns is None:
            return
        again_ns = self.now_ns + (1, 0, self.rules.cancel_latency_ns)[gene.more % 3]
        self.actions.append(Cancel(again_ns, target.name))
        self.trade(gene._replace(price=_CROSSING), ns=target.effect_ns + (1, 1, 2, 0)[gene.extra % 4])

    def grind(self, gene: Gene) -> None:
        """Several small trades in a row for one order: its third and fourth part, and then too many."""
        self.submit(gene._replace(size=10 if gene.size % 2 else 3))
        target = self.orders[-1]
        ns = self._instant(gene._replace(when=_LIVE[gene.when % len(_LIVE)]), target)
        for part in range(3 + gene.more % 4):
            size_lots = max(target.size_lots // (2, 3, 4, 7)[gene.extra % 4], 1)
            price_ticks = max(target.price_ticks - target.side * (gene.price % 2), 1)
            self._add_trade(ns + part * (gene.side // 2 % 2), price_ticks, size_lots, self._taker(gene, target))

    def relay(self, gene: Gene) -> None:
        """A buy and a sell, eaten lot by lot in turn and beyond; at times a cancel of one takes effect half-way.

        Wherever a simulator begins anew in a long tape, an order is filled in part there, or a cancel is in flight.
        """
        cap_lots, sent_ns = self.rules.position_cap_lots, self.now_ns
        size_lots = (7, 3, 12, 5)[gene.size % 4] if cap_lots is None else max(min(7, cap_lots // 2), 1)
        for side, away_ticks in ((Side.BUY, 0), (Side.SELL, _APART_TICKS)):
            name, price_ticks = self._name(len(self.orders)), self.price_ticks + away_ticks
            self.orders.append(_Draft(name, side, price_ticks, size_lots, sent_ns))
            self.actions.append(Submit(sent_ns, name, side, price_ticks, size_lots))
        pair, first_ns, step_ns = self.orders[-2:], sent_ns + max(self.rules.latency_ns, 1), 1
        if self.supports.cancels and gene.more % 4:
            leaves = pair[gene.side % 2]
            asked_ns = max(first_ns + size_lots - self.rules.cancel_latency_ns, sent_ns)
            leaves.effect_ns = asked_ns + self.rules.cancel_latency_ns
            step_ns = max((leaves.effect_ns - first_ns) // size_lots, 1)
            self.actions.append(Cancel(asked_ns, leaves.name))
        for turn in range(2 * size_lots + 4):
            target, ns = pair[turn % 2], first_ns + turn * step_ns
            is_spared = gene.more % 4 > 1 and target.effect_ns is not None and ns <= target.effect_ns
            through_ticks = -1 if is_spared else gene.price // (turn + 1) % 2
            self._add_trade(ns, target.price_ticks - target.side * through_ticks, 1, Side(-target.side))

    def swarm(self, gene: Gene) -> None:
        """Many orders at once, some cancelled together, and a trade across what is left."""
        for n in range(3 + gene.more % 4):
            self.submit(gene._replace(when=0, target=0, price=gene.price + n * (gene.extra % 2), size=n))
        if self.supports.cancels and gene.extra % 3:
            for target in self.orders[-(gene.extra % 3) - 1 :]:
                self.actions.append(Cancel(self.now_ns, target.name))
                target.effect_ns = self.now_ns + self.rules.cancel_latency_ns
        self.trade(gene._replace(price=_CROSSING), sweep=True)

    def early_cancel(self, gene: Gene) -> None:
        """A cancel before its order is there, which must do nothing, and a trade for the order.

        At times in the very nanosecond of the submit: the order in which actions are given decides.
        """
        target = self._aimed(gene)
        ns = target.submit_ns - 1 + gene.more % 2
        if self.supports.cancels and ns >= 0:
            self.actions.insert(self._place(target), Cancel(ns, target.name))
        self.trade(gene)

    def twin(self, gene: Gene) -> None:
        """A second trade in the nanosecond of the last, equal to it or not."""
        trades = [t for t in self.tape if isinstance(t, Trade)]
        if not trades or not self.supports.same_instant:
            self.trade(gene)
            return
        last = trades[-1]
        if gene.more % 2:
            self.trade(gene, ns=last.ns)
        else:
            self.tape.append(last)

    def resubmit(self, gene: Gene) -> None:
        """A new order at the side and price of the target, and a trade for either."""
        self.submit(gene, like=self._target(gene))
        self.trade(gene._replace(target=gene.extra, when=gene.more))

    def crowd(self, gene: Gene) -> None:
        """Two more orders beside the target, and one trade across all of them."""
        like = self._target(gene)
        self.submit(gene._replace(when=0), like=like if gene.extra % 2 else None)
        self.submit(
            gene._replace(
                when=0, side=gene.side if self.apart else gene.extra // 2, size=gene.more, price=gene.extra // 4
            )
        )
        self.trade(gene._replace(target=0, when=gene.more, price=3 if gene.extra % 4 == 3 else gene.price), sweep=True)

    def both_sides(self, gene: Gene) -> None:
        """An order on the other side of the target, and a trade that crosses both if it can."""
        self.submit(gene._replace(when=gene.extra), turned=True)
        self.trade(gene._replace(target=0, when=gene.more, price=0))

    def pile_up(self, gene: Gene) -> None:
        """A trade, a submit and a cancel in one nanosecond, at a boundary of the target."""
        target = self._aimed(gene)
        ns = self._instant(gene._replace(when=(5, 2, 8, 6)[gene.more % 4]), target)
        self.trade(gene, ns=ns)
        if self.supports.cancels:
            self.actions.append(Cancel(ns, target.name))
            if target.effect_ns is None and ns >= target.submit_ns:
                target.effect_ns = ns + self.rules.cancel_latency_ns
        self.submit(gene._replace(when=0), like=target if gene.extra % 2 else None)

    def top(self, gene: Gene) -> None:
        """A top of book that reaches the target, or nearly, mostly while it is live: it must fill nothing."""
        if not self.supports.tops:
            return
        target = self._aimed(gene)
        when = gene.when if gene.more % 4 == 3 else _LIVE[gene.when % len(_LIVE)]
        ns = self._instant(gene._replace(when=when), target)
        near_ticks = target.price_ticks - target.side * _THROUGH[gene.price % 12]
        near_ticks = max(near_ticks, 4)
        wide_ticks = gene.more % 5 - 1  # locked and crossed books are on real tapes
        # the side that our order would trade with is near: the ask of a buy, the bid of a sell
        bid_ticks = near_ticks - (wide_ticks if target.side is Side.BUY else 0)
        self.tape.append(TopOfBook(ns, bid_ticks, gene.size % 8 + 1, bid_ticks + wide_ticks, gene.extra % 8 + 1))

    def top_and_trade(self, gene: Gene) -> None:
        """A top of book that reaches a live order, and a trade in its nanosecond that may not."""
        self.top(gene)
        if gene.extra % 2 and self.tape and self.supports.same_instant:
            self.trade(gene._replace(price=gene.side), ns=self.tape[-1].ns)

    # --- choices ---

    def _place(self, target: _Draft) -> int:
        """Where its submit stands among the actions."""
        return next(i for i, a in enumerate(self.actions) if isinstance(a, Submit) and a.order_id == target.name)

    def _aimed(self, gene: Gene) -> _Draft:
        """One of the last three orders; there is one, because ``grow`` submits first."""
        return self.orders[-1 - gene.target % min(len(self.orders), 3)]

    def _target(self, gene: Gene) -> _Draft | None:
        return self._aimed(gene) if self.orders else None

    def _name(self, n: int) -> int | str:
        """The n-th id: numbers up, down, from 0, and far apart; below; words that sort otherwise, or share an end."""
        numbers = (n + 1, 1000 - 7 * n, n, 1 + n * (2**8, 2**16, 2**32)[n % 3], -n - 1)
        is_exact = self.supports.huge_sizes and self.supports.huge_prices
        if self.has_odd_ids and is_exact and (self.id_style % 3 == 0 or not self.supports.str_ids):
            return 2**53 + n
        if not self.supports.str_ids:
            return numbers[self.id_style % 5]
        if self.has_odd_ids:
            return self._odd_name(*divmod(n, 2))
        cased = f"{chr(97 + n // 2 % 26)}{n // 52}"
        words = (f"O{n + 1}", f"{chr(122 - n % 26)}{n}", f"order-{n:012}", f"{n:04}-buy-quote")
        return (*numbers, *words, cased.upper() if n % 2 else cased)[self.id_style]

    def _odd_name(self, pair: int, second: int) -> int | str:
        """Two ids of a pair, which are the same to whoever converts, trims, cuts or re-encodes them."""
        pairs = (
            (f"{pair}", f"0{pair}"),
            (pair, f"{pair}"),
            (f"{pair or ''}", f"{pair or ''} "),
            (f"{'quote-' * 10}{pair}", f"{'quote-' * 10}{pair}a"),
            (f"見{pair}", f"気{pair}"),
        )
        return pairs[self.id_style % 5][second]

    def _limit(self, gene: Gene, side: Side, target: _Draft | None) -> int:
        base = self.price_ticks + (_APART_TICKS if self.apart and side is Side.SELL else 0)
        if target is not None and (not self.apart or side is target.side):
            base = target.price_ticks
        offset = (0, 0, 1, -1, 2, 0, -2, 3)[gene.price % 8]
        low = self.price_ticks - _JUMP_TICKS
        if self.apart:
            anchor = self.price_ticks + (_APART_TICKS if side is Side.SELL else 0)
            return max(min(max(base + offset, anchor - 9), anchor + 9), 1)
        return max(base + offset, low, 1)

    def _instant(self, gene: Gene, target: _Draft | None) -> int:
        """A boundary of the target's life, give or take a nanosecond; or a time between."""
        if target is None:
            return self.now_ns
        anchor, off_ns = _WHEN[gene.when % len(_WHEN)]
        arrival_ns = target.submit_ns + self.rules.latency_ns
        expiry_ns = None if self.rules.ttl_ns is None else target.submit_ns + self.rules.ttl_ns
        match anchor:
            case "now":
                ns = self.now_ns
            case "expiry":
                ns = arrival_ns + 1 if expiry_ns is None else expiry_ns
            case "effect":
                ns = arrival_ns if target.effect_ns is None else target.effect_ns
            case "submit":
                ns = target.submit_ns
            case "middle":
                ns = self._middle(arrival_ns, expiry_ns)
            case "later":
                ns = max(self.now_ns, arrival_ns) + gene.extra
            case "hours":
                ns = self.now_ns + HOUR_NS * _HOURS[gene.extra % 5]
            case _:
                ns = arrival_ns
        return max(ns + off_ns, 0)

    def _middle(self, arrival_ns: int, expiry_ns: int | None) -> int:
        """Inside the live window, and not before now where that is possible."""
        end_ns = arrival_ns + 1000 if expiry_ns is None else max(expiry_ns, arrival_ns)
        middle_ns = arrival_ns + (end_ns - arrival_ns) // 2
        return self.now_ns if middle_ns < self.now_ns < end_ns else middle_ns

    def _order_size(self, gene: Gene, side: Side, target: _Draft | None) -> int:
        unit = self.unit_lots
        choice = gene.size % 12
        cap_lots, start_lots = self.rules.position_cap_lots, self.rules.initial_position_lots
        if choice in (4, 5, 6, 7) and cap_lots is not None:
            working = sum(o.size_lots for o in self.orders if o.side is side) if choice > 5 else 0
            size_lots = cap_lots - side * start_lots - working + choice % 2
        elif choice == 8:
            size_lots = abs(start_lots) + (gene.extra % 3 + 1) * unit
        elif choice == 9 and target is not None:
            size_lots = target.size_lots
        elif choice == 10:
            size_lots = 7 * unit + 1
        elif choice == 11:
            size_lots = 2 * unit - 1
        else:
            size_lots = (1, 2, 3, 5)[choice % 4] * unit
        return min(max(size_lots, 1), _MOST_LOTS)

    def _trade_size(self, gene: Gene, target: _Draft, *, sweep: bool) -> int:
        quoted = sum(o.size_lots for o in self.orders[-4:]) if sweep else target.size_lots
        choice = gene.size % 8 if sweep else gene.extra % 8
        size_lots = (
            quoted,
            quoted - 1,
            quoted + 1,
            self.unit_lots,
            quoted // 2,
            2 * quoted,
            quoted - target.size_lots,
            1,
        )[choice]
        return min(max(size_lots, 1), _MOST_LOTS)

    def _taker(self, gene: Gene, target: _Draft) -> Side | None:
        choice = gene.side // 2 % 6
        if choice == 3 and self.supports.unknown_aggressor:
            return None
        return target.side if choice == 2 else Side(-target.side)

    def _add_trade(self, ns: int, price_ticks: int, size_lots: int, taker: Side | None) -> None:
        self.tape.append(Trade(ns, price_ticks, size_lots, taker))
        self.now_ns = max(self.now_ns, ns)

    def scenario(self) -> Scenario:
        """What was grown, each stream sorted by time, equal times as they came."""
        tape = sorted(self.tape, key=lambda e: e.ns)
        actions = sorted(self.actions, key=lambda a: a.ns)
        return self.supports.scenario(tape, actions, self.rules)


_WHEN = (
    ("now", 0), ("now", 1), ("arrival", 0), ("arrival", -1), ("arrival", 1),
    ("expiry", 0), ("expiry", -1), ("expiry", 1), ("effect", 0), ("effect", -1), ("effect", 1),
    ("submit", 0), ("middle", 0), ("later", 0), ("hours", 0), ("submit", 1),
    ("middle", 0), ("arrival", 0), ("arrival", 1), ("middle", 0), ("expiry", -1), ("later", 0),
    ("submit", -1), ("middle", 1), ("expiry", 0), ("expiry", 0), ("effect", 0), ("arrival", -1),
)  # fmt: skip
"""Instants by their anchor in the target's life and the offset from it; the plainest first."""

_HOURS = (1, 24, 600, 1200, 5)
"""Silences: a clock that counts within a day, or milliseconds in 31 or 32 bits, begins again in them."""

_ARRIVAL = 2
_EXPIRY = 5
_LIVE = (4, 12, 6, 17, 13)
"""Places in ``_WHEN`` at which an order is live: after its arrival, before its expiry."""

_NEAR = (0, -1, 1)
_CROSSING = 1
"""The place in ``_THROUGH`` of a trade one tick through, which crosses under every rule."""

_THROUGH = (0, 1, -1, 0, _JUMP_TICKS, 0, 1, -1, 2, 100_000, -_JUMP_TICKS, 9)
"""Ticks by which an aimed trade goes through its target's limit."""

_OPERATIONS = (
    World.submit,  # never reached: operation 0 grows nothing
    World.trade, World.submit, World.two_cancels, World.fresh_trade, World.trade, World.cancel_and_trade,
    World.twin, World.resubmit, World.crowd, World.both_sides, World.pile_up, World.top, World.trade,
    World.fresh_trade, World.cancel_and_trade, World.crowd, World.fresh_trade, World.two_cancels,
    World.early_cancel, World.top_and_trade, World.cancel_and_trade, World.twin, World.crowd,
    World.grind, World.swarm,
)  # fmt: skip

SUBMIT = _OPERATIONS.index(World.submit, 1)

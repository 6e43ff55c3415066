"""zipline-reloaded in minutes: the ``orders``, ``transactions`` and ``positions`` of its performance frame.

One table each, a row a dict of the lists in ``perf``, as ``.parquet``, ``.csv`` or ``.csv.gz``:

- ``orders``: ``id``, ``created``, ``dt`` (the last change), ``amount`` (signed), ``filled``, ``limit``,
  ``status`` (0 open, 1 filled, 2 cancelled, 3 rejected, 4 held), ``commission``. An order that lives
  for several sessions comes once in each: its last state counts.
- ``transactions``: ``order_id``, ``dt``, ``amount`` (signed), ``price``. Its ``commission`` is empty:
  fees stand with the orders, so only the fill of an order that has just one is known to have paid it.
- ``positions`` (optional): those at the end; their sum is held against the fills.

A label is the END of its minute E: a fill lies in (E - 1 min, E], and what the strategy did at E it
did at E. A bundle that was ingested with labels of the beginning shifts all times by a minute, which
the laws of the tape then find; ``meta.json`` may state it (``opt.bar_label = "start"``).

Orders without a limit (market orders), or with a stop, which has to be reached before a limit works, cannot be
judged: they and their transactions are left out and counted, and then the totals, which are of all orders, are
not judged.

Amounts are whole shares, and no table says how many of the tape's units a share is. ``meta.json`` may
(``opt.size_unit = "0.01"``); then sizes and fees are in the tape's units. The slippage model decides
size and price of a fill and is no part of the output either: ``opt.price_impact = 0`` says that fills
are at the close, and declares the pricing; ``opt.commission`` is the fee rate. What is not stated stays
undeclared, and the laws that need it are unknown; so does the sizing, because the model shares out the
volume of the whole bar, traded through the limit or not, which is none of the sizings of a fill model.

``orders``, ``submits`` and ``transactions`` of ``meta.json`` are counts that are held against the rows;
``orders`` may count the orders, or the rows of several sessions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

from invariants.readers.binary_sums import plain
from invariants.readers.engine_run import Output, run_of
from invariants.readers.engine_table import EngineTable, find, signed
from invariants.readers.parameters import Parameters, parameters_of, with_claims
from invariants.readers.peek import columns_of
from invariants.readers.sources import Sources
from invariants.readers.tape import Tape
from invariants.readers.totals import with_others
from simcore import InputError, Rules, Run
from simcore import pandas_later as pd
from simcore.run import Rejected
from simcore.units import EXACT, decimal_of

ORDERS = ("id", "created", "dt", "amount", "filled", "limit", "status", "commission")
TRANSACTIONS = ("order_id", "dt", "amount", "price")
ENDS = {0: "open", 1: "filled", 2: "cancelled", 3: "rejected", 4: "open"}
"""The statuses; a held order (4) is open."""
PROFILE = "zipline-minute"
_NOISE = Decimal("1e-14")
"""What rounding to 15 digits and a few operations on floats may add, of the whole."""
MINUTE_NS, DAY_NS = 60 * 10**9, 86_400 * 10**9


def is_zipline(path: Path) -> bool:
    """Whether ``path`` is a folder with such orders or transactions, or one of the two. Never raises.

    What is wrong with the other is then said by the reader, with its column.
    """
    folder = path if path.is_dir() else path.parent
    if path.is_dir() or columns_of(path).issuperset(ORDERS) or columns_of(path).issuperset((*TRANSACTIONS, "sid")):
        found = {stem: find(folder, stem) for stem in ("orders", "transactions")}
        orders, transactions = (columns_of(file) if file else frozenset() for file in found.values())
        known = orders.issuperset((*ORDERS, "limit_reached")) or transactions.issuperset((*TRANSACTIONS, "sid"))
        return known and all(found.values())
    return False


@dataclass(frozen=True, slots=True)
class _Units:
    """What a label and a share mean: the bar of a label, and the tape's size units in a share."""

    share: Decimal
    starts: bool

    @classmethod
    def of(cls, parameters: Parameters) -> _Units:
        label = parameters.options.get("bar_label", "end")
        if label not in ("start", "end"):
            raise InputError(file=parameters.file, field="opt.bar_label", got=label, wanted="start or end")
        share = decimal_of(parameters.options.get("size_unit", 1), field="opt.size_unit", file=parameters.file)
        if share <= 0:
            raise InputError(file=parameters.file, field="opt.size_unit", got=str(share), wanted="a size above 0")
        return cls(share, label == "start")

    def end(self, label: int) -> int:
        """The last instant of the bar, at which the strategy acts."""
        return label + MINUTE_NS - 1 if self.starts else label

    def begin(self, label: int) -> int:
        """The first instant of the bar."""
        return self.end(label) - MINUTE_NS + 1

    def size(self, amount: Any) -> Any:
        """So many shares in the units of the tape; what is not finite stays as it is."""
        return amount * self.share if isinstance(amount, Decimal) else amount


def read_zipline(
    path: str | Path, *, rules: Rules | str | Path | None = None, tape: Tape | Sources | None = None
) -> Run:
    """The run in the folder ``path``, or in the folder of that file. Raises ``InputError``."""
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    parameters = parameters_of(folder)
    return run_of(_output(folder, parameters, _Units.of(parameters)), rules=rules, tape=tape)


def _table(folder: Path, stem: str, need: tuple[str, ...]) -> EngineTable:
    path = find(folder, stem)
    if path is None:
        raise InputError(file=str(folder), field=stem, got="nothing", wanted=f"{stem}.parquet or {stem}.csv")
    return EngineTable.read(path, need=need)


def _output(folder: Path, parameters: Parameters, units: _Units) -> Output:
    orders, traded = _table(folder, "orders", ORDERS), _table(folder, "transactions", TRANSACTIONS)
    held = _table(folder, "positions", ("amount",)) if find(folder, "positions") else None
    tables = [table for table in (orders, traded, held) if table is not None]
    _check_one_asset(tables)
    _check_minutes(orders)
    others = _others(orders)
    states, repeated = _states(orders)
    dials = _dials(parameters)
    fees = {state.order_id: state.fee for state in states}
    fills, doubled = _fills(traded, units, fees, dials.get("fee_rate"), others)
    known = {name: fee for name, fee in zip(fills["order_id"], fills["fee"], strict=True) if fee is not None}
    stamp = "derived" if units.starts else "native"
    return Output(
        engine="zipline-reloaded",
        version=parameters.version,
        name=folder.name,
        fills=fills,
        orders=_orders([state for state in states if state.order_id not in others], units),
        profile=PROFILE,
        dials=dials,
        provenance={"submit_ns": stamp, "live_ns": "absent", "cancel_ns": "derived", "end_ns": stamp},
        reported=with_others(
            with_claims(
                _totals(states, held, units, known),
                {
                    "submits": _submits(parameters, len(orders), len(states)),
                    "fills": _count(parameters, "transactions"),
                },
                {"submits": len(states), "fills": len(traded)},
            ),
            others.values(),
            (others[name] for name in traded.listed("order_id") if name in others),
        ),
        last_event_ns=max(map(units.end, (*orders.times("dt"), *traded.times("dt"))), default=None),
        files={
            "orders": orders.file,
            "fills": traded.file,
            "reported": " and ".join(
                [*(table.file for table in (orders, held) if table is not None), *parameters.inputs]
            ),
        },
        inputs={table.file: table.sha256 for table in tables} | dict(parameters.inputs),
        rejected=(*repeated, *doubled),
        read={"order_states": len(orders)} | ({} if held is None else {"end_positions": len(held)}),
    )


def _submits(parameters: Parameters, rows: int, orders: int) -> Decimal | None:
    """How many orders the parameters count; of two counts the one that the orders contradict."""
    listed, sent = _count(parameters, "orders"), _count(parameters, "submits")
    if listed == rows:
        listed = Decimal(orders)
    return sent if listed in (None, orders) and sent is not None else listed


def _count(parameters: Parameters, name: str) -> Decimal | None:
    value = parameters.whole(parameters.values, name)
    return None if value is None else Decimal(value)


def _dials(parameters: Parameters) -> dict[str, Any]:
    """What the options say of the models of slippage and commission."""
    given = {
        name: decimal_of(value, field=f"opt.{name}", file=parameters.file)
        for name, value in parameters.options.items()
        if name in ("price_impact", "commission")
    }
    dials: dict[str, Any] = {}
    if "price_impact" in given and not given["price_impact"]:
        dials["pricing"] = "improve"
    if "commission" in given:
        dials["fee_rate"] = given["commission"]
    return dials


def _check_one_asset(tables: list[EngineTable]) -> None:
    known: Any = None
    for table in tables:
        for row, sid in enumerate(table.listed("sid"), 1):
            if known is not None and sid is not None and sid != known:
                raise table.refused("sid", row, f"{sid} beside {known}", "one asset")
            known = known if sid is None else sid


def _check_minutes(orders: EngineTable) -> None:
    """Orders that fill a day after they were placed come from daily bars."""
    steps = Counter(
        done - sent for sent, done in zip(orders.times("created"), orders.times("dt"), strict=True) if done > sent
    )
    if steps and steps.most_common(1)[0][0] >= DAY_NS:
        got = f"{steps.most_common(1)[0][0]} ns from most orders to their change"
        raise InputError(file=orders.file, field="dt", got=got, wanted="data_frequency='minute'")


@dataclass(frozen=True, slots=True)
class _State:
    """The last state of an order: ``amount`` and ``filled`` signed, in shares."""

    row: int
    order_id: str
    created: int
    dt: int
    amount: Any
    filled: Any
    limit: Any
    end: str
    fee: Any


def _states(orders: EngineTable) -> tuple[list[_State], tuple[Rejected, ...]]:
    """The last state of each order, in the order of the file, and rows that say one thing twice."""
    last: dict[Any, _State] = {}
    seen: set[str] = set()
    rejected: list[Rejected] = []
    for at, state in enumerate(_rows(orders), 1):
        said = repr((state.order_id, state.created, state.dt, state.amount, state.filled, state.limit, state.end))
        if said in seen:
            wanted = "a state of an order never reported before"
            rejected.append(Rejected("order_states", orders.file, at, "id", state.order_id, wanted))
            continue
        seen.add(said)
        if state.dt < state.created:
            wanted = "no earlier than created, as no order changes before it is there"
            rejected.append(Rejected("order_states", orders.file, at, "dt", state.dt, wanted))
            continue
        key = (state.order_id, state.created, str(state.amount), str(state.limit))
        if key not in last or state.dt >= last[key].dt:
            last[key] = state
    return list(last.values()), tuple(rejected)


def _others(orders: EngineTable) -> dict[Any, str]:
    """The orders that are no limit orders from their first instant on, each with its kind."""
    kinds: dict[Any, str] = {}
    for name, limit, stop in zip(orders.listed("id"), orders.listed("limit"), orders.listed("stop"), strict=True):
        words = [word for word, price in (("stop", stop), ("limit", limit)) if not _is_nothing(price)]
        if words != ["limit"]:
            kinds[name] = " ".join(words) or "market"
    return kinds


def _is_nothing(price: Any) -> bool:
    return price is None or price != price  # noqa: PLR0124 - a NaN is how the engine writes no price


def _rows(orders: EngineTable) -> list[_State]:
    ids = [_id(orders, row, name, "id") for row, name in enumerate(orders.listed("id"), 1)]
    ends = [_end(orders, row, status) for row, status in enumerate(orders.wholes("status"), 1)]
    limits, fees = orders.numbers("limit", nullable=True), orders.numbers("commission", nullable=True)
    columns = (
        range(1, len(orders) + 1), ids, orders.times("created"), orders.times("dt"), orders.numbers("amount"),
        orders.numbers("filled"), limits, ends, fees,
    )  # fmt: skip
    return [_State(*cells) for cells in zip(*columns, strict=True)]


def _id(table: EngineTable, row: int, name: Any, field: str) -> str:
    if not isinstance(name, str):
        raise table.refused(field, row, name, "an id")
    return name


def _end(orders: EngineTable, row: int, status: int) -> str:
    if status not in ENDS:
        raise orders.refused("status", row, status, f"one of {', '.join(map(str, ENDS))}")
    return ENDS[status]


def _orders(states: list[_State], units: _Units) -> pd.DataFrame:
    """A cancel takes effect in the engine itself, at the label at which the strategy asked for it.

    The file is in the order of the last changes; the orders here in that of their submission.
    """
    rows = []
    for state in sorted(states, key=lambda state: state.created):
        side, amount = signed(state.amount)
        end_ns = None if state.end == "open" else units.end(state.dt)
        cancel_ns = end_ns if state.end == "cancelled" else None
        sent_ns, size = units.end(state.created), units.size(amount)
        rows.append((state.order_id, side, state.limit, size, sent_ns, cancel_ns, end_ns, state.end, state.row))
    names = ("order_id", "side", "price", "size", "submit_ns", "cancel_ns", "end_ns", "end", "row")
    return pd.DataFrame(rows, columns=names, dtype=object)


def _fills(
    traded: EngineTable, units: _Units, fees: dict[str, Any], rate: Decimal | None, others: Collection[str]
) -> tuple[pd.DataFrame, tuple[Rejected, ...]]:
    """The transactions in time but for those of ``others``, and those that repeat an order's in the same bar.

    An order has one at most in a bar.
    """
    prices, amounts = traded.numbers("price"), traded.numbers("amount")
    ids = [_id(traded, row, name, "order_id") for row, name in enumerate(traded.listed("order_id"), 1)]
    often = Counter(ids)
    seen: set[tuple[str, int]] = set()
    rejected, found = [], []
    for at, (name, dt) in enumerate(zip(ids, traded.times("dt"), strict=True)):
        if (name, dt) in seen:
            wanted = "one transaction of an order in a bar"
            rejected.append(Rejected("fills", traded.file, at + 1, "order_id, dt", f"{name}, {dt}", wanted))
            continue
        seen.add((name, dt))
        if name in others:
            continue
        side, amount = signed(amounts[at])
        fee = _fee(fees.get(name), units) if often[name] == 1 else None
        fee = _paid(fee, rate, prices[at], units.size(amount))
        found.append((units.begin(dt), units.end(dt), name, side, prices[at], units.size(amount), fee, at + 1))
    names = ("ns", "ns_to", "order_id", "side", "price", "size", "fee", "row")
    found.sort(key=lambda fill: fill[0])
    return pd.DataFrame(found, columns=names, dtype=object), tuple(rejected)


def _fee(commission: Any, units: _Units) -> Any:
    """A product of floats, in the units of the tape, at the 15 digits that survive in one."""
    return plain(units.size(commission)) if isinstance(commission, Decimal) else None


def _paid(fee: Any, rate: Decimal | None, price: Any, size: Any) -> Any:
    """The fee; the exact rate of the notional, where only the noise of a product of floats lies between."""
    if rate is None or not all(isinstance(number, Decimal) and number.is_finite() for number in (fee, price, size)):
        return fee
    with localcontext(EXACT):
        due = rate * price * size
        return due if abs(fee - due) <= abs(due) * _NOISE else fee


def _totals(states: list[_State], held: EngineTable | None, units: _Units, known: Mapping[str, Any]) -> dict[str, Any]:
    """What the orders say was filled, and paid; and the positions at the end."""
    totals: dict[str, Any] = {}
    filled = [state.filled for state in states]
    if all(isinstance(amount, Decimal) for amount in filled):
        totals["turnover"] = units.size(sum(map(abs, filled), Decimal(0)))
    fees = [known.get(state.order_id, _fee(state.fee, units)) for state in states]
    if states and all(fee is not None for fee in fees):
        totals["fees"] = sum(fees, Decimal(0))
    if held is not None:
        totals["position"] = units.size(sum(_amounts(held), Decimal(0)))
    return totals


def _amounts(held: EngineTable) -> list[Decimal]:
    amounts = held.numbers("amount")
    for row, amount in enumerate(amounts, 1):
        if not isinstance(amount, Decimal):
            raise held.refused("amount", row, amount, "a finite number")
    return amounts

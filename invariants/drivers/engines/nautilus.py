"""NautilusTrader: trades alone, and no latency.

The strategy acts when it is given a trade, after it was matched, or when its clock wakes it between trades. The
venue is as a user sets it up for trades that are to fill: an L1 book, ``trade_execution=True``, a fill model
without chance. Orders that expire are good till their date, and the fee is the instrument's. One engine serves
a hundred scenarios of the same fee, reset in between.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
from nautilus_trader.backtest.engine import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    BacktestEngine,
    BacktestEngineConfig,
)
from nautilus_trader.backtest.models import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    FillModel,
)
from nautilus_trader.config import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    LoggingConfig,
    StrategyConfig,
)
from nautilus_trader.model import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    InstrumentId,
    Money,
    Price,
    Quantity,
    Symbol,
    TradeId,
    TraderId,
    TradeTick,
    Venue,
)
from nautilus_trader.model.currencies import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    ETH,
    USDT,
)
from nautilus_trader.model.enums import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    AccountType,
    AggressorSide,
    BookType,
    OmsType,
    OrderSide,
    TimeInForce,
)
from nautilus_trader.model.instruments import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    CurrencyPair,
)
from nautilus_trader.trading.strategy import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    Strategy,
)

Values = dict[str, Any]

LATER_NS = 1_000_000_000
"""Added to all times: the engine's clock starts with its data, not at the epoch."""

SCENARIOS = 100
"""For one engine: a reset leaves something behind, and the next run takes longer each time."""

SIM = Venue("SIM")
ID = InstrumentId(Symbol("ETH/USDT"), SIM)
_AGGRESSOR = {"buy": AggressorSide.BUYER, "sell": AggressorSide.SELLER, None: AggressorSide.NO_AGGRESSOR}


def prepare(_variant: str) -> Callable[[Values], list[Values]]:
    """The replay, with one engine for ``SCENARIOS`` of the same fee, or until one of them breaks it."""
    engines: dict[str, tuple[Any, int]] = {}

    def replay(scenario: Values) -> list[Values]:
        rate = scenario["rules"]["fee_rate"]
        engine, left = engines.pop(rate) if rate in engines else (engine_of(Decimal(rate)), SCENARIOS)
        fills = _replayed(engine, scenario)
        if left > 1:
            engines[rate] = engine, left - 1
        else:
            engine.dispose()
        return fills

    return replay


def _replayed(engine: Any, scenario: Values) -> list[Values]:
    if not scenario["tape"]:
        return []  # without data the engine does not start
    script = loaded(engine, scenario)
    engine.run(start=script.start_ns)
    engine.reset()
    engine.clear_strategies()
    engine.clear_data()
    return script.fills


def loaded(engine: Any, scenario: Values) -> Script:
    """The script of the scenario's actions, once it and the trades are in the engine."""
    script = Script(scenario["tape"], scenario["actions"], scenario["rules"]["ttl_ns"])
    engine.add_data([_tick(seq, trade) for seq, trade in enumerate(scenario["tape"])])
    engine.add_strategy(script)
    return script


def engine_of(rate: Decimal) -> Any:
    """An engine with one venue and one instrument, whose fee is ``rate``."""
    config = BacktestEngineConfig(
        trader_id=TraderId("T-001"), logging=LoggingConfig(bypass_logging=True), run_analysis=False
    )
    engine = BacktestEngine(config)
    engine.add_venue(
        SIM,
        OmsType.NETTING,
        AccountType.MARGIN,
        [Money(1_000_000_000_000, USDT), Money(1_000_000_000, ETH)],
        book_type=BookType.L1_MBP,
        trade_execution=True,
        fill_model=FillModel(prob_fill_on_limit=1.0, prob_slippage=0.0),
    )
    engine.add_instrument(
        CurrencyPair(
            instrument_id=ID,
            raw_symbol=Symbol("ETHUSDT"),
            base_currency=ETH,
            quote_currency=USDT,
            price_precision=0,
            size_precision=0,
            price_increment=Price(1, 0),
            size_increment=Quantity(1, 0),
            ts_event=0,
            ts_init=0,
            maker_fee=rate,
            taker_fee=rate,
            margin_init=Decimal(0),
            margin_maint=Decimal(0),
        )
    )
    return engine


def _tick(seq: int, trade: Values) -> Any:
    ns = trade["ns"] + LATER_NS
    price, size = Price(trade["price_ticks"], 0), Quantity(trade["size_lots"], 0)
    return TradeTick(ID, price, size, _AGGRESSOR[trade["aggressor"]], TradeId(str(seq)), ns, ns)


class Script(Strategy):  # type: ignore[misc,unused-ignore]
    """Submits and cancels at their instants, after the last trade of each."""

    def __init__(self, tape: list[Values], actions: list[Values], ttl_ns: int | None) -> None:
        super().__init__(StrategyConfig(strategy_id="SCRIPT-000"))
        self._tape, self._ttl_ns = tape, ttl_ns
        self._actions: dict[int, list[Values]] = {}
        for action in actions:
            self._actions.setdefault(action["ns"], []).append(action)
        self._seen = 0
        self._sent: dict[int | str, Any] = {}
        self._names: dict[str, int | str] = {}
        self.fills: list[Values] = []
        self.start_ns = min([*self._actions, tape[0]["ns"]]) - 1 + LATER_NS

    def on_start(self) -> None:
        """Ask for the trades, and to be woken where there are none."""
        self.subscribe_trade_ticks(ID)
        for ns in sorted(self._actions.keys() - {trade["ns"] for trade in self._tape}):
            self.clock.set_time_alert_ns(str(ns), ns + LATER_NS, self._wake)

    def _wake(self, event: Any) -> None:
        self._act_at(event.ts_event - LATER_NS)

    def on_trade_tick(self, _tick: Any) -> None:
        """One more trade was matched."""
        self._seen += 1
        now = self._tape[self._seen - 1]["ns"]
        if self._seen < len(self._tape) and self._tape[self._seen]["ns"] == now:
            return  # the tape comes before actions
        self._act_at(now)

    def _act_at(self, now: int) -> None:
        for action in self._actions.get(now, ()):
            self._act(action)

    def _act(self, action: Values) -> None:
        name = action["order_id"]
        if action["type"] == "submit":
            side = OrderSide.BUY if action["side"] == "buy" else OrderSide.SELL
            size, price = Quantity(action["size_lots"], 0), Price(action["price_ticks"], 0)
            order = self.order_factory.limit(ID, side, size, price, **self._life(action["ns"]))
            self._sent[name], self._names[order.client_order_id.value] = order, name
            self.submit_order(order)
        elif name in self._sent:  # of an order that is not there yet a strategy has nothing to cancel
            self.cancel_order(self._sent[name])

    def _life(self, submit_ns: int) -> Values:
        if self._ttl_ns is None:
            return {}
        end = pd.Timestamp(submit_ns + self._ttl_ns + LATER_NS, tz="UTC")
        return {"time_in_force": TimeInForce.GTD, "expire_time": end}

    def on_order_filled(self, event: Any) -> None:
        """One execution."""
        self.fills.append(
            {
                "ns": event.ts_event - LATER_NS,
                "order_id": self._names[event.client_order_id.value],
                "side": "buy" if event.order_side == OrderSide.BUY else "sell",
                "price_ticks": int(event.last_px.as_decimal()),
                "size_lots": int(event.last_qty.as_decimal()),
                "fee": str(event.commission.as_decimal()),
            }
        )

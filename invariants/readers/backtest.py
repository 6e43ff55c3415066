"""``backtest.json``, the totals beside a file of markers: the origin's names, and ours."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from invariants.readers.totals import TOTALS
from invariants.strictjson import check_keys, check_object, parse
from simcore import InputError, Instrument, Rules
from simcore.frames import UNJUDGED
from simcore.grid import decimals_of
from simcore.units import INT64_MAX, decimal_of

ALIASES = {
    "turnover_eth": "turnover",
    "maker_quote_submissions": "submits",
    "maker_quote_cancellations": "cancels",
    "strategy_total_pnl_jpy": "pnl",
    "initial_position_eth": "initial_position",
}
"""Names of the origin report, and the total that each is."""

DIALS = {
    "order_latency_sec": "latency_ns",
    "quote_ttl_sec": "ttl_ns",
    "max_abs_position_eth": "position_cap_lots",
    "max_abs_position": "position_cap_lots",
}
"""Settings that stand among the totals, and the dial that each turns."""

LARGEST_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Backtest:
    """What the file says; all empty where there is none.

    ``settings`` are the values of ``DIALS`` in their own units (seconds, size units).
    """

    file: str = "backtest.json"
    sha256: str = ""
    name: str | None = None
    instrument: Instrument | None = None
    rules: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    reported: dict[str, Decimal] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def size_decimals(self) -> int:
        """How many decimals the initial position and the cap need; as fine as a lot must be."""
        caps = [v for k, v in self.settings.items() if DIALS[k] == "position_cap_lots" and v is not None]
        starts = [v for k, v in self.reported.items() if k == "initial_position"]
        return max((decimals_of(value) for value in [*caps, *starts]), default=0)

    def declared(self, instrument: Instrument) -> Rules:
        """The origin's rules, turned by the settings, then by ``rules``. Raises ``InputError``."""
        dials: dict[str, Any] = {}
        if "initial_position" in self.reported:
            position = self.reported["initial_position"]
            dials["initial_position_lots"] = instrument.lots(position, file=self.file, field="initial_position")
        for key, value in self.settings.items():
            dials[DIALS[key]] = self._dial(key, value, instrument)
        # a rules file may name a preset of its own; what it leaves out, the settings say
        try:
            return Rules.from_dict({**dials, **self.rules}, file=self.file, instrument=instrument)
        except InputError as error:
            field_ = f"rules.{error.field}" if error.field in self.rules else error.field
            raise InputError(file=self.file, field=field_, got=error.got, wanted=error.wanted) from None

    def _dial(self, key: str, value: Any, instrument: Instrument) -> int | None:
        if value is None:
            return None
        if DIALS[key] == "position_cap_lots":
            return instrument.lots(value, file=self.file, field=key)
        return Instrument(Decimal("1e-9")).ticks(value, file=self.file, field=key)


def read_backtest(path: Path) -> Backtest:
    """Read the file. Raises ``InputError``."""
    file = str(path)
    try:
        data = path.read_bytes() if path.stat().st_size <= LARGEST_BYTES else None
    except OSError as error:
        raise InputError(file=file, field="file", got=error.strerror, wanted="a readable file") from None
    if data is None:
        raise InputError(file=file, field="file", got=f"{path.stat().st_size} bytes", wanted="at most 64 MiB")
    values = check_object(parse(data, file=file), file=file, field="text")
    name = values.pop("name", None)
    if not isinstance(name, str | None):
        raise InputError(file=file, field="name", got=name, wanted="a text")
    sections = {key: _section(values, key, file) for key in ("instrument", "rules", "run", "reported")}
    figures = _merged(values, sections["reported"], file)
    settings = {key: _setting(key, figures.pop(key), file) for key in DIALS if key in figures}
    return Backtest(
        file,
        hashlib.sha256(data).hexdigest(),
        name,
        _instrument(sections["instrument"], file),
        sections["rules"],
        _run(sections["run"] | {k: figures.pop(k) for k in ("end_ns", "exit_code") if k in figures}, file),
        _reported(figures, file),
        settings,
    )


def _section(values: dict[str, Any], key: str, file: str) -> dict[str, Any]:
    return check_object(values.pop(key, {}), file=file, field=key)


def _merged(values: dict[str, Any], reported: dict[str, Any], file: str) -> dict[str, Any]:
    for key in reported:
        if key in values:
            raise InputError(file=file, field=f"reported.{key}", got="the key twice", wanted="each figure once")
    return values | reported


def _setting(key: str, value: Any, file: str) -> Any:
    if value is None:
        return None
    number = decimal_of(value, field=key, file=file)
    if number < 0:
        raise InputError(file=file, field=key, got=value, wanted="a number >= 0")
    return number


def _instrument(given: dict[str, Any], file: str) -> Instrument | None:
    check_keys(given, ("tick_size", "lot_size"), file=file, prefix="instrument.")
    try:
        return Instrument(**given) if given else None
    except InputError as error:
        field_ = f"instrument.{error.field}"
        raise InputError(file=file, field=field_, got=error.got, wanted=error.wanted) from None


def _run(given: dict[str, Any], file: str) -> dict[str, Any]:
    check_keys(given, ("end_ns", "last_event_ns", "exit_code"), file=file, prefix="run.")
    for key, value in given.items():
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= INT64_MAX
        if value is not None and not whole:
            raise InputError(file=file, field=key, got=value, wanted="a whole number inside int64")
    return given


def _reported(figures: dict[str, Any], file: str) -> dict[str, Decimal]:
    """Totals under our names; what nobody knows under ``unjudged.``, NaN where it is no number."""
    reported: dict[str, Decimal] = {}
    for key, value in figures.items():
        name = ALIASES.get(key, key)
        if name not in TOTALS:
            is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
            reported[UNJUDGED + key] = Decimal(value) if is_number else Decimal("NaN")
        elif value is not None:
            if name in reported:
                raise InputError(file=file, field=key, got=f"{name} twice", wanted="each figure under one name")
            reported[name] = decimal_of(value, field=key, file=file)
    return reported

"""What a map of tables says, checked: every name in it is known, every value one that it may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from simcore import InputError, Instrument
from simcore.rules import read_toml
from simcore.units import decimal_of

FORMAT = "fillproof-map/1"
NAME = "fillproof-map.toml"
LARGEST_BYTES = 2**20
SECTIONS = ("instrument", "rules", "provenance")
UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
DELIMITERS = {",": ",", ";": ";", "|": "|", "\t": "\t", "tab": "\t"}
DECIMALS = {".": ".", ",": ","}
RESOLUTIONS = {"min": 60 * 10**9, **UNITS}
OPTIONS = (
    "file", "time_unit", "time_format", "time_zone", "time_resolution", "size_unit", "price_unit", "fee_unit",
    "delimiter", "decimal",
)  # fmt: skip
YEARS = ("%Y", "%y", "%G", "%c", "%x")
PARTS = ("columns", "constants", "words", "rows")
COLUMNS: dict[str, tuple[str, ...]] = {
    "fills": ("ns", "side", "price", "size", "order_id", "ns_to", "trade_seq", "fee", "signed_size"),
    "orders": (
        "order_id", "side", "price", "size", "submit_ns", "live_ns", "cancel_ns", "end_ns", "end", "signed_size",
    ),
    "positions": ("ns", "position"),
    "tape": ("ns", "price", "size", "aggressor", "seq", "signed_size"),
    "quotes": ("ns", "bid", "bid_size", "ask", "ask_size"),
}  # fmt: skip
"""The columns of each table."""

TIMES = ("ns", "ns_to", "submit_ns", "live_ns", "cancel_ns", "end_ns")
PRICES = ("price", "bid", "ask")
SIZES = ("size", "signed_size", "position", "bid_size", "ask_size")
NUMBERS = (*TIMES, *PRICES, *SIZES, "fee")
WORDS = ("side", "aggressor", "end")


@dataclass(frozen=True, slots=True)
class Plan:
    """How one table is read: where it is, and what its columns, numbers and words mean.

    ``place`` names the map and the table in errors; ``time_unit`` and ``resolution`` are in nanoseconds,
    or None; ``delimiter`` is None where none was given. ``rows`` are the words that a column of theirs
    has in the rows that count.
    """

    place: str
    table: str
    file: str
    columns: Mapping[str, str]
    constants: Mapping[str, Any]
    words: Mapping[str, str]
    rows: Mapping[str, Sequence[str]]
    time_unit: int | None
    time_format: str | None
    zone: ZoneInfo | None
    resolution: int | None
    size_unit: Decimal
    price_unit: Decimal
    fee_unit: Decimal
    delimiter: str | None
    decimal: str


@dataclass(frozen=True, slots=True)
class Map:
    """A map, checked: every name in it is known."""

    file: str
    name: str
    instrument: Instrument | None
    rules: dict[str, Any] | None
    provenance: dict[str, str]
    plans: Sequence[Plan]


def is_map(path: Path) -> bool:
    """Whether ``path`` is a map, or a folder with one."""
    try:
        file = path / NAME if path.is_dir() else path
        if file.suffix != ".toml" or file.stat().st_size > LARGEST_BYTES:
            return False
        return read_toml(file).get("format") == FORMAT
    except (OSError, InputError):
        return False


def file_of(path: str | Path) -> Path:
    """The file of the map at ``path``, itself or in that folder."""
    return Path(path) / NAME if Path(path).is_dir() else Path(path)


def map_in(file: Path, *, needs: Sequence[str] = ("fills",)) -> Map:
    """The map in ``file``, which has one of these tables. Raises ``InputError``."""
    values = read_toml(file)
    if values.get("format") != FORMAT:
        raise wrong(str(file), "format", values.get("format"), repr(FORMAT))
    return checked(values, str(file), needs=needs)


def checked(values: Mapping[str, Any], file: str, *, needs: Sequence[str] = ("fills",)) -> Map:
    """The map that these values are. Raises ``InputError`` with ``file`` and the field."""
    known = ("format", "name", *SECTIONS, *COLUMNS)
    for name, value in values.items():
        if name not in known:
            raise wrong(file, name, value, f"one of {', '.join(known)}")
        if name in (*SECTIONS, *COLUMNS) and not isinstance(value, dict):
            raise wrong(file, name, value, f"a table [{name}]")
    if values.keys().isdisjoint(needs):
        raise wrong(file, " or ".join(needs), "nothing", f"a table [{needs[0]}]")
    title = values.get("name", "")
    if not isinstance(title, str):
        raise wrong(file, "name", title, "a text")
    plans = [_plan(table, values[table], file) for table in COLUMNS if table in values]
    return Map(
        file,
        title or Path(plans[0].file).name.partition(".")[0],
        _instrument(values.get("instrument"), file),
        values.get("rules"),
        values.get("provenance", {}),
        plans,
    )


def _instrument(given: dict[str, Any] | None, file: str) -> Instrument | None:
    for name in given or ():
        if name not in ("tick_size", "lot_size"):
            raise wrong(file, f"instrument.{name}", given, "tick_size or lot_size")
    try:
        return Instrument(**given) if given else None
    except InputError as error:
        raise wrong(file, f"instrument.{error.field}", error.got, error.wanted) from None


def _plan(table: str, given: dict[str, Any], file: str) -> Plan:
    for name, value in given.items():
        if name not in (*OPTIONS, *PARTS):
            raise wrong(file, f"{table}.{name}", value, f"one of {', '.join((*OPTIONS, *PARTS))}")
    parts = {part: _texts(given.get(part, {}), f"{table}.{part}", file) for part in PARTS}
    for part in ("columns", "constants"):
        for name in parts[part]:
            if name not in COLUMNS[table]:
                wanted = f"one of {', '.join(COLUMNS[table])}"
                raise wrong(file, f"{table}.{part}.{name}", parts[part][name], wanted)
    for name in parts["constants"]:
        if name in parts["columns"]:
            raise wrong(file, f"{table}.constants.{name}", "a column and a constant", "one of them")
    where = given.get("file")
    if not isinstance(where, str) or not where or "\0" in where:
        raise wrong(file, f"{table}.file", where, "the name of a CSV or Parquet file")
    ns = _choice(given, table, "time_unit", UNITS, file)
    form = _format(given, table, file)
    resolution = _choice(given, table, "time_resolution", RESOLUTIONS, file)
    if resolution is not None and table != "fills":
        raise wrong(
            file, f"{table}.time_resolution", given["time_resolution"], "none: only the time of a fill has an end"
        )
    delimiter = _choice(given, table, "delimiter", DELIMITERS, file)
    decimal = _choice(given, table, "decimal", DECIMALS, file) or "."
    sizes, prices = (_unit(given, table, name, file) for name in ("size_unit", "price_unit"))
    fees = _unit(given, table, "fee_unit", file, signed=True)
    return Plan(
        place=f"{file}: {table}",
        table=table,
        file=where,
        columns=parts["columns"],
        constants=parts["constants"],
        words={name.strip().casefold(): word for name, word in parts["words"].items()},
        rows={name: [word.strip().casefold() for word in words.split("|")] for name, words in parts["rows"].items()},
        time_unit=ns,
        time_format=form,
        zone=_zone(given, table, file),
        resolution=resolution,
        size_unit=sizes,
        price_unit=prices,
        fee_unit=fees,
        delimiter=delimiter,
        decimal=decimal,
    )


def _format(given: Mapping[str, Any], table: str, file: str) -> str | None:
    form: str | None = given.get("time_format")
    if form is not None and (not isinstance(form, str) or "%" not in form):
        raise wrong(file, f"{table}.time_format", form, "a format of Python's datetime.strptime, like %Y%m%d;%H%M%S")
    if form is not None and "time_unit" in given:
        raise wrong(file, f"{table}.time_format", form, "none beside time_unit")
    if form is not None:
        for is_wrong, wanted in (
            (not any(year in form for year in YEARS), "a format with the year"),
            ("%Z" in form, "%z, or the time_zone: what the name of a zone means hangs on the machine"),
            ("%H" in form and "%p" in form, "%I beside %p"),
        ):
            if is_wrong:
                raise wrong(file, f"{table}.time_format", form, wanted)
    return form


def _zone(given: Mapping[str, Any], table: str, file: str) -> ZoneInfo | None:
    """The zone of times that name none."""
    name = given.get("time_zone")
    if name is None:
        return None
    if "time_unit" in given or "%z" in str(given.get("time_format")):
        raise wrong(file, f"{table}.time_zone", name, "none beside a time_unit, or %z in the time_format")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise wrong(file, f"{table}.time_zone", name, "a zone of the IANA database, like Europe/Berlin") from None


def _choice(given: Mapping[str, Any], table: str, name: str, known: Mapping[str, Any], file: str) -> Any:
    """What an option of few values means; None without it."""
    value = given.get(name)
    if value is not None and not (isinstance(value, str) and value in known):
        raise wrong(file, f"{table}.{name}", value, " or ".join(name for name in known if name.isprintable()))
    return None if value is None else known[value]


def _texts(given: Any, field: str, file: str) -> dict[str, str]:
    if not isinstance(given, dict):
        raise wrong(file, field, given, f"a table [{field}]")
    for name, value in given.items():
        if not isinstance(value, str) and not (field.endswith("constants") and isinstance(value, int | Decimal)):
            raise wrong(file, f"{field}.{name}", value, "a text")
    return given


def _unit(given: Mapping[str, Any], table: str, name: str, file: str, *, signed: bool = False) -> Decimal:
    unit = decimal_of(given.get(name, 1), field=f"{table}.{name}", file=file)
    if unit <= 0 and not (signed and unit):
        raise wrong(file, f"{table}.{name}", given[name], "a number other than 0" if signed else "a number > 0")
    return unit


def wrong(file: str, field: str, got: Any, wanted: str) -> InputError:
    """What is wrong with a field that stands in no row."""
    return InputError(file=file, field=field, got=got, wanted=wanted)

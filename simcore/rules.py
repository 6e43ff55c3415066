"""The fill model that a run declares: the dials of section 2, their presets and their files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

from simcore.errors import InputError
from simcore.units import INT64_MAX, LARGEST_LOTS, Instrument, decimal_of

CHOICES: dict[str, tuple[str, ...]] = {
    "cross": ("at", "through"),
    "aggressor": ("any", "opposite"),
    "sizing": ("whole", "trade", "shared"),
    "pricing": ("limit", "improve"),
    "priority": ("time", "price-time"),
    "expiry_tie": ("expire", "fill"),
    "cancel_tie": ("fill", "cancel"),
    "cap_action": ("rest", "cancel"),
}
"""The values of each dial that is a word; the first is the default."""

OPTIONAL = ("ttl_ns", "position_cap_lots")
"""Dials that may be none, written ``"none"`` in TOML, which has no null."""

LARGEST_BYTES = 2**26
"""Of a TOML file: the head of a bundle lists the rows that were rejected."""

MOST_DOTS = 500
"""In a line of a TOML file."""

_RATE_DIGITS = 30
"""Digits of a fee rate: with a price and a size of int64 the fee is still exact."""

CAP_UNITS = Decimal(10)
"""The default cap in size units: the origin's 10. A rules file for a finer lot grid scales it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Every dial of the fill model. The defaults are the resting-quote loop of the origin report.

    ``undeclared`` names the dials about which a recorded run says nothing: laws that need one
    answer *unknown*. A scenario declares them all. ``documented`` maps a deviation (``law.kind``)
    to the place where an engine's public documentation describes it: such rows are counted by
    model. ``sources`` maps a dial to the place that says how it stands. Raises ``InputError`` for
    a value no dial has.
    """

    latency_ns: int = 300_000_000
    cancel_latency_ns: int = 0
    ttl_ns: int | None = 5_000_000_000
    cross: str = "at"
    aggressor: str = "any"
    sizing: str = "whole"
    pricing: str = "limit"
    priority: str = "time"
    expiry_tie: str = "expire"
    cancel_tie: str = "fill"
    position_cap_lots: int | None = 10
    cap_action: str = "rest"
    initial_position_lots: int = 0
    fee_rate: Decimal = Decimal(0)
    undeclared: frozenset[str] = field(default_factory=frozenset)
    documented: Mapping[str, str] = field(default_factory=dict, hash=False)
    sources: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)

    def __post_init__(self) -> None:
        for name, words in CHOICES.items():
            if getattr(self, name) not in words:
                _refuse(name, getattr(self, name), " or ".join(repr(w) for w in words))
        for name in ("latency_ns", "cancel_latency_ns", "ttl_ns"):
            _check_int(name, getattr(self, name), 0, INT64_MAX, optional=name in OPTIONAL)
        _check_int("position_cap_lots", self.position_cap_lots, 0, LARGEST_LOTS, optional=True)
        _check_int("initial_position_lots", self.initial_position_lots, -LARGEST_LOTS, LARGEST_LOTS)
        rate = decimal_of(self.fee_rate, field="fee_rate", file="rules")
        if abs(rate) > 1 or len(rate.as_tuple().digits) > _RATE_DIGITS:
            _refuse("fee_rate", self.fee_rate, f"a rate from -1 to 1 of at most {_RATE_DIGITS} digits")
        object.__setattr__(self, "fee_rate", rate)
        if isinstance(self.undeclared, str):
            _refuse("undeclared", self.undeclared, "a list of names")
        unknown = sorted(set(self.undeclared) - set(DIALS))
        if unknown:
            _refuse("undeclared", unknown[0], f"one of {', '.join(DIALS)}")
        object.__setattr__(self, "undeclared", frozenset(self.undeclared))
        for name in ("documented", "sources"):
            object.__setattr__(self, name, _check_texts(name, getattr(self, name)))
        for name in self.sources:
            if name not in DIALS:
                _refuse(f"sources.{name}", self.sources[name], f"one of {', '.join(DIALS)}")

    def declares(self, *names: str) -> bool:
        """Whether every one of these dials was declared."""
        return self.undeclared.isdisjoint(names)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON or TOML: ``None`` stays None, the rate is its decimal text."""
        values = {name: getattr(self, name) for name in DIALS}
        values["fee_rate"] = str(self.fee_rate)
        if self.undeclared:
            values["undeclared"] = sorted(self.undeclared)
        if self.documented:
            values["documented"] = dict(sorted(self.documented.items()))
        return values

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], *, file: str = "rules", instrument: Instrument | None = None
    ) -> Rules:
        """Rules from the keys of a rules file; a key left out keeps the preset's value.

        ``instrument`` scales the default cap (10 size units) to lots. Raises ``InputError``.
        """
        given = dict(values)
        preset = given.pop("preset", "origin")
        undeclared = given.pop("undeclared", [])
        try:
            base = _preset(preset, instrument)
            texts: dict[str, Any] = {
                name: {**getattr(base, name), **_check_texts(name, given.pop(name, {}))} for name in _TEXTS
            }
            for name, value in given.items():
                if name not in DIALS:
                    _refuse(name, value, f"a known key: preset, undeclared, {', '.join((*_TEXTS, *DIALS))}")
                if name in OPTIONAL and value == "none":
                    given[name] = None
            if not isinstance(undeclared, list) or not all(isinstance(n, str) for n in undeclared):
                _refuse("undeclared", undeclared, "a list of names")
            return replace(base, **given, **texts, undeclared=frozenset(undeclared) | (base.undeclared - given.keys()))
        except InputError as error:
            raise InputError(file=file, field=error.field, got=error.got, wanted=error.wanted) from None

    @classmethod
    def load(cls, path: str | Path, *, instrument: Instrument | None = None) -> Rules:
        """Read a rules file (TOML), or a preset by its bare name. Raises ``InputError``."""
        if str(path) in presets():
            return cls.from_dict({"preset": str(path)}, instrument=instrument)
        if not Path(path).suffix and not Path(path).exists():
            wanted = f"a readable file, or one of {', '.join(presets())}"
            raise InputError(file=str(path), field="rules", got="neither a file nor a preset", wanted=wanted)
        return cls.from_dict(read_toml(path), file=str(path), instrument=instrument)


_TEXTS = ("documented", "sources")
DIALS = tuple(f.name for f in fields(Rules) if f.name not in ("undeclared", *_TEXTS))


def presets() -> tuple[str, ...]:
    """The names of the presets that ship with the suite."""
    return tuple(sorted(f.name.removesuffix(".toml") for f in _shelf().iterdir() if f.name.endswith(".toml")))


def read_toml(path: str | Path) -> dict[str, Any]:
    """A TOML file as a dict, decimals exact. Raises ``InputError`` instead of a parser's error."""
    try:
        size = Path(path).stat().st_size
        if size > LARGEST_BYTES:
            raise InputError(file=str(path), field="file", got=f"{size} bytes", wanted=f"at most {LARGEST_BYTES} bytes")
        return toml_of(Path(path).read_bytes(), file=str(path))
    except OSError as error:
        raise InputError(file=str(path), field="file", got=error.strerror, wanted="a readable file") from None


def toml_of(data: bytes, *, file: str) -> dict[str, Any]:
    """The bytes of a TOML file as a dict, decimals exact. Raises ``InputError``."""
    try:
        text = data.decode("utf-8-sig")
        _check_dots(text, file)
        return tomllib.loads(text, parse_float=Decimal)
    except UnicodeDecodeError as error:
        raise InputError(file=file, field="text", got=f"byte {error.start}", wanted="UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(file=file, field="text", got=str(error), wanted="TOML") from None


def _check_dots(text: str, file: str) -> None:
    """Refuse a key of ten thousand parts, which takes the parser minutes."""
    for row, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MOST_DOTS:
            wanted = f"at most {MOST_DOTS}"
            raise InputError(file=file, row=row, field="text", got=f"{line.count('.')} dots in a line", wanted=wanted)


def _shelf() -> Any:
    return files("simcore") / "presets"


def _preset(name: Any, instrument: Instrument | None) -> Rules:
    if name not in presets():
        _refuse("preset", name, f"one of {', '.join(presets())}")
    given = tomllib.loads((_shelf() / f"{name}.toml").read_text(encoding="utf-8"), parse_float=Decimal)
    if "position_cap_lots" not in given:
        # Positions lie on the lot grid, so the last lot inside the cap is the cap itself.
        lot = (instrument or Instrument()).lot_size
        given["position_cap_lots"] = min(int(CAP_UNITS / lot), LARGEST_LOTS)
    undeclared = frozenset(given.pop("undeclared", []))
    values: dict[str, Any] = {k: None if v == "none" else v for k, v in given.items()}
    return Rules(**values, undeclared=undeclared)


def _check_texts(name: str, values: Any) -> dict[str, str]:
    """A table of texts: a fact, and where it is documented."""
    if not isinstance(values, Mapping):
        _refuse(name, values, f"a table [{name}]")
    for key, text in values.items():
        if not isinstance(text, str) or not text.strip():
            _refuse(f"{name}.{key}", text, "the place that documents it")
    return dict(values)


def _check_int(name: str, value: Any, low: int, high: int, *, optional: bool = False) -> None:
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        _refuse(name, value, f"a whole number from {low} to {high}" + (", or none" if optional else ""))


def _refuse(name: str, got: Any, wanted: str) -> None:
    raise InputError(file="rules", field=name, got=got, wanted=wanted)

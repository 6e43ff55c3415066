"""Instants of text: ISO-8601 to nanoseconds, exactly."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})0*)?)?\s?(Z|z|UTC|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WANTED = "an ISO-8601 time (without a zone it is UTC)"


@lru_cache(maxsize=4096)
def _day_seconds(day: str, zone: str) -> int:
    """Seconds from the epoch to the beginning of ``day`` in ``zone``."""
    days = (datetime.fromisoformat(day).replace(tzinfo=UTC) - _EPOCH).days
    if zone[:1] not in ("+", "-"):
        return days * 86_400
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        raise ValueError(zone)
    offset = timedelta(hours=hours, minutes=minutes).seconds
    return days * 86_400 - (offset if zone[0] == "+" else -offset)


def has_zone(text: str) -> bool:
    """Whether an instant of text names its zone."""
    found = _ISO.fullmatch(text.strip())
    return found is not None and found[6] is not None


def ns_of(text: str) -> int:
    """Nanoseconds since 1970 UTC. Raises ``ValueError`` for what is no instant, or has finer digits."""
    found = _ISO.fullmatch(text.strip())
    if not found:
        raise ValueError(WANTED)
    day, hour, minute, second, fraction, zone = found.groups()
    h, m, s = int(hour), int(minute), int(second or 0)
    if h > 23 or m > 59 or s > 59:
        raise ValueError(WANTED)
    ns = (_day_seconds(day, zone or "") + h * 3600 + m * 60 + s) * 10**9 + int((fraction or "0").ljust(9, "0"))
    if abs(ns) >= 2**63:
        raise ValueError("a time inside int64 nanoseconds (1678 to 2262)")
    return ns

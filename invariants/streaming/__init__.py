"""Streaming: a bundle of Parquet files judged piece by piece, in bounded memory, wherever there are cores.

What is reported is what ``invariants.auditing.audit`` reports of the whole run, byte for byte,
however it was cut and whoever judged the pieces. No law knows of it.
"""

from __future__ import annotations

from invariants.streaming.auditing import audit_streamed, is_long
from invariants.streaming.ids import NotInPiecesError

__all__ = ["NotInPiecesError", "audit_streamed", "is_long"]

"""The demonstration: a synthetic day, a plain maker, and the origin report's file shapes."""

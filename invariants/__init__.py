"""invariants: the court. Laws that every run must satisfy, and scenarios that hunt for a lie."""

"""conformance: ``pytest --pyargs invariants.conformance --simulator S``, one test per law and relation."""

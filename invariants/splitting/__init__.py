"""The rooms behind ``invariants.split``: where a run can be cut, what each piece carries, how pieces are judged."""

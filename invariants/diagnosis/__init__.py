"""Who lost the money: the diagnosis of a run (section 9 of the specification).

``diagnose(run)`` holds the run against every law, values its fills, splits its result, weighs the
patterns of strategy logic, and says A, B, C or undecided with the evidence.
"""

from invariants.diagnosis.as_dict import diagnosis_dict, sweep_dict
from invariants.diagnosis.diagnosing import Diagnosis, diagnose
from invariants.diagnosis.sweeps import STANDARD, Sweep, maker_sweep, standard_sweeps, sweep
from invariants.diagnosis.text import diagnosis_text, print_diagnosis, sweep_text

__all__ = [
    "STANDARD",
    "Diagnosis",
    "Sweep",
    "diagnose",
    "diagnosis_dict",
    "diagnosis_text",
    "maker_sweep",
    "print_diagnosis",
    "standard_sweeps",
    "sweep",
    "sweep_dict",
    "sweep_text",
]

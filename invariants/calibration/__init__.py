"""Calibration: real orders whose fate is known, submitted again as ours under each fill rule.

``lives`` reads the orders and what became of them, ``depth`` what stood ahead of each in the book,
``answers`` says what each rule makes of them, ``scores`` how often that is right, ``makers`` does
what can be done where only the fills of real orders are known.
"""

from invariants.calibration.calibrating import Calibration, calibrate
from invariants.calibration.makers import FrontOfQueue, front_of_queue
from invariants.calibration.words import calibration_dict, calibration_text

__all__ = ["Calibration", "FrontOfQueue", "calibrate", "calibration_dict", "calibration_text", "front_of_queue"]

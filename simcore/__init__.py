"""simcore: the world of a back-test. Vocabulary and a minimal reference simulator."""

from simcore.engine import simulate
from simcore.errors import InputError
from simcore.events import Action, Cancel, Fill, OrderId, Submit, TapeEvent, TopOfBook, Trade
from simcore.ledger import Ledger
from simcore.rules import Rules, presets
from simcore.run import Run
from simcore.scenario import Scenario
from simcore.units import Instrument, Side

__all__ = [
    "Action",
    "Cancel",
    "Fill",
    "InputError",
    "Instrument",
    "Ledger",
    "OrderId",
    "Rules",
    "Run",
    "Scenario",
    "Side",
    "Submit",
    "TapeEvent",
    "TopOfBook",
    "Trade",
    "presets",
    "simulate",
]

"""pandas, loaded by the first table that needs it: that takes longer than most runs take to read.

``from simcore import pandas_later as pd`` stands for ``import pandas as pd``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import *  # noqa: F403 - to a type checker this is pandas
else:

    def __getattr__(name: str) -> Any:
        import pandas as pd  # noqa: PLC0415 - the point of this file

        found = globals()[name] = getattr(pd, name)
        return found

"""Parking: a message that fails by itself is kept with its reason, so that the offset moves on and nothing is lost.

`isolation` finds which messages of a batch fail by themselves, `lot` keeps them and what must wait behind them, `draining` handles
them again, `requests` does what operatives ask, and `census` tells how many there are.
"""

from libs.runtime.parking.unprocessable import Unprocessable

__all__ = ["Unprocessable"]

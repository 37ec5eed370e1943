"""A Graph API to develop, test and demonstrate against, over real HTTP, with every fault that a
sync must survive, by its name.

It imports nothing of the rest of the package: the wire contract is written twice on purpose, so
that a misunderstanding shows.
"""

from graph_simulator.api import create_app
from graph_simulator.faults import KINDS, UnknownFault
from graph_simulator.live import WrongOrder
from graph_simulator.world import World

__all__ = ["KINDS", "UnknownFault", "World", "WrongOrder", "create_app"]

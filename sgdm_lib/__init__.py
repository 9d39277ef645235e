"""Momentum SGD with growing batch sizes: the library of the open research companion.

Rooms, from the ground up; each imports only from those above it in this list:

* ``optim``, ``schedules``, ``theory``, ``data``, ``models``
* ``plan``, ``loaders``, ``gradients``
* ``experiment``, ``papers``, ``records``
* ``training``
* ``figures``, ``claims``, ``book``, ``cli``
"""

from importlib import metadata

__version__ = metadata.version("sgdm-lib")

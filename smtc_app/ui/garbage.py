"""Garbage that refers to itself is collected in the GUI thread, and in no other.

Python collects it in whichever thread happens to allocate: most of all in a worker that imports torch.
Widgets that are part of it would be destroyed from there: PySide puts that off until the GUI thread runs
again, by when their parents may have destroyed them, and the process ends without a word.
"""

from __future__ import annotations

import gc
import sys

from PySide6.QtCore import QObject, QTimer, Slot

INTERVAL_MS = 250
MOST = (2_000, 5, 10)
"""A generation is collected once it counts more: new objects, then collections of the one before it."""
AN_IMPORT = 10
"""So many new modules at once are a library being imported, whose objects stay: looking through all those of
torch takes 100 ms. Many new objects alone are no sign of one: a long project is as many, and goes again."""


class GarbageCollector(QObject):
    """Stands in for Python's automatic collection from `start` to `stop`."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self._on_timeout)
        self._modules = 0

    def start(self) -> None:
        """Collect in this thread from now on."""
        gc.disable()
        self._modules = len(sys.modules)
        self._timer.start()

    def stop(self) -> None:
        """Leave it to Python again; repeating it does no harm."""
        self._timer.stop()
        gc.unfreeze()
        gc.enable()

    @Slot()
    def _on_timeout(self) -> None:
        modules = len(sys.modules)
        if modules - self._modules > AN_IMPORT:
            self._modules = modules
            gc.collect()  # what is frozen is never collected
            gc.freeze()
            return
        counts = gc.get_count()
        for generation in (2, 1, 0):
            if counts[generation] > MOST[generation]:
                gc.collect(generation)
                return

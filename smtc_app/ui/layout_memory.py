"""Where the window stood and how large its panels were, from one start to the next.

Panels come and go with what is open, so each has a size of its own that is used when it appears; what was
chosen on a large screen is cut to what a smaller one has room for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QByteArray, Qt
from PySide6.QtWidgets import QMainWindow, QSplitter, QWidget

LARGEST_SHARE = 0.42
"""Of a splitter that one remembered panel may take."""


class LayoutMemory:
    """Sizes of panels in splitters, by name.

    Args:
        panels: {name: (splitter, panel in it)}; the rest of a splitter goes to its other widgets.
        others: {name: (size in px as it is, 0 when it is nobody's choice; sets a size of before)}.
        shares: {name: share of its splitter that a panel has at least as long as nobody has chosen a size}.
    """

    def __init__(
        self,
        window: QMainWindow,
        panels: Mapping[str, tuple[QSplitter, QWidget]],
        others: Mapping[str, tuple[Callable[[], int], Callable[[int], None]]],
        *,
        shares: Mapping[str, float],
    ) -> None:
        self._window, self._panels, self._others = window, dict(panels), dict(others)
        self._shares = dict(shares)
        self._sizes: dict[str, int] = {}
        self._laid_out: set[str] = set()
        self._geometry = ""

    @property
    def geometry(self) -> str:
        """Place and size of the window, and whether it fills the screen, as text."""
        return self._geometry or bytes(self._window.saveGeometry().toBase64()).decode()

    @property
    def sizes(self) -> dict[str, int]:
        """Width or height of every panel as it is, or was when it was seen last, in px."""
        sizes = {name: self._extent(name) for name in self._laid_out}
        sizes.update({name: size() for name, (size, _set_size) in self._others.items()})
        return {**self._sizes, **{name: size for name, size in sizes.items() if size}}

    def take(self) -> None:
        """Note everything as it is: the window is about to be emptied."""
        self._sizes = self.sizes
        self._geometry = self.geometry

    def restore(self, geometry: str, sizes: Mapping[str, int]) -> None:
        """Put the window back where it was; panels follow when they appear."""
        self._sizes = {name: size for name, size in sizes.items() if name in self._panels}
        for name, (_size, set_size) in self._others.items():
            if name in sizes:
                set_size(sizes[name])
        if geometry:
            self._window.restoreGeometry(QByteArray.fromBase64(geometry.encode()))

    def lay_out(self) -> None:
        """Give the panels that appear for the first time the size they had."""
        for name, (splitter, panel) in self._panels.items():
            if name in self._laid_out or not panel.isVisibleTo(self._window):
                continue
            self._laid_out.add(name)
            if name in self._sizes:
                self._resize(splitter, splitter.indexOf(panel), self._sizes[name])
            elif name in self._shares:
                share = round(self._shares[name] * sum(splitter.sizes()))
                self._resize(splitter, splitter.indexOf(panel), max(share, self._extent(name)))

    def _resize(self, splitter: QSplitter, index: int, wanted: int) -> None:
        sizes = splitter.sizes()
        total = sum(sizes)
        if total <= 0:
            return
        size = min(wanted, round(LARGEST_SHARE * total)) if splitter.count() > 2 else min(wanted, total)
        others = [
            i for i in range(splitter.count()) if i != index and splitter.widget(i).isVisibleTo(splitter)
        ]
        change = size - sizes[index]
        sizes[index] = size
        if others:
            largest = max(others, key=lambda i: sizes[i])
            sizes[largest] = max(0, sizes[largest] - change)
        splitter.setSizes(sizes)

    def _extent(self, name: str) -> int:
        splitter, panel = self._panels[name]
        if not panel.isVisibleTo(self._window):
            return 0
        return panel.width() if splitter.orientation() == Qt.Orientation.Horizontal else panel.height()

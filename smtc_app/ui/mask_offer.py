"""Offers the masks that lie beside footage, as in a DAVIS root, and remembers the answer.

Closing the offer is a "no" for good: for the whole dataset, or for the video where none is open. An offer
that was shown or taken is not made again for that video while the window is open. The masks can be imported
by the menu all the same.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from smtc_app.ui.dataset_controller import DatasetController
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.project_controller import ProjectController

DECLINED_LIMIT = 200
"""How many folders are remembered, the newest ones."""


class MaskOffer(QObject):
    """Shows the offer in the window's banner.

    Signals:
        declined_changed: the folders whose masks shall not be offered any more, newest first.
    """

    declined_changed = Signal(object)

    def __init__(
        self,
        window: MainWindow,
        project: ProjectController,
        dataset: DatasetController,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._project, self._dataset = window, project, dataset
        self.declined: tuple[str, ...] = ()
        self._shown: set[Path] = set()
        """Folders of masks that were offered in this window."""
        project.masks_beside.connect(self._on_masks_beside)

    @Slot(object)
    def _on_masks_beside(self, message: tuple[int, Path]) -> None:
        frame, file = message
        masks = file.parent.absolute()
        if masks in self._shown or any(masks.is_relative_to(folder) for folder in self.declined):
            return
        self._shown.add(masks)
        root = self._dataset.root if self._dataset.current is not None else None
        what = "video" if root is None else "dataset"
        key = self._window.actions_table.key_text("import_masks")
        self._window.banner.show_message(
            f"There are masks beside this video, the first for frame {frame}. "
            f"File > Import Masks of All Frames{f' ({key})' if key else ''} takes all of them.",
            button="Use the First",
            slot=partial(self._project.import_mask, file, frame),
            close_tip=f"Close, and do not offer the masks of this {what} again",
            closed=partial(self._decline, masks if root is None else root.absolute()),
        )

    def _decline(self, folder: Path) -> None:
        others = [other for other in self.declined if other != str(folder)]
        self.declined = (str(folder), *others)[:DECLINED_LIMIT]
        self.declined_changed.emit(self.declined)

"""Writes the settings behind the window: flushing a small file to a busy disk can take half a second."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from smtc_app.core.errors import UserError
from smtc_app.core.settings import Settings, save_settings

logger = logging.getLogger(__name__)


class SettingsWriter:
    """Writes the newest settings that it was given, in a thread that lives while there is something to write.

    `write` and `close` belong to one thread.

    save    writes settings where they belong; raises UserError
    """

    def __init__(self, save: Callable[[Settings], None] = save_settings) -> None:
        self._save = save
        self._lock = threading.Lock()
        self._waiting: Settings | None = None
        self._thread: threading.Thread | None = None

    def write(self, settings: Settings) -> None:
        """Write these soon; they take the place of others that wait."""
        with self._lock:
            self._waiting = settings
            if self._thread is None:
                # Not a daemon: what was changed last is written even where nobody calls `close`.
                self._thread = threading.Thread(target=self._work, name="settings")
                self._thread.start()

    def close(self) -> None:
        """Wait until everything is written."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                settings, self._waiting = self._waiting, None
                if settings is None:
                    self._thread = None
                    return
            try:
                self._save(settings)
            except UserError as error:
                logger.warning("%s", error)

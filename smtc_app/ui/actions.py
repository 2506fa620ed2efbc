"""Everything a person can ask for, in one table: menu entry, tooltip, icon and default keys.

To add an action, add a row here and connect it with `ActionTable.connect`. Keys can be rebound: what differs
from the defaults is kept as `{id: [keys]}`, and two actions never hold the same key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget

from smtc_app.ui.theme import Theme


@dataclass(frozen=True)
class ActionSpec:
    """One row: `menu` is the menu it stands in, `group` makes it one of several exclusive choices."""

    id: str
    text: str
    tooltip: str
    menu: str
    keys: tuple[str, ...] = ()
    icon: str = ""
    checkable: bool = False
    group: str = ""
    separator: bool = False
    """Whether a separator precedes it in its menu."""


MENUS = ("File", "Edit", "View", "Go", "Tools", "Annotate", "Objects", "Help")

A = ActionSpec
ACTIONS: tuple[ActionSpec, ...] = (
    A(
        "open",
        "Open Video or Project…",
        "Open a video, an image's folder or a project",
        "File",
        ("Ctrl+O",),
        "video",
    ),
    A(
        "open_folder",
        "Open Folder…",
        "Open a folder of images, a DAVIS sequence or a project folder",
        "File",
        ("Ctrl+Shift+O",),
        "folder",
    ),
    A(
        "open_dataset",
        "Open Dataset…",
        "Open a folder of videos, a DAVIS or a YouTube-VOS root, and go through its videos",
        "File",
        ("Ctrl+Shift+D",),
        "dataset",
    ),
    A("open_demo", "Open the Demo Clip", "Open the short clip that comes with the application", "File"),
    A("save", "Save Project", "Save the project", "File", ("Ctrl+S",), "save", separator=True),
    A("save_as", "Save Project As…", "Save the project under another name", "File", ("Ctrl+Shift+S",)),
    A(
        "import_mask",
        "Import Mask for This Frame…",
        "Read an indexed, grey or RGB PNG as the labels of this frame",
        "File",
        ("Ctrl+I",),
        "import",
        separator=True,
    ),
    A(
        "import_masks",
        "Import Masks of All Frames…",
        "Read a folder of masks, each for the frame of its name",
        "File",
        ("Ctrl+Shift+I",),
    ),
    A(
        "export",
        "Export Masks…",
        "Write masks in any of eight formats",
        "File",
        ("Ctrl+E",),
        "export",
    ),
    A("close", "Close", "Close the video", "File", ("Ctrl+W",), separator=True),
    A(
        "close_dataset",
        "Close Dataset",
        "Close the list of videos; the open video stays",
        "File",
        ("Ctrl+Shift+W",),
        "cancel",
    ),
    A("quit", "Quit", "Quit the application", "File", ("Ctrl+Q",)),
    A("undo", "Undo", "Undo the last edit", "Edit", ("Ctrl+Z",), "undo"),
    A("redo", "Redo", "Redo what was undone", "Edit", ("Ctrl+Shift+Z", "Ctrl+Y"), "redo"),
    A(
        "select_all",
        "Select All Objects",
        "Select every object",
        "Edit",
        ("Ctrl+A",),
        separator=True,
    ),
    A("deselect", "Deselect", "Select no object", "Edit", ("Ctrl+D",)),
    A(
        "settings",
        "Settings…",
        "Theme, device, cache and keys",
        "Edit",
        ("Ctrl+,",),
        "settings",
        separator=True,
    ),
    A("masks", "Show Masks", "Show or hide the masks", "View", ("H",), "masks", checkable=True),
    A("outline", "Show Outlines", "Draw masks as outlines", "View", ("Tab",), "outline", checkable=True),
    A("opacity_up", "More Opaque Masks", "Make the masks more opaque", "View", ("Shift+]", "}")),
    A("opacity_down", "More Transparent Masks", "Make the masks more transparent", "View", ("Shift+[", "{")),
    A("zoom_in", "Zoom In", "Zoom in", "View", ("Ctrl++", "Ctrl+="), "zoom-in", separator=True),
    A("zoom_out", "Zoom Out", "Zoom out", "View", ("Ctrl+-",), "zoom-out"),
    A("fit", "Fit to Window", "Show the whole frame", "View", ("0",), "fit"),
    A("actual_size", "Actual Size", "Show one screen pixel per video pixel", "View", ("Ctrl+0",)),
    A(
        "view_image",
        "Image",
        "The video's own picture",
        "View",
        ("F3",),
        checkable=True,
        group="view",
        separator=True,
    ),
    A(
        "view_slots",
        "Slots",
        "Slot attention of this frame: a colour for each slot",
        "View",
        ("F4",),
        checkable=True,
        group="view",
    ),
    A(
        "view_pca",
        "Feature PCA",
        "The three main directions of the features as colours, the same over the whole video",
        "View",
        ("F5",),
        checkable=True,
        group="view",
    ),
    A(
        "view_query",
        "Query Pixel",
        "Point at a pixel and see where it is found on another frame; click to hold it",
        "View",
        ("F6",),
        checkable=True,
        group="view",
    ),
    A(
        "view_why",
        "Why This Label",
        "Click a pixel and see which pixels of which frames voted for its label",
        "View",
        ("F7",),
        checkable=True,
        group="view",
    ),
    A(
        "view_consistency",
        "Consistency",
        "Heat map of what does not come back when it is followed to another frame and home",
        "View",
        ("F8",),
        checkable=True,
        group="view",
    ),
    A(
        "side_by_side",
        "Side by Side",
        "Show another frame beside this one; zoom and place are shared",
        "View",
        ("J",),
        "side-by-side",
        checkable=True,
        separator=True,
    ),
    A(
        "onion_skin",
        "Onion Skin",
        "Lay another frame over this one",
        "View",
        ("O",),
        "onion-skin",
        checkable=True,
    ),
    A("onion_more", "Stronger Onion Skin", "Show more of the other frame", "View", ("Alt+]",)),
    A("onion_less", "Weaker Onion Skin", "Show less of the other frame", "View", ("Alt+[",)),
    A(
        "next_other",
        "Compare with Another Frame",
        "Compare with the previous keyframe, the next one, the frame before or a fixed frame, in turn",
        "View",
        ("T",),
    ),
    A(
        "fix_other",
        "Compare with This Frame",
        "Keep this frame to compare others with it",
        "View",
        ("Shift+T",),
    ),
    A(
        "confidence_plot",
        "Confidence Curves",
        "How sure the propagated labels are, object by object over the whole video",
        "View",
        ("Shift+W",),
        separator=True,
    ),
    A(
        "dataset_panel",
        "Dataset Browser",
        "Show or hide the list of the dataset's videos",
        "View",
        ("F9",),
        checkable=True,
    ),
    A(
        "theme_system",
        "Theme of the System",
        "Light or dark as the system is",
        "View",
        checkable=True,
        group="theme",
        separator=True,
    ),
    A("theme_dark", "Dark Theme", "Always dark", "View", checkable=True, group="theme"),
    A("theme_light", "Light Theme", "Always light", "View", checkable=True, group="theme"),
    A("full_screen", "Full Screen", "Use the whole screen", "View", ("F11",), checkable=True, separator=True),
    A("play", "Play / Pause", "Play or pause (hold Space: pan)", "Go", ("Space",), "play"),
    A("next_frame", "Next Frame", "One frame on", "Go", ("Right", "D"), "next", separator=True),
    A("previous_frame", "Previous Frame", "One frame back", "Go", ("Left", "A"), "previous"),
    A("forward_10", "10 Frames Forward", "Ten frames on", "Go", ("Shift+Right",)),
    A("back_10", "10 Frames Back", "Ten frames back", "Go", ("Shift+Left",)),
    A("next_keyframe", "Next Keyframe", "On to the next keyframe", "Go", ("Ctrl+Right",), "next-keyframe"),
    A(
        "previous_keyframe",
        "Previous Keyframe",
        "Back to the previous keyframe",
        "Go",
        ("Ctrl+Left",),
        "previous-keyframe",
    ),
    A("first_frame", "First Frame", "To the first frame", "Go", ("Home",), "first"),
    A("last_frame", "Last Frame", "To the last frame", "Go", ("End",), "last"),
    A("go_to_frame", "Go to Frame…", "Enter a frame number", "Go", ("Ctrl+G",)),
    A(
        "next_worst",
        "Next Worst Frame",
        "To the frame whose propagated labels are the least sure",
        "Go",
        ("W",),
        "worst",
        separator=True,
    ),
    A(
        "next_new_object",
        "Next New Object",
        "To the next region that looks like an object and has no label, shown as a proposal",
        "Go",
        ("Y",),
        "new-object",
    ),
    A(
        "correct_next",
        "Frame to Correct Next",
        "To the frame whose correction would help most; again: to the one after it",
        "Go",
        ("Shift+N",),
        "correct-next",
    ),
    A(
        "correct_next_list",
        "List of Frames to Correct…",
        "The frames whose correction would help most, each with its reason",
        "Go",
        ("Ctrl+Shift+N",),
    ),
    A(
        "range_in",
        "Begin Range Here",
        "Begin the range that propagation and export work on",
        "Go",
        ("Ctrl+[",),
        "range-in",
        separator=True,
    ),
    A("range_out", "End Range Here", "End the range with this frame", "Go", ("Ctrl+]",), "range-out"),
    A("range_clear", "No Range", "Work on the whole video", "Go", ("Ctrl+\\",), "range-clear"),
    A(
        "next_video",
        "Next Video",
        "Save, and open the next video of the dataset",
        "Go",
        ("Ctrl+PgDown",),
        "next-video",
        separator=True,
    ),
    A(
        "previous_video",
        "Previous Video",
        "Save, and open the previous video of the dataset",
        "Go",
        ("Ctrl+PgUp",),
        "previous-video",
    ),
    A(
        "video_done",
        "Video Is Done",
        "Mark this video of the dataset as done, or as not done yet",
        "Go",
        ("Ctrl+Return",),
        "done",
        checkable=True,
    ),
    A(
        "tool_pick",
        "Pick",
        "Pick: click an object to select it, a proposal to accept or reject it",
        "Tools",
        ("I",),
        "pick",
        checkable=True,
        group="tool",
    ),
    A(
        "tool_brush",
        "Brush",
        "Brush: paint the object",
        "Tools",
        ("P",),
        "brush",
        checkable=True,
        group="tool",
    ),
    A(
        "tool_eraser",
        "Eraser",
        "Eraser: erase labels",
        "Tools",
        ("E",),
        "eraser",
        checkable=True,
        group="tool",
    ),
    A("tool_fill", "Fill", "Fill: flood the region under the click", "Tools", ("G",), "fill", True, "tool"),
    A(
        "tool_polygon",
        "Polygon",
        "Polygon: click corners, close with a double click or Enter",
        "Tools",
        ("L",),
        "polygon",
        checkable=True,
        group="tool",
    ),
    A(
        "tool_lasso",
        "Lasso",
        "Lasso: draw around a region",
        "Tools",
        ("Q",),
        "lasso",
        checkable=True,
        group="tool",
    ),
    A(
        "magnet",
        "Follow Edges",
        "Polygon and lasso follow the edges of the picture",
        "Tools",
        ("U",),
        "magnet",
        checkable=True,
        separator=True,
    ),
    A("brush_larger", "Larger Brush", "Make brush and eraser larger", "Tools", ("]",), separator=True),
    A("brush_smaller", "Smaller Brush", "Make brush and eraser smaller", "Tools", ("[",)),
    A(
        "propose",
        "Propose Objects",
        "Propose objects on this frame by slot attention",
        "Annotate",
        ("S",),
        "propose",
    ),
    A(
        "propose_clip",
        "Propose over the Clip",
        "Propose objects on frames spread over the range or the clip, linked: one object is one proposal",
        "Annotate",
        ("Shift+S",),
    ),
    A(
        "accept_all",
        "Accept Proposals",
        "Make objects of the proposals of this frame, on all frames that propose them",
        "Annotate",
        ("Return", "Enter"),
        "accept",
    ),
    A(
        "accept_here",
        "Accept Only on This Frame",
        "Make objects of the proposals of this frame, and leave them open on other frames",
        "Annotate",
        ("Shift+Return", "Shift+Enter"),
    ),
    A(
        "reject_all",
        "Reject Proposals",
        "Drop the proposals of this frame, on all frames that propose them",
        "Annotate",
        ("Esc",),
        "reject",
    ),
    A(
        "keyframe",
        "Keyframe",
        "Mark this frame as a keyframe: propagation starts from it and never changes it",
        "Annotate",
        ("K",),
        "keyframe",
        checkable=True,
        separator=True,
    ),
    A(
        "lock_frame",
        "Lock Frame",
        "Lock this frame: nothing changes its labels",
        "Annotate",
        ("Shift+K",),
        "lock",
        checkable=True,
    ),
    A(
        "propagate_backward",
        "Propagate Backward",
        "Propagate the labels from here to the first frame",
        "Annotate",
        ("B",),
        "backward",
        separator=True,
    ),
    A(
        "propagate_both",
        "Propagate Both Ways",
        "Propagate the labels over the whole video",
        "Annotate",
        ("Shift+F",),
        "both",
    ),
    A(
        "propagate_forward",
        "Propagate Forward",
        "Propagate the labels from here to the last frame",
        "Annotate",
        ("F",),
        "forward",
    ),
    A(
        "propagate_selected_backward",
        "Propagate Selected Backward",
        "Propagate only the selected objects from here to the first frame",
        "Annotate",
        ("Ctrl+B",),
        separator=True,
    ),
    A(
        "propagate_selected_both",
        "Propagate Selected Both Ways",
        "Propagate only the selected objects over the whole video",
        "Annotate",
        ("Ctrl+Shift+F",),
    ),
    A(
        "propagate_selected_forward",
        "Propagate Selected Forward",
        "Propagate only the selected objects from here to the last frame",
        "Annotate",
        ("Ctrl+F",),
    ),
    A(
        "update_stale",
        "Update Stale Frames",
        "Compute again what corrections have made out of date, and nothing else",
        "Annotate",
        ("R",),
        "update",
    ),
    A(
        "cancel",
        "Cancel",
        "Cancel what is running; what is done so far stays",
        "Annotate",
        ("Esc",),
        "cancel",
    ),
    A("new_object", "New Object", "Add an object and paint it", "Objects", ("N",), "new"),
    A(
        "merge",
        "Merge",
        "Merge the selected objects into the first one, on every frame",
        "Objects",
        ("M",),
        "merge",
        separator=True,
    ),
    A(
        "split",
        "Split",
        "Split the selected object on all frames: into connected parts, or by slot when it is one part here",
        "Objects",
        ("X",),
        "split",
    ),
    A(
        "split_here",
        "Split on This Frame",
        "Split the selected object on this frame only; other frames become out of date",
        "Objects",
        ("Shift+X",),
    ),
    A("delete", "Delete", "Delete the selected objects on every frame", "Objects", ("Del",), "delete"),
    A(
        "clear_here",
        "Erase from This Frame",
        "Erase the selected objects from this frame",
        "Objects",
        ("Shift+Del",),
    ),
    A("rename", "Rename", "Rename the selected object", "Objects", ("F2",), "rename", separator=True),
    A("recolour", "Recolour…", "Choose a colour for the selected objects", "Objects", ("C",), "recolour"),
    A("category", "Category…", "Choose a category for the selected objects", "Objects", ("Shift+C",)),
    A("visible", "Show / Hide", "Show or hide the selected objects", "Objects", ("V",), "eye"),
    A("lock", "Lock / Unlock", "Lock or unlock the selected objects", "Objects", ("Shift+L",), "lock"),
    A("solo", "Solo", "Show only the selected objects", "Objects", ("Shift+V",), "solo", checkable=True),
    A(
        "move_up",
        "Move Up",
        "Move the selected objects up in the list",
        "Objects",
        ("Ctrl+Up",),
        "up",
        separator=True,
    ),
    A(
        "move_down",
        "Move Down",
        "Move the selected objects down in the list",
        "Objects",
        ("Ctrl+Down",),
        "down",
    ),
    A(
        "fill_holes",
        "Fill Holes",
        "Fill the holes of the selected objects on this frame",
        "Objects",
        ("Ctrl+H",),
        separator=True,
    ),
    A(
        "remove_specks",
        "Remove Specks",
        "Remove specks of the selected objects on this frame",
        "Objects",
        ("Ctrl+K",),
    ),
    A(
        "grow",
        "Grow",
        "Grow the selected objects by a pixel on this frame",
        "Objects",
        ("Ctrl+Shift+=", "Ctrl+Shift++"),
    ),
    A(
        "shrink",
        "Shrink",
        "Shrink the selected objects by a pixel on this frame",
        "Objects",
        ("Ctrl+Shift+-",),
    ),
    *(
        A(f"object_{n}", f"Select Object {n}", f"Select object {n}", "Objects/Select", (str(n),))
        for n in range(1, 10)
    ),
    A("shortcuts", "Keys", "List every action and its key", "Help", ("F1",), "help"),
    A("first_steps", "First Steps", "Show the three first steps", "Help", separator=True),
    A("about", "About smtc-app", "Version, models and licences", "Help", icon="info"),
)
SPECS: Mapping[str, ActionSpec] = {spec.id: spec for spec in ACTIONS}

SHARED_KEYS = frozenset({("cancel", "reject_all")})
"""Pairs that share a key on purpose: Esc ends the running job first, and rejects proposals otherwise."""


def conflicts(keys: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str, str]]:
    """Pairs of actions that hold the same key: (key, first id, second id), shared keys left out."""
    owners: dict[str, str] = {}
    found = []
    for action_id, sequences in keys.items():
        for sequence in sequences:
            text = QKeySequence(sequence).toString()
            other = owners.setdefault(text, action_id)
            if other != action_id and tuple(sorted((other, action_id))) not in SHARED_KEYS:
                found.append((text, other, action_id))
    return found


class ActionTable(QObject):
    """The `QAction` of every row; owns keys, icons and enabled states."""

    def __init__(self, parent: QWidget, keys: Mapping[str, tuple[str, ...]] | None = None) -> None:
        super().__init__(parent)
        self._actions: dict[str, QAction] = {}
        self._groups: dict[str, QActionGroup] = {}
        self._keys: dict[str, tuple[str, ...]] = {spec.id: spec.keys for spec in ACTIONS}
        self._hidden_keys: set[str] = set()
        self._reasons: dict[str, str] = {}
        """Why an action cannot be used now."""
        self._tooltips: dict[str, str] = {}
        for spec in ACTIONS:
            action = QAction(spec.text, self)
            action.setObjectName(spec.id)
            action.setCheckable(spec.checkable)
            action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
            # Menus show the icons of the main toolbar only where they help to find the entry again.
            action.setIconVisibleInMenu(bool(spec.icon) and not spec.checkable)
            if spec.group:
                group = self._groups.setdefault(spec.group, QActionGroup(self))
                group.addAction(action)
            self._actions[spec.id] = action
            parent.addAction(action)
        self.rebind(keys or {})
        self.update_icons()

    def __getitem__(self, action_id: str) -> QAction:
        return self._actions[action_id]

    def connect(self, action_id: str, slot: Callable[[], object]) -> None:
        """Call `slot()` when the action is triggered."""

        def called(_checked: bool = False) -> None:
            slot()

        self._actions[action_id].triggered.connect(called)

    def connect_checked(self, action_id: str, slot: Callable[[bool], object]) -> None:
        """Call `slot(checked)` when the action is switched."""
        self._actions[action_id].triggered.connect(slot)

    def enable(self, action_id: str, on: bool, reason: str = "") -> None:
        """Make an action usable, or not, and say in its tooltip why not."""
        action, told = self._actions[action_id], "" if on else reason
        if action.isEnabled() != on:
            action.setEnabled(on)
        if self._reasons.get(action_id, "") != told:
            self._reasons[action_id] = told
            self._show_tooltip(action_id)

    def set_tooltip(self, action_id: str, text: str) -> None:
        """Say what an action would do now, instead of what it does in general."""
        if self._tooltips.get(action_id) != text:
            self._tooltips[action_id] = text
            self._show_tooltip(action_id)

    def reason(self, action_id: str) -> str:
        """Why an action cannot be used now, "" when it can."""
        return self._reasons.get(action_id, "")

    @property
    def keys(self) -> Mapping[str, tuple[str, ...]]:
        """The keys of every action as they are now."""
        return dict(self._keys)

    @property
    def rebound(self) -> dict[str, list[str]]:
        """What differs from the defaults, for the settings file."""
        return {i: list(keys) for i, keys in self._keys.items() if keys != SPECS[i].keys}

    def rebind(self, keys: Mapping[str, tuple[str, ...] | list[str]]) -> None:
        """Set keys of some actions; unknown ids (of another version) are passed over.

        Raises:
            ValueError: two actions would hold the same key.
        """
        wanted = dict(self._keys)
        wanted.update({i: tuple(sequences) for i, sequences in keys.items() if i in SPECS})
        clashing = conflicts(wanted)
        if clashing:
            key, first, second = clashing[0]
            raise ValueError(f"{key} would belong to both {SPECS[first].text} and {SPECS[second].text}")
        self._keys = wanted
        for action_id in self._actions:
            self._apply_keys(action_id)

    def set_key_owner(self, owner: str, *others: str) -> None:
        """Give a shared key to `owner` now; `others` keep their menu entry without it."""
        self._hidden_keys.difference_update({owner})
        self._hidden_keys.update(others)
        for action_id in (owner, *others):
            self._apply_keys(action_id)

    def key_text(self, action_id: str) -> str:
        """The first key of an action as people read it, or an empty string."""
        keys = self._keys[action_id]
        return QKeySequence(keys[0]).toString(QKeySequence.SequenceFormat.NativeText) if keys else ""

    def update_icons(self) -> None:
        """Render the icons again, after a change of theme."""
        theme = Theme.current()
        for spec in ACTIONS:
            if spec.icon:
                self._actions[spec.id].setIcon(theme.icon(spec.icon, spec.checkable))

    def add_menus(self, bar: QMenuBar) -> dict[str, QMenu]:
        """Fill the menu bar; returns the menus by name (`Objects/Select` is a submenu)."""
        menus: dict[str, QMenu] = {name: bar.addMenu(f"&{name}") for name in MENUS}
        for spec in ACTIONS:
            if spec.menu not in menus:
                above, name = spec.menu.split("/")
                menus[above].addSeparator()
                menus[spec.menu] = menus[above].addMenu(name)
            if spec.separator:
                menus[spec.menu].addSeparator()
            menus[spec.menu].addAction(self._actions[spec.id])
        for menu in menus.values():
            menu.setToolTipsVisible(True)
        return menus

    def _apply_keys(self, action_id: str) -> None:
        action = self._actions[action_id]
        keys = () if action_id in self._hidden_keys else self._keys[action_id]
        action.setShortcuts([QKeySequence(key) for key in keys])
        action.setStatusTip("")
        self._show_tooltip(action_id)

    def _show_tooltip(self, action_id: str) -> None:
        key, reason = self.key_text(action_id), self._reasons.get(action_id, "")
        text = self._tooltips.get(action_id, SPECS[action_id].tooltip)
        text = f"{text}  ({key})" if key else text
        self._actions[action_id].setToolTip(f"{text}\n{reason}" if reason else text)

"""Moved, renamed and changed footage is found again, or asked for."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.io.project import load_project, save_project
from smtc_app.io.project_source import find_source, use_source
from smtc_app.io.source import open_source

SIZE = (32, 24)


def make_clip(folder, seed=0, frames=3, size=SIZE):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for index in range(frames):
        pixels = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:05d}.png")
    return folder


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path / "work" / "clip")


@pytest.fixture
def project(tmp_path, clip):
    with open_source(clip) as source:
        save_project(tmp_path / "work" / "p", Document(3, SIZE), source)
    return tmp_path / "work" / "p.smtc"


def find(project):
    info, _ = load_project(project)
    found = find_source(info)
    found.source.close()
    return found


def test_footage_in_its_place_needs_no_word(project, clip):
    found = find(project)
    assert found.source.path == clip
    assert found.note == ""


def test_project_and_footage_moved_together_are_found(tmp_path, project, clip):
    shutil.move(tmp_path / "work", tmp_path / "elsewhere")
    found = find(tmp_path / "elsewhere" / "p.smtc")
    assert found.source.path == tmp_path / "elsewhere" / "clip"
    assert found.note == ""


def test_a_moved_project_finds_footage_that_stayed(tmp_path, project, clip):
    shutil.move(project, tmp_path / "p.smtc")
    assert find(tmp_path / "p.smtc").source.path == clip


def test_renamed_footage_is_recognised_beside_the_project(tmp_path, project, clip):
    make_clip(clip.parent / "another", seed=5)
    make_clip(clip.parent / "clip2", seed=6)
    (clip.parent / "notes").mkdir()
    clip.rename(clip.parent / "renamed")
    found = find(project)
    assert found.source.path.name == "renamed"
    assert "clip was found at" in found.note


def test_the_right_footage_elsewhere_beats_changed_footage_in_place(tmp_path, project, clip):
    clip.rename(clip.parent / "original")
    make_clip(clip, seed=9)
    assert find(project).source.path.name == "original"


def test_changed_footage_that_fits_is_used_with_a_warning(project, clip):
    shutil.rmtree(clip)
    make_clip(clip, seed=9)
    found = find(project)
    assert found.source.path == clip
    assert "has changed since" in found.note


def test_changed_footage_that_does_not_fit_is_refused(project, clip):
    shutil.rmtree(clip)
    make_clip(clip, frames=2)
    with pytest.raises(UserError, match=r"2 frames of 32x24 px.* 3 frames of 32x24"):
        find(project)


def test_lost_footage_is_asked_for(tmp_path, project, clip):
    shutil.rmtree(clip)
    with pytest.raises(UserError, match="put it there, or choose in the window where it is now"):
        find(project)
    info, _ = load_project(project)
    same = make_clip(tmp_path / "backup")
    with use_source(info, same).source as source:
        assert source.path == same
    assert use_source(info, same).note == ""
    other = make_clip(tmp_path / "other", seed=4)
    assert "check the masks" in use_source(info, other).note
    with pytest.raises(UserError, match="choose the video it was made with"):
        use_source(info, make_clip(tmp_path / "bigger", size=(40, 24)))


def test_a_video_is_found_by_its_content(shared, tmp_path):
    original = next(path for path in sorted((shared / "data/videos").iterdir()) if path.suffix == ".mp4")
    others = [path for path in sorted((shared / "data/videos").iterdir()) if path.suffix == ".mp4"][1:3]
    video = tmp_path / "a.mp4"
    shutil.copy(original, video)
    with open_source(video) as source:
        save_project(tmp_path / "p", Document(len(source), source.size), source)
    for other in others:
        shutil.copy(other, tmp_path)
    video.rename(tmp_path / "z.mp4")
    assert find(tmp_path / "p.smtc").source.path.name == "z.mp4"

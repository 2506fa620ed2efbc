"""Datasets on disk: layouts found without decoding, projects and marks kept, videos looked into."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smtc_app.core.commands import SetLabels
from smtc_app.core.dataset import VideoEntry, VideoState
from smtc_app.core.document import Document, FrameStatus, ProposalMask
from smtc_app.core.errors import UserError
from smtc_app.core.object_commands import AddObject
from smtc_app.io.dataset import PROJECTS_FOLDER, find_dataset, scan_dataset
from smtc_app.io.dataset_probe import DatasetProbe, first_picture, media_info
from smtc_app.io.dataset_state import STATE_FILE, DatasetFolder, summarise
from smtc_app.io.project import save_project
from smtc_app.io.source import open_source


def make_images(folder: Path, count: int = 2, size: tuple[int, int] = (32, 18)) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        Image.new("RGB", size, (10 * index, 0, 0)).save(folder / f"{index:05d}.png")
    return folder


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def names(dataset):
    return [entry.name for entry in dataset.entries]


def test_a_davis_root_is_found_from_each_of_its_folders(tmp_path):
    for sequence in ("goat", "bear10", "bear9"):
        make_images(tmp_path / "JPEGImages" / "480p" / sequence)
        make_images(tmp_path / "Annotations" / "480p" / sequence)
    for given in (tmp_path, tmp_path / "JPEGImages", tmp_path / "JPEGImages" / "480p"):
        dataset = find_dataset(given)
        assert (dataset.root, dataset.layout) == (tmp_path, "DAVIS")
        assert names(dataset) == ["bear9", "bear10", "goat"]


def test_several_resolutions_keep_their_names(tmp_path):
    for resolution in ("480p", "Full-Resolution"):
        make_images(tmp_path / "JPEGImages" / resolution / "bear")
    assert names(scan_dataset(tmp_path)) == ["480p/bear", "Full-Resolution/bear"]


def test_the_splits_of_a_youtube_vos_root_are_one_dataset(tmp_path):
    make_images(tmp_path / "train" / "JPEGImages" / "003234408d")
    make_images(tmp_path / "valid" / "JPEGImages" / "0a7a2514aa")
    dataset = find_dataset(tmp_path)
    assert dataset.layout == "YouTube-VOS"
    assert names(dataset) == ["train/003234408d", "valid/0a7a2514aa"]


def test_a_folder_of_videos_is_searched_and_what_is_none_is_left_out(tmp_path):
    for name in ("clip2.mp4", "clip10.MKV", "day 1/cage.avi", "notes.txt", ".hidden.mp4"):
        touch(tmp_path / name)
    make_images(tmp_path / "day 1" / "stills")
    make_images(tmp_path / "clip2.smtc" / "masks")
    make_images(tmp_path / PROJECTS_FOLDER / "clip2.smtc" / "masks")
    dataset = find_dataset(tmp_path)
    assert dataset.layout == "videos"
    assert names(dataset) == ["clip2", "clip10", "day 1/cage", "day 1/stills"]


def test_videos_of_one_name_keep_their_suffixes(tmp_path):
    for name in ("a/clip.mp4", "a/Clip.mov", "b/clip.mp4"):
        touch(tmp_path / name)
    assert names(scan_dataset(tmp_path)) == ["a/Clip.mov", "a/clip.mp4", "b/clip"]


def test_a_folder_of_images_a_project_and_a_single_sequence_are_no_datasets(tmp_path):
    images = make_images(tmp_path / "images")
    make_images(images / "more")
    single = tmp_path / "single"
    make_images(single / "JPEGImages" / "480p" / "bear")
    project = tmp_path / "clip.smtc"
    project.mkdir()
    assert [find_dataset(path) for path in (images, single, project, tmp_path / "none")] == [None] * 4


def test_nothing_to_show_is_said(tmp_path):
    with pytest.raises(UserError, match="holds no videos"):
        scan_dataset(tmp_path)
    with pytest.raises(UserError, match="is no folder"):
        scan_dataset(tmp_path / "missing")


class TestState:
    def test_marks_are_kept_across_restarts_and_unknown_values_stay(self, tmp_path):
        folder = DatasetFolder(tmp_path)
        assert not folder.path.exists()
        folder.set_done("bear", True)
        file = folder.path / STATE_FILE
        file.write_text(json.dumps({**json.loads(file.read_text()), "later": 5}))
        folder.set_done("goat", True)
        folder.set_done("bear", False)
        assert DatasetFolder(tmp_path).load().done == {"goat"}
        assert json.loads(file.read_text())["later"] == 5

    def test_two_windows_keep_each_others_marks(self, tmp_path):
        first, second = DatasetFolder(tmp_path), DatasetFolder(tmp_path)
        first.set_done("bear", True)
        second.set_done("goat", True)
        assert first.load().done == {"bear", "goat"}

    @pytest.mark.parametrize("content", ["{", "[]", '{"format": "other"}', '{"format": "smtc-dataset"}'])
    def test_a_damaged_file_is_an_empty_state(self, tmp_path, content):
        folder = DatasetFolder(tmp_path)
        folder.path.mkdir()
        (folder.path / STATE_FILE).write_text(content)
        assert folder.load().done == frozenset()

    def test_a_project_beside_the_video_is_used_before_there_is_one_in_the_dataset(self, tmp_path):
        folder, entry = DatasetFolder(tmp_path), VideoEntry("day/clip", tmp_path / "day" / "clip.mp4")
        inside = tmp_path / PROJECTS_FOLDER / "day" / "clip.smtc"
        assert (folder.project_of(entry), folder.to_open(entry)) == (inside, entry.path)
        beside = touch(tmp_path / "day" / "clip.smtc" / "project.json").parent
        assert folder.project_of(entry) == folder.to_open(entry) == beside
        touch(inside / "project.json")
        assert folder.project_of(entry) == inside


@pytest.fixture
def project(tmp_path):
    """A project on three images, and its document to edit and save again."""
    source = open_source(make_images(tmp_path / "clip", 3))
    document = Document(len(source), source.size)

    def save():
        save_project(tmp_path / "clip.smtc", document, source)
        return tmp_path / "clip.smtc"

    return document, save


def test_a_summary_tells_untouched_from_proposed_and_painted(project):
    document, save = project
    AddObject("goat").do(document)
    assert summarise(save()).state == VideoState.UNTOUCHED
    labels = np.zeros((18, 32), np.uint16)
    labels[2:5, 2:5] = 1
    SetLabels(0, labels, status=FrameStatus.PROPOSED).do(document)
    assert summarise(save()).state == VideoState.PROPOSED
    labels = np.array(labels)
    labels[5, 5] = 1
    SetLabels(0, labels).do(document)
    summary = summarise(save())
    assert (summary.state, summary.objects, summary.labelled_frames) == (VideoState.IN_WORK, 1, 1)
    assert summary.worst_confidence is None


def test_open_proposals_count_as_proposed(project):
    document, save = project
    mask = np.ones((18, 32), bool)
    document.suggest({1: [ProposalMask(1, 1, mask=mask)]})
    assert summarise(save()).state == VideoState.PROPOSED


def test_no_project_has_no_summary_and_a_damaged_one_is_said(tmp_path):
    assert summarise(tmp_path / "clip.smtc") is None
    touch(tmp_path / "clip.smtc" / "project.json")
    with pytest.raises(UserError, match="damaged"):
        summarise(tmp_path / "clip.smtc")


def test_media_of_images_are_counted(tmp_path):
    folder = make_images(tmp_path / "clip", 3)
    info = media_info(folder)
    assert (info.frames, info.exact, info.size) == (3, True, (32, 18))
    assert first_picture(folder, (16, 9)).shape == (9, 16, 3)


def test_media_of_a_video_come_from_its_header(shared):
    path = shared / "data" / "videos" / "sam2_01_dog.mp4"
    with open_source(path) as source:
        info, first = media_info(path), source[0]
        assert (info.frames, info.size) == (len(source), source.size)
    picture = first_picture(path)
    assert picture.shape == (90, 160, 3)
    assert abs(float(picture.mean()) - float(first.mean())) < 2


def test_a_probe_looks_into_every_video_and_pictures_those_in_sight(tmp_path):
    entries = [
        VideoEntry(name, make_images(tmp_path / name) if name != "broken" else touch(tmp_path / "broken.mp4"))
        for name in ("a", "b", "broken", "c")
    ]
    got, gate = [], threading.Event()

    def deliver(probed):
        got.append(probed)
        if sum(each.looked_inside for each in got) == len(entries) and any(each.pictured for each in got):
            gate.set()

    probe = DatasetProbe(entries, lambda entry: tmp_path / f"{entry.name}.smtc", deliver)
    try:
        probe.want(["c", "unknown"])
        assert gate.wait(20)
    finally:
        probe.close()
    inside = {each.name: each for each in got if each.looked_inside}
    assert inside["a"].media.frames == 2
    assert "broken" in inside["broken"].problem
    assert [each.name for each in got if each.pictured] == ["c"]
    assert not probe._thread.is_alive()

"""Whole journeys through the real window: an X server, real mouse and keys, real footage, the real model."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = [
    pytest.mark.xvfb,
    pytest.mark.skipif(
        not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="needs Xvfb and xdotool (apt)"
    ),
]
DRIVER = Path(__file__).with_name("journey_driver.py")
LIMIT_S = 500
LONGEST_BLOCK_MS = 50


@pytest.fixture
def display():
    """A virtual X server of its own, with its name in the form `:7`."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait(10)


@pytest.fixture
def travel(display, tmp_path):
    """Runs a journey of `journey_driver` and gives what it found."""

    def run(*arguments):
        environment = {
            **os.environ,
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "xcb",
            "HOME": str(tmp_path),
            "SMTC_CONFIG_DIR": str(tmp_path / "config"),
            "SMTC_RECOVERY_DIR": str(tmp_path / "recovery"),
        }
        environment.pop("QT_QPA_PLATFORM_PLUGIN_PATH", None)
        done = subprocess.run(
            [sys.executable, DRIVER, arguments[0], tmp_path, *arguments[1:]],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        found = json.loads(done.stdout)
        assert found["platform"] == "xcb"
        return found

    return run


def exported(folder):
    """Name -> label map of an exported folder, and the rows of its frames.csv."""
    with (folder / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    masks = {}
    for file in folder.glob("*.png"):
        with Image.open(file) as image:
            assert image.mode == "P"
            masks[file.stem] = np.array(image)
    return masks, rows


def test_the_demo_clip_from_proposals_to_masks_and_back(travel, tmp_path):
    found = travel("demo")
    assert found["proposals"] >= 1
    assert found["objects_before_enter"] == 0
    assert found["objects"] == found["proposals"]
    assert found["reopened_equal"]
    masks, rows = exported(tmp_path / "masks")
    labels = np.load(tmp_path / "labels.npz")
    assert len(masks) == len(rows) == len(labels.files)
    assert found["ids"] == list(range(1, len(found["ids"]) + 1))
    for row, name in zip(rows, labels.files, strict=True):
        assert np.array_equal(masks[row["name"]], labels[name])


@pytest.mark.parametrize(
    "clip",
    [
        "videos/trackanything_test-sample2.mp4",
        "videos/intel_asl_walk.mkv",
        "videos/vfs_test.avi",
        "davis/JPEGImages/480p/rollerblade",
    ],
)
def test_real_footage_is_stepped_annotated_and_exported(travel, tmp_path, shared, clip):
    found = travel("footage", str(shared / "data" / clip))
    assert found["frames_equal"] == [True] * 6
    assert found["kept_after_cancel"]
    # Other work on the machine holds up everybody: what an idle process had to wait is not the window's
    # fault.
    assert found["slowest_beat_ms"] <= LONGEST_BLOCK_MS + 2 * found["bystander_ms"]
    masks, rows = exported(tmp_path / "masks")
    labels = np.load(tmp_path / "labels.npz")
    assert sorted(masks) == sorted(labels.files) == sorted(row["name"] for row in rows)
    for name, mask in masks.items():
        assert np.array_equal(mask, labels[name])
        assert mask.any()

"""The command `smtc-model`: exit codes, tables, JSON, and one sentence for what a person can mend."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from davis_root import write_sequence
from golden import released_state
from PIL import Image

from smtc_model.cli import main
from smtc_model.text_table import format_table


@pytest.fixture
def root(tmp_path):
    write_sequence(tmp_path / "davis", "two", masks=(0, 1, 2))
    return tmp_path / "davis"


def _run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def _complaint(capsys, *arguments):
    """The one sentence of an error."""
    code, out, err = _run(capsys, *arguments)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["evaluate", "--help"], ["list", "--help"]])
def test_help_does_not_wait_for_torch(arguments):
    code = (
        "import sys, smtc_model.cli as cli\n"
        "try:\n    cli.main(sys.argv[1:])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "assert not {'torch', 'timm', 'cv2', 'PySide6'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "smtc-model" in done.stdout


def test_list_names_licence_and_origin(capsys):
    code, out, _ = _run(capsys, "list")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert "Apache-2.0" in lines["vit_small_patch16_224.dino"]
    assert "timm/vit_small_patch16_224.dino" in lines["vit_small_patch16_224.dino"]
    assert "untrained" in lines["colour-texture"]
    assert sum(" * " in line for line in out.splitlines()[2:-1]) == 1


def test_list_as_json(capsys):
    _, out, _ = _run(capsys, "list", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert rows["vit_base_patch16_dinov3.lvd1689m"]["licence"] == "DINOv3 licence"
    assert set(rows["colour-texture"]) >= {"kind", "available", "licence", "source", "description", "default"}


def test_convert_writes_safetensors(capsys, tmp_path):
    source, destination = tmp_path / "released.pth", tmp_path / "smtc.safetensors"
    torch.save({"iteration": 1, "model_state_dict": released_state(), "loss": 0.0}, source)
    code, out, _ = _run(capsys, "convert", source, destination)
    assert code == 0
    assert destination.is_file()
    assert str(destination) in out
    assert "--overwrite" in _complaint(capsys, "convert", source, destination)
    assert _run(capsys, "convert", source, destination, "--overwrite")[0] == 0


def test_convert_refuses(capsys, tmp_path):
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"PK\x03\x04 not really")
    assert "no checkpoint" in _complaint(capsys, "convert", tmp_path / "none.pth", tmp_path / "a.safetensors")
    assert "must end in .safetensors" in _complaint(capsys, "convert", broken, tmp_path / "a.pth")
    assert "broken.pth" in _complaint(capsys, "convert", broken, tmp_path / "a.safetensors")
    assert "no folder" in _complaint(capsys, "convert", broken, tmp_path / "none" / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def test_evaluate_prints_a_table_and_json(capsys, root):
    arguments = ["evaluate", root, "--task", "propagation", "--model", "colour-texture", "--device", "cpu"]
    code, out, err = _run(capsys, *arguments)
    assert code == 0
    assert "frame" in err, "progress goes to stderr"
    assert out.splitlines()[-1].startswith("global")
    code, out, _ = _run(capsys, *arguments, "--json", "--sequences", "two")
    values = json.loads(out)
    assert values["sequences"][0]["frames"] == [1, 2]
    assert 0.5 < values["global"]["j_and_f"] <= 1
    assert not values["trained"]


def test_evaluate_writes_predictions_once(capsys, root, tmp_path):
    out = tmp_path / "predicted"
    arguments = ["evaluate", root, "--task", "discovery", "--model", "colour-texture", "--output", out]
    assert _run(capsys, *arguments)[0] == 0
    files = sorted(path.name for path in (out / "two").iterdir())
    assert files == [f"{i:05d}.png" for i in range(4)]
    with Image.open(out / "two" / files[0]) as written:
        assert written.mode == "P"
    assert "not empty" in _complaint(capsys, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "propagation", "--preset", "fastest"], "no preset 'fastest'; choose one of default"),
        (["--task", "propagation", "--model", "colour-textur"], "did you mean 'colour-texture'"),
        (["--task", "propagation", "--sequences", "three"], "'three'"),
        (["--task", "propagation", "--resolution", "4k"], "no resolution '4k'"),
        (["--task", "discovery", "--granularity", "7"], "granularity must be from 0 to 1"),
        (["--task", "discovery", "--max-objects", "21"], "--max-objects must be from 1 to 20, got 21"),
        (["--task", "discovery", "--device", "abacus"], "no device 'abacus'"),
    ],
)
def test_evaluate_refuses_in_one_sentence(capsys, root, arguments, message):
    assert message in _complaint(capsys, "evaluate", root, *arguments)


def test_evaluate_of_no_folder(capsys, tmp_path):
    assert "no folder" in _complaint(capsys, "evaluate", tmp_path / "none", "--task", "discovery")


@pytest.mark.parametrize("arguments", [[], ["evaluate"], ["paint"], ["evaluate", ".", "--task", "sing"]])
def test_wrong_usage_is_told_in_one_sentence(capsys, arguments):
    assert "--help`)" in _complaint(capsys, *arguments)


def test_interruption_is_clean(capsys, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("smtc_model.weights.list_models", interrupt)
    code, _, err = _run(capsys, "list")
    assert code == 1
    assert err.strip() == "interrupted"


def test_train_is_handed_over(capsys, tmp_path):
    assert "error: " in _complaint(capsys, "train", tmp_path / "none", "--output", tmp_path / "run")


def test_help_of_train_explains_the_options(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "short_side: clips are decoded to at most this many pixels" in text
    assert "--gap LOW HIGH (default: 1 4; smtc: 4 4)" in text
    assert "--size INT (default: 256; foreground: 192)" in text


def test_table_aligns_columns():
    text = format_table(("a", "bb"), [("xxx", "y")])
    assert text.splitlines() == ["a    bb", "---  --", "xxx  y"]

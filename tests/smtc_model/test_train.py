"""Training: losses fall, resuming equals not stopping, and bad input is told in a sentence."""

from __future__ import annotations

import argparse
import json
import signal
import socket

import numpy as np
import pytest
import torch

from smtc_model import train
from smtc_model.backbone import create_backbone
from smtc_model.config import ModelConfig
from smtc_model.data import open_cache
from smtc_model.dense_training import DenseObjective, align, anchor_positions, dense_losses
from smtc_model.errors import ModelError
from smtc_model.foreground_training import ForegroundObjective
from smtc_model.smtc import SMTC
from smtc_model.smtc_training import SlotObjective
from smtc_model.train_checkpoint import FILE_NAME, load_checkpoint, step_seed
from smtc_model.train_config import (
    DenseConfig,
    SlotConfig,
    TrainConfig,
    from_dict,
    learning_rate,
    teacher_momentum,
)
from smtc_model.training import Trainer, average_into
from smtc_model.weights import load_model, save_model

TINY = {"widths": [8, 8, 16, 16], "depths": [1, 1, 1]}
TINY_DENSE = {"crop": 48, "source_side": (40.0, 64.0), "anchors": 3}


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory):
    """A checkpoint with a tiny network, as a start for every run."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    save_model(SMTC(create_backbone("compact", options=TINY), trained=True), path)
    return path


@pytest.fixture
def arguments(clips, cache_folder, tiny_backbone, tmp_path):
    """Parsed arguments of a tiny run; keyword arguments are further options."""

    def parse(*flags: str, root=clips, output="run", **options) -> argparse.Namespace:
        parser = argparse.ArgumentParser()
        train.add_arguments(parser)
        values = {
            "cache": cache_folder,
            "backbone": tiny_backbone,
            "clips": 2,
            "device": "cpu",
            "log_every": 1,
        }
        command = [str(root), "--output", str(tmp_path / output), *flags]
        for name, value in (values | options).items():
            parts = value if isinstance(value, tuple) else (value,)
            command += [f"--{name.replace('_', '-')}", *map(str, parts)]
        return parser.parse_args(command)

    return parse


def dense(arguments, *flags, **options):
    return arguments(
        *flags, **({"crop": 48, "source_side": (40.0, 64.0), "anchors": 3, "warmup": 2} | options)
    )


def smtc(arguments, *flags, **options):
    small = {"size": 48, "gap": (1, 1), "semantics": 4, "instances": 2, "lr": 1e-3, "warmup": 1}
    return arguments("--objective", "smtc", *flags, **(small | options))


def read_log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_dense_loss_falls(clips, cache_folder):
    torch.manual_seed(0)
    objective = DenseObjective(SMTC(create_backbone("compact", options=TINY)), DenseConfig(**TINY_DENSE))
    config = TrainConfig(steps=40, clips=4, warmup=2, lr=3e-3, schedule="trapezoid")
    trainer = Trainer(objective, open_cache(clips, cache_folder), config, device=torch.device("cpu"))
    totals = [trainer.step()["total"] for _ in range(config.steps)]
    assert np.mean(totals[-8:]) < 0.9 * np.mean(totals[:8])


def test_slot_losses_fall(arguments, tmp_path):
    train.run(smtc(arguments, steps=24, freeze_steps=12))
    log = read_log(tmp_path / "run")
    assert np.mean([row["total"] for row in log[-6:]]) < np.mean([row["total"] for row in log[:6]])


@pytest.mark.parametrize("kind", [dense, smtc])
def test_resuming_equals_not_stopping(arguments, tmp_path, kind):
    common = {"steps": 5} if kind is dense else {"steps": 5, "freeze_steps": 2}
    train.run(kind(arguments, output="whole", **common))
    train.run(kind(arguments, "--stop-at", "2", output="parts", **common))
    train.run(arguments("--resume", output="parts"))
    whole, parts = (load_checkpoint(tmp_path / name) for name in ("whole", "parts"))
    assert whole["step"] == parts["step"] == 5
    _assert_equal(whole, parts)
    values = ("step", "total", "gradient_norm", "lr")
    assert [[row[v] for v in values] for row in read_log(tmp_path / "whole")] == [
        [row[v] for v in values] for row in read_log(tmp_path / "parts")
    ]


def foreground(arguments, *flags, **options):
    return arguments("--objective", "foreground", *flags, **({"size": 96, "warmup": 1} | options))


@pytest.mark.parametrize("kind", [dense, smtc, foreground])
def test_threads_that_make_batches_ahead_change_no_number(arguments, tmp_path, kind):
    common = {"steps": 3, "clips": 2, "accumulate": 2}
    train.run(kind(arguments, output="alone", workers=0, **common))
    train.run(kind(arguments, output="ahead", workers=3, **common))
    _assert_equal(*(load_checkpoint(tmp_path / name) for name in ("alone", "ahead")))


@pytest.mark.parametrize("kind", [dense, foreground])
def test_a_run_that_is_interrupted_in_a_step_ends_behind_it_and_goes_on_as_if_it_had_not(
    arguments, tmp_path, monkeypatch, kind
):
    train.run(kind(arguments, output="whole", steps=4))
    make = DenseObjective.update_teacher if kind is dense else ForegroundObjective.update_teacher
    objective = DenseObjective if kind is dense else ForegroundObjective

    def interrupted(self, momentum, step):
        if step == 1:
            signal.raise_signal(signal.SIGTERM)  # the optimiser has stepped, the teacher has not
        make(self, momentum, step)

    with monkeypatch.context() as patch:
        patch.setattr(objective, "update_teacher", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train.run(kind(arguments, output="parts", steps=4))
    assert load_checkpoint(tmp_path / "parts")["step"] == 2
    train.run(arguments("--resume", output="parts"))
    _assert_equal(*(load_checkpoint(tmp_path / name) for name in ("whole", "parts")))


def test_a_step_that_fails_leaves_the_last_checkpoint_as_it_was(arguments, tmp_path, monkeypatch):
    train.run(dense(arguments, "--stop-at", "1", steps=4))
    before = load_checkpoint(tmp_path / "run")

    def broken(self, batch, generator):
        with torch.no_grad():
            self.student.net.project.weight.fill_(float("nan"))
        return losses(self, batch, generator)

    losses = DenseObjective.losses
    monkeypatch.setattr(DenseObjective, "losses", broken)
    with pytest.raises(ModelError, match="diverged"):
        train.run(arguments("--resume"))
    _assert_equal(load_checkpoint(tmp_path / "run"), before)


def test_a_resumed_run_repeats_no_line_of_the_log(arguments, tmp_path):
    train.run(dense(arguments, steps=3))
    log = tmp_path / "run" / "log.jsonl"
    with log.open("a") as file:  # as a run that was killed behind its last checkpoint leaves it
        file.write('{"step": 4, "total": 1.0}\n{"step": 5, "to')
    train.run(arguments("--resume", steps=5))
    assert [row["step"] for row in read_log(tmp_path / "run")] == [1, 2, 3, 4, 5]


def test_a_run_that_starts_anew_leaves_no_events_of_the_one_before(arguments, tmp_path):
    pytest.importorskip("tensorboard")
    train.run(dense(arguments, steps=1))
    (old,) = (tmp_path / "run" / "events").iterdir()
    train.run(dense(arguments, "--overwrite", steps=1))
    assert not old.exists()


def test_dense_losses_are_computed_in_full_precision_under_autocast():
    generator = torch.Generator().manual_seed(0)
    features = torch.nn.functional.normalize(torch.randn(2, 3, 16, 8, generator=generator), dim=-1)
    valid = torch.ones(2, 16, dtype=torch.bool)

    def losses():
        seeded = torch.Generator().manual_seed(0)
        return dense_losses(
            features, features.roll(1, 0), valid, DenseConfig(anchors=2), generator=seeded, size=(4, 4)
        )

    exact = losses()
    with torch.autocast("cpu", torch.bfloat16):
        lower = losses()
    for name, value in exact.items():
        assert torch.equal(value, lower[name]), name


def _assert_equal(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            _assert_equal(one[key], other[key])
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def test_dense_result_loads_and_is_the_teacher(arguments, tmp_path):
    train.run(dense(arguments, steps=2))
    model = load_model(tmp_path / "run" / train.MODEL_FILE, device="cpu")
    teacher = load_checkpoint(tmp_path / "run")["networks"]["teacher"]
    assert model.trained
    assert not model.has_slots
    for name, value in model.backbone.state_dict().items():
        torch.testing.assert_close(value, teacher[name])


def test_a_backbone_that_waits_costs_no_gradient_and_the_head_learns_the_same(clips, cache_folder):
    cache = open_cache(clips, cache_folder)
    config = TrainConfig(steps=4, clips=2, warmup=1, clip_gradient=1e9)

    def trained(freeze_steps: int) -> Trainer:
        torch.manual_seed(0)
        model = SMTC.with_new_head(
            create_backbone("compact", options=TINY), ModelConfig(num_semantics=4, num_instances=2)
        )
        objective = SlotObjective(
            model, SlotConfig(size=48, gap=(1, 1), freeze_steps=freeze_steps, backbone_lr_share=1e-12)
        )
        trainer = Trainer(objective, cache, config, device=torch.device("cpu"))
        for _ in range(2):
            trainer.step()
        return trainer

    waiting, moving = trained(2).objective.student, trained(0).objective.student
    assert all(parameter.grad is None for parameter in waiting.backbone.parameters())
    assert any(parameter.grad is not None for parameter in moving.backbone.parameters())
    torch.testing.assert_close(waiting.head.state_dict(), moving.head.state_dict())
    for name, value in waiting.backbone.named_buffers():
        torch.testing.assert_close(value, dict(moving.backbone.named_buffers())[name])
    trainer = trained(2)
    trainer.step()
    assert any(parameter.grad is not None for parameter in trainer.objective.student.backbone.parameters())


def test_slot_result_has_slots_and_an_untouched_frozen_backbone(arguments, tmp_path, tiny_backbone):
    train.run(smtc(arguments, steps=2, backbone_lr_share=0))
    model = load_model(tmp_path / "run" / train.MODEL_FILE, device="cpu")
    assert model.config.num_semantics == 4
    before = load_model(tiny_backbone, device="cpu").backbone.state_dict()
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_foreground_training_touches_only_its_network(arguments, tmp_path):
    train.run(smtc(arguments, output="slots", steps=1))
    slots = tmp_path / "slots" / train.MODEL_FILE
    run = {"objective": "foreground", "output": "front", "steps": 2, "size": 96, "backbone": slots}
    train.run(arguments(**run))
    model = load_model(tmp_path / "front" / train.MODEL_FILE, device="cpu")
    assert model.has_slots
    assert model.foreground is not None
    before = load_model(slots, device="cpu").state_dict()
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert {name.split(".")[0] for name in set(after) - set(before)} == {"foreground"}


def test_pictures_and_scalars_reach_tensorboard(arguments, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train.run(smtc(arguments, steps=2, freeze_steps=0))
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "events"))
    events.Reload()
    assert {"total", "consistency", "distinctness", "instance", "lr"} <= set(events.Tags()["scalars"])
    assert {"semantics", "instances"} <= set(events.Tags()["images"])


def test_accumulated_parts_give_the_gradient_of_their_mean(clips, cache_folder):
    """Two parts of one clip each: the step's gradient is the mean of the parts' own."""
    cache = open_cache(clips, cache_folder)
    torch.manual_seed(0)
    objective = DenseObjective(SMTC(create_backbone("compact", options=TINY)), DenseConfig(**TINY_DENSE))
    config = TrainConfig(steps=10, clips=2, accumulate=2, clip_gradient=1e9)
    trainer = Trainer(objective, cache, config, device=torch.device("cpu"))
    weight = objective.student.net.project.weight
    gradients = []
    for part in range(2):
        generator = torch.Generator().manual_seed(step_seed(config.seed, 0, part))
        loss = objective.losses(trainer.batch(0, part), generator)["total"]
        gradients.append(torch.autograd.grad(loss, weight)[0])
    trainer.step()
    torch.testing.assert_close(weight.grad, (gradients[0] + gradients[1]) / 2)


def test_the_right_anchor_costs_nothing_and_a_wrong_one_a_lot():
    """Orthogonal features: what matches itself is found with certainty."""
    size, config = (4, 4), DenseConfig(anchors=4)
    features = torch.eye(16).expand(2, 3, 16, 16).clone()
    features[1] = -features[1]
    valid = torch.ones(2, 16, dtype=torch.bool)

    def losses(student):
        return dense_losses(
            student, features, valid, config, generator=torch.Generator().manual_seed(0), size=size
        )

    right = losses(features)
    wrong = losses(features.roll(1, dims=2))
    assert float(right["temporal"]) < 1e-3
    assert float(right["cross"]) < 1e-3
    assert float(wrong["cross"]) > 5


def test_a_random_walk_through_matching_frames_returns():
    config = DenseConfig(cycle_weight=1.0, cycle_dropout=0.0, anchors=4)
    features = torch.eye(16).expand(1, 4, 16, 16)
    valid = torch.ones(1, 16, dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    arguments = {"generator": generator, "size": (4, 4)}
    home = dense_losses(features, features, valid, config, **arguments)["cycle"]
    scattered = torch.nn.functional.normalize(torch.randn(1, 4, 16, 16, generator=generator), dim=-1)
    lost = dense_losses(scattered, features, valid, config, **arguments)["cycle"]
    assert float(home) < 0.01
    assert float(lost) > 1


def test_aligned_features_are_those_at_the_mirrored_place():
    features = torch.randn(1, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    mirror = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]])
    aligned, valid = align(features, mirror, (4, 4))
    expected = torch.nn.functional.normalize(features.flip(-1).flatten(3).transpose(2, 3), dim=-1)
    torch.testing.assert_close(aligned, expected)
    assert valid.all()
    shifted = torch.tensor([[[1.0, 0, 1.0], [0, 1, 0]]])
    assert align(features, shifted, (4, 4))[1].float().mean() == 0.5


def test_one_anchor_lies_in_each_cell_of_the_lattice():
    positions = anchor_positions((12, 8), 4, 5, torch.Generator().manual_seed(0))
    cells = torch.stack([positions // 8 // 3, positions % 8 // 2])
    assert positions.shape == (5, 16)
    assert all(len(set(map(tuple, cells[:, clip].T.tolist()))) == 16 for clip in range(5))


def test_the_teacher_moves_towards_its_student():
    teacher, student = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(teacher.weight, 1.0)
    torch.nn.init.constant_(student.weight, 3.0)
    average_into(teacher, student, 0.75)
    assert teacher.weight.item() == pytest.approx(1.5)


def test_schedules():
    trapezoid = TrainConfig(steps=100, warmup=10, lr=1.0, decay_share=0.2)
    assert [round(learning_rate(trapezoid, step), 3) for step in (0, 9, 50, 80, 90, 100)] == [
        0.1,
        1,
        1,
        1,
        0.5,
        0,
    ]
    cosine = TrainConfig(steps=110, warmup=10, lr=1.0, schedule="cosine", final_lr_share=0.1)
    assert [round(learning_rate(cosine, step), 3) for step in (0, 10, 60, 110)] == [0.1, 1, 0.55, 0.1]
    assert teacher_momentum(trapezoid, 0) == 0
    assert teacher_momentum(trapezoid, 10**6) == trapezoid.ema


def test_a_configuration_survives_json():
    for config in (TrainConfig(), DenseConfig(), SlotConfig()):
        stored = json.loads(json.dumps(vars(config)))
        assert from_dict(type(config), stored) == config


def test_two_processes_stay_equal(clips, cache_folder, tiny_backbone, tmp_path):
    """Different clips in each, one network in both."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    open_cache(clips, cache_folder)
    torch.multiprocessing.spawn(
        _one_of_two, args=(port, str(clips), str(cache_folder), str(tiny_backbone), str(tmp_path)), nprocs=2
    )
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    _assert_equal(first["student"], second["student"])
    assert first["total"] != second["total"]


def _one_of_two(rank, port, clips, cache_folder, backbone, folder):
    from pathlib import Path

    from smtc_model.training import Processes

    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    objective = DenseObjective(load_model(backbone, device="cpu"), DenseConfig(**TINY_DENSE))
    trainer = Trainer(
        objective,
        open_cache(Path(clips), Path(cache_folder)),
        TrainConfig(steps=2, clips=1),
        device=torch.device("cpu"),
        processes=Processes(rank, 2),
    )
    totals = [trainer.step()["total"] for _ in range(2)]
    torch.save({"student": objective.student.state_dict(), "total": totals[0]}, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_another_run_is_not_overwritten_unasked(arguments, tmp_path):
    train.run(dense(arguments, steps=1))
    with pytest.raises(ModelError, match="--resume"):
        train.run(dense(arguments, steps=1))
    train.run(dense(arguments, "--overwrite", steps=1))
    assert len(read_log(tmp_path / "run")) == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"steps": 0}, "steps"),
        ({"clips": 3, "accumulate": 2}, "accumulate"),
        ({"schedule": "stairs"}, "schedule"),
        ({"crop": 50}, "crop"),
        ({"gap": (4, 1)}, "gap"),
        ({"backbone": "compct"}, "compact"),
        ({"backbone": "colour-texture"}, "nothing to train"),
        ({"device": "cuda:99"}, "cuda:99"),
        ({"threads": 0}, "--threads"),
        ({"workers": -1}, "--workers"),
        ({"amp": "fp16"}, "GPU"),
    ],
)
def test_bad_options_are_told(arguments, options, text):
    with pytest.raises(ModelError, match=text):
        train.run(dense(arguments, **({"steps": 1} | options)))


def test_a_run_says_where_its_weights_are(arguments, tmp_path, capsys):
    train.run(dense(arguments, steps=1))
    assert (
        f"{tmp_path / 'run' / 'model.safetensors'} holds the weights after step 1" in capsys.readouterr().err
    )


def test_bad_folders_are_told(arguments, tmp_path):
    with pytest.raises(ModelError, match="nowhere"):
        train.run(dense(arguments, root=tmp_path / "nowhere"))
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="file is a file; name the folder"):
        train.run(dense(arguments, root=tmp_path / "file"))
    with pytest.raises(ModelError, match="is a file"):
        train.run(dense(arguments, output="file"))
    with pytest.raises(ModelError, match="resume from"):
        train.run(dense(arguments, "--resume", output="new"))


def test_damaged_and_foreign_checkpoints_are_told(arguments, tmp_path):
    train.run(dense(arguments, steps=1))
    checkpoint = tmp_path / "run" / FILE_NAME
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="damaged"):
        train.run(dense(arguments, "--resume"))
    checkpoint.write_bytes(whole)
    with pytest.raises(ModelError, match="does not fit"):
        train.run(dense(arguments, "--resume", backbone="compact"))


def test_a_run_that_diverges_stops(clips, cache_folder):
    objective = DenseObjective(SMTC(create_backbone("compact", options=TINY)), DenseConfig(**TINY_DENSE))
    config = TrainConfig(steps=1, clips=2)
    trainer = Trainer(objective, open_cache(clips, cache_folder), config, device=torch.device("cpu"))
    with torch.no_grad():
        objective.student.net.project.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="diverged"):
        trainer.step()

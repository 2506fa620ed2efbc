"""Models stay loaded, and a GPU without enough memory leaves the work to the CPU."""

from __future__ import annotations

from smtc_app.jobs import model_use
from smtc_app.jobs.model_use import ModelSummary, RunSummary, loaded_model, with_cpu_to_fall_back_on

MODEL = "colour-texture"


def test_a_gpu_without_enough_memory_leaves_the_work_to_the_cpu(monkeypatch):
    import torch

    monkeypatch.setattr("smtc_model.weights.resolve_device", lambda name: torch.device("cuda"))
    seen = []

    def run(device):
        seen.append(device)
        if device != "cpu":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return "result"

    assert with_cpu_to_fall_back_on(run, "auto") == ("result", "cpu", True)
    assert seen == ["cuda", "cpu"]


def test_leaving_the_gpu_is_said():
    model = ModelSummary(MODEL, "0", False, False, "cpu")
    assert "CPU" in RunSummary(model, 3, fell_back_to_cpu=True).message


def test_a_loaded_model_is_kept_and_only_the_last_few():
    model_use._models.clear()
    first = loaded_model(MODEL, "cpu")
    assert loaded_model(MODEL, "cpu") is first
    assert len(model_use._models) == 1

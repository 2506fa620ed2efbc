"""The assembled model: golden values end to end, batches, any token grid, repeatable draws."""

from __future__ import annotations

import pytest
import torch
from golden import as_grid, assert_golden

from smtc_model.backbone import create_backbone
from smtc_model.config import ModelConfig
from smtc_model.losses import smtc_losses
from smtc_model.smtc import SMTC, SlotHead, model_hash

SMALL = ModelConfig(num_semantics=5, num_instances=3, correlation_grid=4)


@pytest.fixture
def model() -> SMTC:
    torch.manual_seed(0)
    return SMTC.with_new_head(create_backbone("timm:test_vit", pretrained=False), SMALL).eval()


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_slot_head_matches_golden_values(golden, released_head, role):
    keys = as_grid(golden[f"{role}_keys"])
    with torch.no_grad():
        output = released_head(keys, noise=golden[f"{role}_noise"])
    assert_golden(output.correlation, golden, f"{role}_correlation")
    assert_golden(output.semantic_slots, golden, f"{role}_semantic_slots")
    assert_golden(output.semantic_logits, golden, f"{role}_semantic_logits")
    assert_golden(output.instance_slots, golden, f"{role}_instance_slots")
    assert_golden(output.instance_logits, golden, f"{role}_instance_logits")
    assert_golden(output.embeddings, golden, f"{role}_instance_embedding")
    assert_golden(output.valid, golden, f"valid_{role}")


def test_output_has_one_entry_per_clip_frame_and_slot(model):
    with torch.no_grad():
        output = model.forward_clip(torch.rand(2, 3, 3, 48, 80))
    grid = (3, 5)
    assert output.keys.shape == output.fused.shape == output.correlation.shape == (2, 3, 64, *grid)
    assert output.semantic_slots.shape == (2, 3, 5, 64)
    assert output.semantic_masks.shape == output.semantic_logits.shape == (2, 3, 5, *grid)
    assert output.instance_slots.shape == output.embeddings.shape == (2, 3, 5, 3, 64)
    assert output.instance_masks.shape == output.instance_logits.shape == (2, 3, 5, 3, *grid)
    assert output.objectness.shape == output.valid.shape == (2, 3, 5, 3)
    torch.testing.assert_close(output.semantic_masks.sum(dim=2), torch.ones(2, 3, *grid))
    torch.testing.assert_close(output.instance_masks.sum(dim=3), output.semantic_masks)
    torch.testing.assert_close(output.embeddings.norm(dim=-1), torch.ones(2, 3, 5, 3))


def test_clips_of_a_batch_are_independent(model):
    frames = torch.rand(2, 3, 3, 64, 64)
    with torch.no_grad():
        together = model.forward_clip(frames)
        alone = model.forward_clip(frames[1:])
    torch.testing.assert_close(together.instance_masks[1:], alone.instance_masks, rtol=1e-3, atol=1e-5)


def test_inference_repeats_and_does_not_depend_on_where_a_video_is_cut(model):
    frames = torch.rand(1, 6, 3, 64, 64)
    with torch.no_grad():
        whole = model.forward_clip(frames)
        first = model.forward_clip(frames[:, :4])
        second = model.forward_clip(frames[:, 4:], before=first.keys[:, -1])
    for name in ("semantic_slots", "instance_slots", "instance_masks"):
        pieces = torch.cat([getattr(first, name), getattr(second, name)], dim=1)
        torch.testing.assert_close(pieces, getattr(whole, name), rtol=1e-3, atol=1e-5)


def test_seed_and_generator_choose_the_draw(model):
    keys = torch.randn(1, 2, 64, 4, 4)
    with torch.no_grad():
        seeded = model.group(keys).instance_slots
        model.head.config = ModelConfig(**{**SMALL.to_dict(), "seed": 1})
        other_seed = model.group(keys).instance_slots
        drawn = [
            model.group(keys, generator=torch.Generator().manual_seed(3)).instance_slots for _ in range(2)
        ]
    assert not torch.equal(seeded, other_seed)
    assert torch.equal(*drawn)
    assert not torch.equal(drawn[0][0, 0], drawn[0][0, 1]), "a generator draws anew for every frame"


def test_training_and_the_official_mode_draw_anew(model):
    keys = torch.randn(1, 2, 64, 4, 4)
    model.train()
    assert not torch.equal(model.group(keys).instance_slots, model.group(keys).instance_slots)
    model.eval()
    model.head.config = ModelConfig(**{**SMALL.to_dict(), "official_compat": True})
    assert not torch.equal(model.group(keys).instance_slots, model.group(keys).instance_slots)


def test_iterations_follow_the_mode(model):
    keys = torch.randn(1, 2, 64, 4, 4)
    with torch.no_grad():
        inferred = model.eval().group(keys).semantic_slots
        trained = model.train().group(keys).semantic_slots
        assert torch.equal(inferred, model.group(keys, iterations=5).semantic_slots)
        assert torch.equal(trained, model.group(keys, iterations=3).semantic_slots)
    assert not torch.allclose(inferred, trained)


def test_first_frame_meets_itself_or_under_official_compat_the_last(model):
    keys = torch.randn(1, 3, 64, 4, 4)
    changed = keys.clone()
    changed[:, 2] += 1
    with torch.no_grad():
        ours = [model.head.fuse(k)[0][:, 0] for k in (keys, changed)]
        model.head.config = ModelConfig(**{**SMALL.to_dict(), "official_compat": True})
        official = [model.head.fuse(k)[0][:, 0] for k in (keys, changed)]
    assert torch.equal(*ours)
    assert not torch.allclose(*official)


def test_slots_and_losses_stay_in_full_precision_under_autocast(model):
    frames = torch.rand(1, 2, 3, 64, 64)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        output = model.forward_clip(frames)
        losses = smtc_losses(output, output)
    with torch.no_grad():
        expected = model.group(output.keys)
        torch.testing.assert_close(output, expected)
        torch.testing.assert_close(losses, smtc_losses(expected, expected))
    assert output.instance_masks.dtype == torch.float32


def test_model_of_just_a_backbone_encodes_but_has_no_slots():
    model = SMTC(create_backbone("colour-texture"))
    assert not model.has_slots
    assert not model.trained
    assert model.name == "colour-texture"
    assert model.encode(torch.rand(1, 3, 32, 32)).keys.shape[2:] == (4, 4)
    with pytest.raises(ValueError, match="no slot head"):
        model.forward_clip(torch.rand(1, 2, 3, 32, 32))


def test_head_and_backbone_must_agree_on_channels():
    with pytest.raises(ValueError, match=r"takes 8 channels.*gives 64"):
        SMTC(create_backbone("timm:test_vit", pretrained=False), SlotHead(8, SMALL))


def test_frames_must_come_as_clips(model):
    with pytest.raises(ValueError, match=r"\(B, T, 3, H, W\)"):
        model.forward_clip(torch.rand(2, 3, 64, 64))


def test_hash_follows_weights_and_configuration(model):
    first = model_hash(model)
    assert first == model.hash == model_hash(model)
    assert len(first) == 64
    with torch.no_grad():
        model.head.transport_proj.bias[0] += 1e-3
    second = model.hash
    model.head.config = ModelConfig(**{**SMALL.to_dict(), "seed": 5})
    assert len({first, second, model.hash}) == 3


@pytest.mark.parametrize(
    ("setting", "value"), [("num_semantics", 0), ("correlation_grid", 1.5), ("area_threshold", 1.0)]
)
def test_configuration_refuses_values_without_sense(setting, value):
    with pytest.raises(ValueError, match=f"{setting}.*{value}"):
        ModelConfig(**{setting: value})


def test_configuration_survives_json_and_names_what_it_does_not_know():
    assert ModelConfig.from_dict(SMALL.to_dict()) == SMALL
    with pytest.raises(ValueError, match="unknown model settings: colour"):
        ModelConfig.from_dict({"colour": 1})

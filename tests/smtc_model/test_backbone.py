"""Backbones: golden parity of the encoder, every kind of timm network at any size, and clear refusals."""

from __future__ import annotations

import pytest
import timm
import torch
from golden import assert_golden, encoder_state
from torch import nn

from smtc_model.backbone import BACKBONES, Backbone, create_backbone
from smtc_model.config import IMAGENET_MEAN, IMAGENET_STD
from smtc_model.errors import ModelError
from smtc_model.vit import ViTBackbone, dino_positions


def tiny_vit(**settings) -> ViTBackbone:
    net = timm.models.VisionTransformer(
        img_size=64,
        patch_size=16,
        embed_dim=32,
        depth=2,
        num_heads=2,
        num_classes=0,
        dynamic_img_size=True,
        **settings,
    )
    return ViTBackbone(net, "tiny").eval()


def tiny_rope_vit() -> ViTBackbone:
    """The make of DINOv3: rotary positions, registers, no bias in qkv."""
    net = timm.models.eva.Eva(
        img_size=64,
        patch_size=16,
        embed_dim=32,
        depth=2,
        num_heads=2,
        num_classes=0,
        qkv_bias=False,
        init_values=1e-5,
        rope_type="dinov3",
        use_rot_pos_emb=True,
        use_abs_pos_emb=False,
        num_reg_tokens=4,
        dynamic_img_size=True,
    )
    return ViTBackbone(net, "tiny-rope").eval()


def keys_seen_by_attention(backbone: ViTBackbone, normalised: torch.Tensor) -> torch.Tensor:
    """The key third of what the last block's qkv really computes, caught on its way."""
    caught = []
    handle = backbone.net.blocks[-1].attn.qkv.register_forward_hook(lambda *call: caught.append(call[2]))
    backbone.net.forward_features(normalised)
    handle.remove()
    keys = caught[0][:, backbone.net.num_prefix_tokens :].chunk(3, dim=-1)[1]
    return keys.transpose(1, 2)


def test_encoder_matches_golden_values(golden):
    backbone = create_backbone("vit_small_patch16_224.dino", pretrained=False).eval()
    state = encoder_state()
    assert len(state) == 150
    backbone.net.load_state_dict(state)
    for backbone.position_resampling in ("timm", "dino"):
        with torch.no_grad():
            features = backbone.encode(golden["enc224_image"])
        assert_golden(features.tokens, golden, "enc224_tokens")
        assert_golden(features.cls, golden, "enc224_cls")
        assert_golden(features.keys, golden, "enc224_keys")


@pytest.mark.parametrize(
    "make",
    [
        tiny_vit,
        lambda: tiny_vit(reg_tokens=4, no_embed_class=True, init_values=1e-5),
        lambda: tiny_vit(class_token=False, global_pool="avg"),
        tiny_rope_vit,
    ],
    ids=["dino", "dinov2-registers", "no-class-token", "dinov3"],
)
def test_vit_gives_keys_tokens_and_normed_tokens_of_the_last_block(make):
    backbone = make()
    normalised = torch.randn(2, 3, 48, 80)
    with torch.no_grad():
        features = backbone.encode(normalised)
        final = backbone.net.forward_features(normalised)
        patches = final[:, backbone.net.num_prefix_tokens :].transpose(1, 2)
        keys = keys_seen_by_attention(backbone, normalised)
        normed = backbone.net.norm(features.tokens.flatten(2).transpose(1, 2)).transpose(1, 2)
    assert features.tokens.shape == (2, 32, 3, 5)
    torch.testing.assert_close(features.normed.flatten(2), patches)
    torch.testing.assert_close(features.normed.flatten(2), normed)
    torch.testing.assert_close(features.keys.flatten(2), keys)
    if backbone.net.cls_token is None:
        assert features.cls is None
    else:
        assert features.cls.shape == (2, 32)
        torch.testing.assert_close(backbone.net.norm(features.cls), final[:, 0])


def test_tokens_lie_where_their_pixels_are():
    backbone = tiny_vit()
    frames = torch.rand(1, 3, 48, 80)
    changed = frames.clone()
    changed[:, :, 16:32, 64:80] = 0
    with torch.no_grad():
        difference = (backbone(frames).keys - backbone(changed).keys).abs().sum(dim=1)[0]
    assert divmod(int(difference.argmax()), 5) == (1, 4)


def cubic(distance: torch.Tensor) -> torch.Tensor:
    """Cubic convolution kernel (Keys 1981) with a = -0.75."""
    x, a = distance.abs(), -0.75
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros(())))


def test_dino_positions_sample_where_dino_does():
    """Row i of h is read at (i + .5) n / (h + .1) - .5 of n, not at (i + .5) n / h - .5."""
    n, h = 14, 20
    column = torch.randn(n)
    embedding = torch.cat([torch.full((1, 1, 1), -5.0), column.repeat_interleave(n).view(1, -1, 1)], dim=1)
    resampled = dino_positions(embedding, h, n)
    assert resampled[0, 0, 0] == -5
    rows = resampled[0, 1:, 0].view(h, n)[:, n // 2]
    places = (torch.arange(h) + 0.5) * n / (h + 0.1) - 0.5
    expected = cubic(places.unsqueeze(1) - torch.arange(n)) @ column
    torch.testing.assert_close(rows[3:-3], expected[3:-3], atol=1e-4, rtol=0)


def test_dino_positions_stay_at_the_size_of_training():
    embedding = torch.randn(1, 17, 8)
    assert dino_positions(embedding, 4, 4) is embedding


def test_position_resampling_only_matters_away_from_the_size_of_training():
    backbone = tiny_vit()
    nn.init.normal_(backbone.net.pos_embed)
    same, other = torch.randn(1, 3, 64, 64), torch.randn(1, 3, 96, 64)
    results = []
    for backbone.position_resampling in ("timm", "dino"):
        with torch.no_grad():
            results.append([backbone.encode(x).tokens for x in (same, other)])
    (timm_same, timm_other), (dino_same, dino_other) = results
    torch.testing.assert_close(timm_same, dino_same)
    assert not torch.allclose(timm_other, dino_other, atol=1e-4)


def test_frames_of_any_size_are_fitted_and_normalised():
    backbone = tiny_vit()
    assert backbone.fit_size(70, 5) == (64, 16)
    gray = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1).expand(1, 3, 70, 100)
    with torch.no_grad():
        features = backbone(gray)
        expected = backbone.encode(torch.zeros(1, 3, 64, 96))
    torch.testing.assert_close(features.tokens, expected.tokens, atol=1e-4, rtol=1e-4)
    one_deviation_up = backbone.normalise(gray + torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
    torch.testing.assert_close(one_deviation_up, torch.ones_like(gray), atol=1e-5, rtol=0)


def test_frames_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\), got \(1, 4, 32, 32\)"):
        tiny_vit()(torch.rand(1, 4, 32, 32))


@pytest.mark.parametrize("name", ["colour-texture", "compact"])
def test_our_own_backbones_keep_what_the_interface_promises(name):
    backbone = create_backbone(name).eval()
    with torch.no_grad():
        features = backbone(torch.rand(2, 3, 50, 70))
    height, width = backbone.fit_size(50, 70)
    expected = (2, backbone.channels, height // backbone.stride, width // backbone.stride)
    assert features.keys.shape == expected
    assert features.keys is features.tokens is features.normed
    assert features.cls is None
    assert not backbone.trained
    assert create_backbone(name, options=backbone.options).options == backbone.options


@pytest.mark.parametrize(
    ("name", "built", "stride", "channels"),
    [
        ("timm:test_resnet", "timm:test_resnet:3", 16, 192),
        ("timm:test_convnext:1", "timm:test_convnext:1", 8, 32),
        ("timm:test_vit", "timm:test_vit", 16, 64),
        ("timm:test_vit3.r160_in1k", "timm:test_vit3.r160_in1k", 16, 96),
    ],
)
def test_any_timm_network_by_name_and_stage(name, built, stride, channels):
    backbone = create_backbone(name, pretrained=False).eval()
    assert (backbone.name, backbone.stride, backbone.channels) == (built, stride, channels)
    with torch.no_grad():
        features = backbone(torch.rand(1, 3, 64, 96))
    assert features.keys.shape == (1, channels, 64 // stride, 96 // stride)
    assert create_backbone(backbone.name, pretrained=False).name == backbone.name


def test_statistics_come_from_the_networks_own_configuration():
    backbone = create_backbone("timm:test_vit", pretrained=False)
    assert backbone.mean == (0.5, 0.5, 0.5)
    assert backbone.std == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("name", [name for name, info in BACKBONES.items() if info.kind == "vit"])
def test_registered_transformers_exist_in_timm_with_their_statistics(name):
    cfg = timm.get_pretrained_cfg(name)
    assert cfg.tag == name.partition(".")[2]
    assert cfg.mean == IMAGENET_MEAN
    assert cfg.std == IMAGENET_STD
    assert BACKBONES[name].source == cfg.hf_hub_id
    assert ("dinov3" in cfg.license) == ("DINOv3" in BACKBONES[name].licence)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("vit_small_patch16_224.dyno", "did you mean 'vit_small_patch16_224.dino'"),
        ("zzz", "smtc-model list"),
        ("timm:no_such_network", "timm has no model called 'no_such_network'"),
        ("timm:test_vit.no_such_tag", "no weights called"),
        ("timm:test_resnet:x", "must be a number"),
        ("timm:test_resnet:9", "stages 0 to 4, got 9"),
        ("timm:test_vit:1", "has no stages"),
    ],
)
def test_wrong_names_are_refused_with_the_reason(name, reason):
    with pytest.raises(ModelError, match=reason):
        create_backbone(name, pretrained=False)


@pytest.mark.parametrize("name", ["timm:test_vit", "timm:test_resnet", "timm:test_convnext:1"])
def test_local_weights_of_a_timm_network_load_as_they_are(name, tmp_path):
    model = name.split(":")[1]
    trained = timm.create_model(model, num_classes=7).eval()
    file = tmp_path / "weights.pth"
    torch.save(trained.state_dict(), file)
    backbone = create_backbone(name, weights=file).eval()
    assert backbone.trained
    frames = torch.randn(1, 3, 160, 160)
    with torch.no_grad():
        maps = trained.forward_intermediates(frames, intermediates_only=True)
        tokens = backbone.encode(frames).tokens
    expected = maps[-1] if model == "test_vit" else maps[int(backbone.name.split(":")[2])]
    torch.testing.assert_close(tokens, expected)


@pytest.mark.parametrize("name", ["timm:test_vit", "timm:test_resnet"])
def test_weights_of_another_network_are_refused(name, tmp_path):
    other = timm.create_model("test_efficientnet")
    file = tmp_path / "weights.pth"
    torch.save(other.state_dict(), file)
    with pytest.raises(ModelError, match="do not fit"):
        create_backbone(name, weights=file)


def test_weights_of_another_patch_size_are_refused(tmp_path):
    state = timm.create_model("test_vit").state_dict()
    state["patch_embed.proj.weight"] = torch.zeros(64, 3, 8, 8)
    file = tmp_path / "weights.pth"
    torch.save(state, file)
    with pytest.raises(ModelError, match="patch embedding"):
        create_backbone("timm:test_vit", weights=file)


def test_size_multiple_of_a_network_is_respected():
    net = nn.Conv2d(3, 4, 8, 8)
    net.size_multiple = 32
    backbone = Backbone(net, "own", channels=4, stride=8)
    assert backbone(torch.rand(1, 3, 50, 90)).keys.shape == (1, 4, 8, 12)

"""Models by name or file: every layout that loads, every file that is refused, and what is said about it."""

from __future__ import annotations

import argparse
import collections
import hashlib
import http.server
import json
import os
import pickle
import threading

import pytest
import timm
import torch
from golden import (
    RELEASED_PARAMETERS,
    RELEASED_TENSORS,
    as_grid,
    assert_golden,
    encoder_state,
    released_shapes,
    released_state,
)
from safetensors.torch import save_file

from smtc_model import assets
from smtc_model.backbone import BACKBONES, create_backbone
from smtc_model.checkpoint import read_checkpoint, read_metadata, write_checkpoint
from smtc_model.config import ModelConfig
from smtc_model.errors import ModelError
from smtc_model.hub import fetch_timm_weights
from smtc_model.smtc import SMTC
from smtc_model.weights import (
    convert_checkpoint,
    list_models,
    load_backbone_weights,
    load_model,
    resolve_device,
    save_model,
)

SMALL = ModelConfig(num_semantics=5, num_instances=3, correlation_grid=4, seed=7)
DINO = "vit_small_patch16_224.dino"


@pytest.fixture(scope="module")
def released_file(tmp_path_factory):
    """A checkpoint laid out as the authors released theirs, filled by the golden recipe."""
    file = tmp_path_factory.mktemp("released") / "checkpoint.pth"
    parameter = torch.nn.Parameter(torch.zeros(2))
    optimiser = torch.optim.AdamW([parameter])
    parameter.square().sum().backward()
    optimiser.step()
    torch.save(
        {
            "iteration": 10000,
            "model_state_dict": collections.OrderedDict(released_state()),
            "optimizer_state_dict": optimiser.state_dict(),
            "loss": 0.5,
        },
        file,
    )
    return file


@pytest.fixture
def small_model() -> SMTC:
    torch.manual_seed(0)
    return SMTC.with_new_head(create_backbone("compact"), SMALL).eval()


class RunsCode:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_converted_release_gives_the_golden_values(released_file, tmp_path, golden):
    converted = tmp_path / "smtc.safetensors"
    convert_checkpoint(released_file, converted)
    model = load_model(converted, device="cpu")
    state, metadata = read_checkpoint(converted)
    assert len(state) == RELEASED_TENSORS
    assert sum(value.numel() for value in state.values()) == RELEASED_PARAMETERS
    assert metadata["backbone"] == DINO
    assert model.config.official_compat
    assert model.trained
    assert model.has_slots
    assert not model.training
    assert model.backbone.position_resampling == "dino"
    with torch.no_grad():
        features = model.backbone.encode(golden["enc224_image"])
        output = model.group(as_grid(golden["student_keys"]), noise=golden["student_noise"], iterations=3)
    assert_golden(features.keys, golden, "enc224_keys")
    assert_golden(features.tokens, golden, "enc224_tokens")
    assert_golden(output.semantic_slots, golden, "student_semantic_slots")
    assert_golden(output.instance_logits, golden, "student_instance_logits")
    assert_golden(output.embeddings, golden, "student_instance_embedding")
    assert load_model(released_file, device="cpu").hash == model.hash


def test_release_with_tensors_missing_is_refused(tmp_path):
    state = {name: torch.zeros(1) for name in released_shapes()}
    del state["encoder.blocks.3.mlp.fc1.bias"]
    file = tmp_path / "checkpoint.pth"
    torch.save({"model_state_dict": state}, file)
    with pytest.raises(ModelError, match="has 173 of 174 tensors"):
        load_model(file, device="cpu")


def test_only_a_release_converts(tmp_path, small_model):
    file = tmp_path / "ours.safetensors"
    save_model(small_model, file)
    with pytest.raises(ModelError, match="not a released SMTC checkpoint"):
        convert_checkpoint(file, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {
            "teacher": {f"backbone.{name}": value for name, value in state.items()}
            | {"head.mlp.0.weight": torch.zeros(2, 2)},
            "student": {f"module.backbone.{name}": torch.zeros_like(value) for name, value in state.items()},
            "epoch": 100,
            "args": argparse.Namespace(arch="vit_small", patch_size=16),
        },
        lambda state: {
            "student": {f"module.backbone.{name}": value for name, value in state.items()}
            | {"module.head.mlp.0.weight": torch.zeros(2, 2)}
        },
    ],
    ids=["backbone", "teacher-and-student", "student-in-parallel"],
)
def test_dinos_own_checkpoints_load(wrap, tmp_path, golden):
    file = tmp_path / "dino_deitsmall16_pretrain.pth"
    torch.save(wrap(encoder_state()), file)
    model = load_model(file, device="cpu")
    assert model.backbone.name == DINO
    assert model.backbone.trained
    assert model.trained
    assert not model.has_slots
    with torch.no_grad():
        assert_golden(model.backbone.encode(golden["enc224_image"]).tokens, golden, "enc224_tokens")


def test_backbone_weights_in_the_users_folder_are_found_by_name(no_weights_found, golden):
    save_file(encoder_state(), no_weights_found / f"{DINO}.safetensors")
    model = load_model(DINO, device="cpu")
    with torch.no_grad():
        assert_golden(model.backbone.encode(golden["enc224_image"]).keys, golden, "enc224_keys")
    rows = {row.name: row for row in list_models()}
    assert rows[DINO].available == "local"
    assert rows["vit_small_patch8_224.dino"].available == "download"


def test_a_name_without_weights_says_what_to_fetch_and_where_to_put_it(no_weights_found, monkeypatch):
    monkeypatch.setattr("huggingface_hub.hf_hub_url", lambda *_: "http://127.0.0.1:9/model.safetensors")
    with pytest.raises(ModelError) as refusal:
        load_model(DINO, device="cpu")
    said = str(refusal.value)
    assert "'model.safetensors' of the hub repository 'timm/vit_small_patch16_224.dino'" in said
    assert f"'{no_weights_found / DINO}.safetensors'" in said
    assert "SMTC_WEIGHTS" in said
    assert "\n" not in said


class FakeHub(http.server.BaseHTTPRequestHandler):
    content = b""

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()
        self.wfile.write(self.content)

    def _answer(self):
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub on this machine; returns the class whose ``content`` it serves under every name."""
    import huggingface_hub

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    download = huggingface_hub.hf_hub_download
    monkeypatch.setattr(
        huggingface_hub,
        "hf_hub_download",
        lambda *args, **options: download(*args, endpoint=endpoint, cache_dir=tmp_path / "hub", **options),
    )
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_url", lambda repository, name: f"{endpoint}/{repository}/resolve/main/{name}"
    )
    yield FakeHub
    server.shutdown()
    thread.join()
    server.server_close()


def test_weights_are_fetched_with_progress(hub, no_weights_found, tmp_path):
    trained = timm.create_model("test_vit", num_classes=0).eval()
    save_file(trained.state_dict(), tmp_path / "published.safetensors")
    hub.content = (tmp_path / "published.safetensors").read_bytes()
    seen = []
    backbone = create_backbone("timm:test_vit", progress=lambda done, total: seen.append((done, total)))
    assert backbone.trained
    assert seen[-1] == (len(hub.content), len(hub.content))
    assert torch.equal(backbone.net.norm.weight, trained.norm.weight)
    assert torch.equal(backbone.net.blocks[0].attn.qkv.weight, trained.blocks[0].attn.qkv.weight)


def test_a_download_can_be_cancelled(hub, no_weights_found):
    hub.content = bytes(1000)

    def cancel(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_timm_weights("test_vit.r160_in1k", progress=cancel)


@pytest.mark.parametrize("half", [False, True])
def test_saved_models_load_as_they_were(small_model, tmp_path, half):
    file = tmp_path / "mine.safetensors"
    save_model(small_model, file, licence="MIT", provenance={"clips": 3}, half=half)
    loaded = load_model(file, device="cpu")
    assert loaded.name == "mine"
    assert loaded.config == SMALL
    assert loaded.backbone.options == small_model.backbone.options
    assert not loaded.trained
    assert read_metadata(file)["provenance"] == {"clips": 3}
    if half:
        assert file.stat().st_size < 0.6 * sum(p.numel() * 4 for p in small_model.parameters())
        assert loaded.head.transport_proj.weight.dtype == torch.float32
        assert loaded.hash == load_model(file, device="cpu").hash
    else:
        assert loaded.hash == small_model.hash
        frames = torch.rand(1, 2, 3, 32, 32)
        with torch.no_grad():
            expected = small_model.forward_clip(frames).instance_masks
            torch.testing.assert_close(loaded.forward_clip(frames).instance_masks, expected)


@pytest.mark.parametrize("name", ["timm:test_resnet:2", "timm:test_vit", "colour-texture"])
def test_a_slot_head_on_any_backbone_is_saved_with_it(name, tmp_path):
    model = SMTC.with_new_head(create_backbone(name, pretrained=False), SMALL).eval()
    model.trained = True
    save_model(model, tmp_path / "mine.safetensors")
    loaded = load_model(tmp_path / "mine.safetensors", device="cpu")
    assert loaded.trained
    assert loaded.hash == model.hash
    assert loaded.head.channels == model.backbone.channels


def test_a_slot_head_saved_alone_takes_the_backbones_own_weights(no_weights_found, tmp_path):
    trained = timm.create_model("test_vit", num_classes=0)
    torch.save(trained.state_dict(), no_weights_found / "test_vit.pth")
    model = SMTC.with_new_head(create_backbone("timm:test_vit"), SMALL).eval()
    save_model(model, tmp_path / "head.safetensors", include_backbone=False)
    state, _ = read_checkpoint(tmp_path / "head.safetensors")
    assert not any(name.startswith("backbone.") for name in state)
    assert load_model(tmp_path / "head.safetensors", device="cpu").hash == model.hash
    torch.save(timm.create_model("test_vit", num_classes=0).state_dict(), no_weights_found / "test_vit.pth")
    with pytest.raises(ModelError, match="trained on other weights of 'timm:test_vit'"):
        load_model(tmp_path / "head.safetensors", device="cpu")


def test_a_slot_head_alone_is_not_saved_where_nothing_else_has_the_backbone(small_model, tmp_path):
    with pytest.raises(ModelError, match="'compact' has no published weights"):
        save_model(small_model, tmp_path / "head.safetensors", include_backbone=False)


def test_saving_replaces_a_file_only_when_complete(small_model, tmp_path, monkeypatch):
    file = tmp_path / "mine.safetensors"
    save_model(small_model, file)
    before = file.read_bytes()

    def disk_full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    small_model.head.transport_proj.bias.data += 1
    with pytest.raises(OSError, match="No space left"):
        save_model(small_model, file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_weights_of_our_own_backbone_load_from_a_model_or_a_bare_network(small_model, tmp_path):
    save_model(small_model, tmp_path / "model.safetensors")
    save_file(small_model.backbone.net.state_dict(), tmp_path / "net.safetensors")
    for file in ("model.safetensors", "net.safetensors"):
        backbone = create_backbone("compact", weights=tmp_path / file)
        assert torch.equal(backbone.net.project.weight, small_model.backbone.net.project.weight)
    with pytest.raises(ModelError, match="weights of backbone 'compact', not of 'colour-texture'"):
        load_backbone_weights(create_backbone("colour-texture"), tmp_path / "model.safetensors")


def test_malicious_pickle_is_refused_and_not_run(tmp_path):
    marker = tmp_path / "ran"
    for legacy in (False, True):
        file = tmp_path / "evil.pth"
        content = {"model_state_dict": {"weight": torch.zeros(2)}, "extra": RunsCode(marker)}
        torch.save(content, file, _use_new_zipfile_serialization=not legacy)
        with pytest.raises(ModelError, match=r"evil.pth' is refused: .* could run code"):
            load_model(file, device="cpu")
        assert not marker.exists()
    file.write_bytes(pickle.dumps(RunsCode(marker)))
    with pytest.raises(ModelError, match="no weights file"):
        load_model(file, device="cpu")
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_truncated_files_are_refused(tmp_path, kind, share):
    file = tmp_path / ("weights.safetensors" if kind == "safetensors" else "weights.pth")
    state = {"weight": torch.rand(100, 100)}
    if kind == "safetensors":
        save_file(state, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=kind == "zip")
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match="cut short") as refusal:
        load_model(file, device="cpu")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.pth", b"", "is empty"),
        ("a.pth", b"<html>Not found</html>", "no weights file"),
        ("a.safetensors", b"<html>Not found</html>", "of another kind"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "no weights file"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=reason):
        load_model(tmp_path / name, device="cpu")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([torch.zeros(2)], "holds no weights but a list"),
        ({"epoch": 3}, "not one tensor"),
        ({"layer.weight": torch.zeros(2, 2)}, "1 tensors of an unknown network"),
    ],
)
def test_checkpoints_without_a_known_network_are_refused(tmp_path, content, reason):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(ModelError, match=reason):
        load_model(tmp_path / "a.pth", device="cpu")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 99}, "newer version"),
        ({"backbone": "nonsense"}, "no backbone called 'nonsense'"),
        ({"config": {"colour": 1}}, "unknown model settings"),
        ({"config": {**SMALL.to_dict(), "num_semantics": 6}}, "another shape"),
        ({"config": None}, "also has"),
        ({"includes_backbone": None}, "other weights"),
        ({"backbone_options": {"nonsense": 1}}, "can't be used"),
    ],
)
def test_files_whose_description_does_not_fit_are_refused(small_model, tmp_path, change, reason):
    file = tmp_path / "mine.safetensors"
    save_model(small_model, file)
    state, metadata = read_checkpoint(file)
    write_checkpoint(file, state, metadata | change)
    with pytest.raises(ModelError, match=reason):
        load_model(file, device="cpu")


@pytest.mark.parametrize("description", ["[1]", "{"])
def test_a_description_that_is_no_json_object_is_refused(tmp_path, description):
    file = tmp_path / "mine.safetensors"
    save_file({"a": torch.zeros(1)}, file, metadata={"smtc": description})
    with pytest.raises(ModelError, match="damaged"):
        load_model(file, device="cpu")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("colour-textur", "did you mean 'colour-texture'"),
        ("no_such_folder/model.safetensors", "there is no weights file"),
        ("missing.pth", "there is no weights file"),
    ],
)
def test_unknown_names_are_refused(no_weights_found, name, reason):
    with pytest.raises(ModelError, match=reason):
        load_model(name, device="cpu")


def test_unreadable_file_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "a.pth"
    torch.save({"a": torch.zeros(1)}, file)

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(file), "open", denied)
    with pytest.raises(ModelError, match="permissions"):
        load_model(file, device="cpu")


def test_default_is_the_bundled_model_that_says_so_else_the_untrained_one(no_weights_found, small_model):
    model = load_model(device="cpu")
    assert (model.name, model.trained) == ("colour-texture", False)
    bundled = assets.bundled_weights_folder()
    save_model(small_model, bundled / "other.safetensors")
    save_model(small_model, bundled / "best.safetensors", default=True, licence="MIT", description="small")
    save_model(small_model, no_weights_found / "mine.safetensors", default=True)
    (bundled / "broken.safetensors").write_bytes(b"nonsense")
    assert load_model(device="cpu").name == "best"
    assert load_model("mine", device="cpu").hash == small_model.hash
    rows = list_models()
    checkpoints = [(row.name, row.available, row.default) for row in rows if row.kind == "checkpoint"]
    assert checkpoints == [("best", "bundled", True), ("other", "bundled", False), ("mine", "local", False)]
    assert rows[0].licence == "MIT"
    assert rows[0].description == "small"
    assert [row.name for row in rows if row.kind == "backbone"] == list(BACKBONES)
    assert sum(row.default for row in rows) == 1


def test_metadata_is_one_json_document(small_model, tmp_path):
    save_model(small_model, tmp_path / "mine.safetensors")
    content = (tmp_path / "mine.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["smtc"])["backbone"] == "compact"


def test_devices_by_name():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device(torch.device("cpu")) == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ModelError, match="no device 'gpu'"):
        resolve_device("gpu")
    with pytest.raises(ModelError, match="'cuda:99' is not there"):
        resolve_device("cuda:99")
    with pytest.raises(ModelError, match="not supported"):
        resolve_device("meta")

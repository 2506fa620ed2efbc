"""Turn the result of a training run into the weights that travel with the package.

    python tests/benchmarks/train_bundle.py RUN/model.safetensors assets/weights/smtc-compact.safetensors

If the destination exists and the source has the same backbone with something trained beside it (a slot head,
the foreground network), the provenance of all parts is kept.
Stores half precision, marks the file as the default of `load_model`, and checks that what comes back gives
the same features to within half precision.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from smtc_model.backbone import create_backbone
from smtc_model.checkpoint import read_metadata
from smtc_model.smtc import SMTC, backbone_hash
from smtc_model.weights import load_model, save_model


def with_colour(model: SMTC, share: float) -> SMTC:
    """The same learned features with another share of colour; a slot head does not survive it."""
    backbone = create_backbone(model.backbone.name, options={**model.backbone.options, "colour_share": share})
    backbone.load_state_dict(model.backbone.state_dict())
    backbone.trained = model.trained
    return SMTC(backbone, name=model.name, trained=model.trained).eval()


PARTS = {"smtc": "slots", "foreground": "foreground"}
"""What each objective trains beside a backbone that stays as it is."""


def told_of(path: Path) -> dict:
    """The provenance in a file."""
    return (read_metadata(path) or {}).get("provenance", {})


def with_older_parts(model: SMTC, destination: Path, provenance: dict) -> dict:
    """Provenance of the destination's parts and of the one trained now, if `model` has the same backbone."""
    if backbone_hash(load_model(destination, device="cpu").backbone) != backbone_hash(model.backbone):
        return provenance
    before = told_of(destination)
    parts = before if "backbone" in before else {"backbone": before}
    return {**parts, PARTS[provenance["objective"]]: provenance}


def named(told: dict) -> dict:
    """Provenance of a part with the name of the backbone's file in place of where it lay."""
    if "backbone" not in told.get("config", {}):
        return told
    return {**told, "config": {**told["config"], "backbone": Path(told["config"]["backbone"]).name}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("destination", type=Path)
    parser.add_argument("--description", default="compact backbone, trained without labels on real video")
    parser.add_argument("--colour-share", type=float, help="as of CompactNet; default: the source's")
    parser.add_argument(
        "--backbone-run", type=Path, help="file whose provenance tells of the source's backbone"
    )
    parser.add_argument("--foreground-from", type=Path, help="take the foreground network of this model")
    parser.add_argument("--not-default", action="store_true", help="only used when it is named")
    args = parser.parse_args()
    model = load_model(args.source, device="cpu")
    if args.colour_share is not None:
        model = with_colour(model, args.colour_share)
    provenance = told_of(args.source)
    if args.backbone_run is not None:
        provenance = {"backbone": told_of(args.backbone_run), PARTS[provenance["objective"]]: provenance}
    if args.foreground_from is not None:
        # It keeps a copy of what it took from the backbone, so that any backbone may stand beside it.
        model.foreground = load_model(args.foreground_from, device="cpu").foreground
        provenance["foreground"] = told_of(args.foreground_from)["foreground"]
    if provenance.get("objective") in PARTS and args.destination.is_file():
        provenance = with_older_parts(model, args.destination, provenance)
    provenance = {name: named(part) if isinstance(part, dict) else part for name, part in provenance.items()}
    save_model(
        model,
        args.destination,
        licence="MIT",
        description=args.description,
        provenance=provenance,
        default=not args.not_default,
        half=True,
    )
    frames = torch.rand(1, 3, 96, 160, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = model.encode(frames).keys
        after = load_model(args.destination, device="cpu").encode(frames).keys
    cosine = torch.nn.functional.cosine_similarity(before, after, dim=1).min()
    if cosine < 0.999:
        raise SystemExit(f"half precision changes the features: smallest cosine {cosine:.4f}")
    print(f"{args.destination}: {args.destination.stat().st_size / 1e6:.2f} MB, smallest cosine {cosine:.5f}")


if __name__ == "__main__":
    main()

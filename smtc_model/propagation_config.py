"""Settings of label propagation and the named presets, the published protocols among them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .matching import Window

MOST_LABEL_CHANNELS = 384
"""Labels times cells that a token remembers at most; more labels get fewer cells."""

_NEAR, _FAR = Window(8), Window(12)


def mix(first: float, second: float, share: float) -> float:
    """Linear between the two: the first at share 0, the second at 1."""
    return (1 - share) * first + share * second


@dataclass(frozen=True)
class PropagationConfig:
    """How labels travel. Lengths are in tokens (cells of the backbone's stride) unless they say otherwise.

    Input
        short_side_px: frames are resized to this short side before the features; None: native size.
        size_multiple_px: sides are rounded to multiples of this; None: of the backbone's stride.
        features: "keys", "tokens" (last block before its norm) or "normed".
        feature_stride: the feature map is enlarged (bilinear) to this stride if it is coarser; None: its own.
    Memory
        recent_frames: last n frames kept. max_keyframes: permanent ones kept, the nearest in time.
        pad_with_first: before frame n, copies of the first frame fill the memory (CRW).
        label_grid: how keyframe labels reach the token grid: "nearest", "bilinear" or "area".
        label_cells: a token remembers its labels in so many cells along each side, and votes for those of
            another one to one, so that what is thinner than a token keeps its form.
    Matching
        window: of recent frames. keyframe_window: of keyframes. top_k, temperature: of the vote.
        follow_motion: windows of keyframes older than the recent frames are centred where optical flow says
            that the position came from.
    Fusion and refinement; everything below is only used where `refine` is True
        refine: fuse matches, the labels warped by optical flow and the target model on a grid of half the
            input's resolution, and follow the image's edges. Off: the published output.
        minmax: rescale each channel to 0..1 before the argmax (DINO).
        match_weight, warp_weight, target_weight: exponents of the three in their product, as long as the
            flow does not lead back to its start for less than flow_lost[0] of what is labelled. From
            flow_lost[1] on they are match_weight, 0 and lost_target_weight, linear between.
        target_floor: smallest probability that the target model may give: it does not know where things are,
            so a sure vote has to outweigh it.
        target_gain: how much steeper than its regression the target model's probabilities are.
        target_scale: cells of the target model along each side of a token.
        target_texture, target_colour: weights of colour-texture features and of plain colour.
        target_features: random features; target_bandwidth: of the kernel; target_ridge: regularisation.
        target_every: of so many propagated frames one is learnt, and each where flow loses more than
            flow_lost[0] of what is labelled.
        target_rate: weight of a propagated frame against a keyframe; target_decay: share of the propagated
            past that is kept per frame.
        distance_weight: fall of a label's logarithm per token of distance from where it is expected;
            lost_distance_weight: the same where flow is lost, linear between as above.
        search_lost: objects that went out of sight are looked for in the whole frame.
        remember_vote: the memory keeps the plain vote where fusion names the same winner.
        guide_radius: in cells of the fine grid; guide_epsilon: of the guided filter, for Lab / 100.
    """

    short_side_px: int | None = 480
    size_multiple_px: int | None = None
    features: str = "keys"
    feature_stride: int | None = None
    recent_frames: int = 4
    max_keyframes: int = 8
    pad_with_first: bool = False
    label_grid: str = "area"
    label_cells: int = 4
    window: Window = _NEAR
    keyframe_window: Window = _FAR
    top_k: int = 5
    temperature: float = 0.1
    follow_motion: bool = True
    refine: bool = True
    minmax: bool = False
    match_weight: float = 2.0
    warp_weight: float = 0.25
    target_weight: float = 1.5
    lost_target_weight: float = 6.0
    flow_lost: tuple[float, float] = (0.1, 0.3)
    target_floor: float = 0.02
    target_gain: float = 1.5
    target_scale: int = 2
    target_texture: float = 1.5
    target_colour: float = 0.5
    target_features: int = 768
    target_bandwidth: float = 1.5
    target_ridge: float = 1e-2
    target_every: int = 2
    target_rate: float = 0.1
    target_decay: float = 0.95
    distance_weight: float = 1.0
    lost_distance_weight: float = 0.5
    search_lost: bool = True
    remember_vote: bool = True
    guide_radius: int = 1
    guide_epsilon: float = 1e-4

    def __post_init__(self) -> None:
        for name, allowed in (
            ("features", ("keys", "tokens", "normed")),
            ("label_grid", ("nearest", "bilinear", "area")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        for name in ("label_cells", "recent_frames", "max_keyframes", "top_k", "target_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        if not 0 <= self.flow_lost[0] < self.flow_lost[1]:
            raise ValueError(f"flow_lost must rise from 0 or more, got {self.flow_lost!r}")
        if self.short_side_px is not None and self.short_side_px < 1:
            raise ValueError(f"short_side_px must be at least 1 or None, got {self.short_side_px!r}")
        if self.temperature <= 0:
            raise ValueError(f"temperature must be positive, got {self.temperature!r}")

    def for_labels(self, count: int) -> PropagationConfig:
        """With as many cells for each of `count` labels, the background among them, as memory allows."""
        cells = self.label_cells
        while cells > 1 and count * cells**2 > MOST_LABEL_CHANNELS:
            cells //= 2
        return replace(self, label_cells=cells)

    def lostness(self, share: float) -> float:
        """0 up to flow_lost[0], 1 from flow_lost[1] on; share: of what is labelled that flow loses."""
        least, most = self.flow_lost
        return min(max((share - least) / (most - least), 0.0), 1.0)

    def weights(self, share: float) -> tuple[float, float, float]:
        """Exponents of the match, of the labels that flow warped and of the target model.

        share: of what is labelled, how much flow loses (see `motion.lost`).
        """
        lost = self.lostness(share)
        target = mix(self.target_weight, self.lost_target_weight, lost)
        return self.match_weight, mix(self.warp_weight, 0.0, lost), target


DINO = PropagationConfig(
    short_side_px=480,
    size_multiple_px=64,
    features="normed",
    recent_frames=7,
    label_grid="nearest",
    label_cells=1,
    window=Window(12, "square"),
    keyframe_window=Window(12, "square"),
    top_k=5,
    temperature=0.1,
    follow_motion=False,
    refine=False,
    minmax=True,
)
"""DINO's protocol (Caron et al. 2021); its exp(cos / 0.1) of the top 5, renormalised, is a softmax."""

CRW = PropagationConfig(
    short_side_px=None,
    features="tokens",
    recent_frames=20,
    pad_with_first=True,
    label_grid="bilinear",
    label_cells=1,
    window=Window(7, "disk"),
    keyframe_window=Window(None),
    top_k=7,
    temperature=0.2,
    follow_motion=False,
    refine=False,
)
"""CRW's protocol (Jabri et al. 2020) as the SMTC release runs it at stride 16."""

PRESETS: dict[str, PropagationConfig] = {
    "default": PropagationConfig(),
    "fast": replace(PropagationConfig(), short_side_px=320, target_features=384),
    "best": replace(PropagationConfig(), short_side_px=720, window=Window(12), keyframe_window=Window(18)),
    "dino": DINO,
    "crw": CRW,
    "crw-stride8": replace(CRW, feature_stride=8, window=Window(35, "disk"), top_k=28),
}

"""The bundled backbone's network."""

from __future__ import annotations

import pytest
import torch

from smtc_model.backbone import create_backbone
from smtc_model.colour_texture import ColourTexture
from smtc_model.compact import CompactNet


@pytest.fixture
def net():
    torch.manual_seed(0)
    return CompactNet(widths=(8, 8, 16, 16), depths=(1, 1, 1)).eval()


def test_one_feature_for_each_cell_of_the_stride(net):
    assert net(torch.zeros(2, 3, 48, 80)).shape == (2, net.channels, 6, 10)


def test_sides_that_do_not_divide_are_refused(net):
    with pytest.raises(ValueError, match="multiples of 16"):
        net(torch.zeros(1, 3, 40, 48))


def test_features_move_with_the_picture(net):
    torch.manual_seed(1)
    picture = torch.randn(1, 3, 160, 160)
    with torch.no_grad():
        still, moved = net(picture), net(picture.roll((16, 32), (2, 3)))
    inside = slice(8, 12)  # far from the borders, whose padding the features see
    moved_back = moved.roll((-2, -4), (2, 3))
    torch.testing.assert_close(moved_back[..., inside, inside], still[..., inside, inside])


def test_another_shape_travels_in_the_options():
    options = {"widths": [8, 8, 16, 16], "depths": [1, 1, 2], "colour_share": 0.5}
    backbone = create_backbone("compact", options=options)
    assert backbone.options == options
    assert (
        create_backbone("compact", options=backbone.options).state_dict().keys()
        == backbone.state_dict().keys()
    )


def test_colour_has_the_share_of_the_cosine_that_it_is_given(net):
    mixed = CompactNet(widths=(8, 8, 16, 16), depths=(1, 1, 1), colour_share=0.75).eval()
    mixed.load_state_dict(net.state_dict())
    picture = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))

    def cosines(features):
        flat = torch.nn.functional.normalize(features.flatten(2), dim=1)
        return flat.transpose(1, 2) @ flat

    with torch.no_grad():
        whole, learned, colour = (
            cosines(mixed(picture)),
            cosines(net(picture)),
            cosines(ColourTexture()(picture)),
        )
    torch.testing.assert_close(whole, 0.25 * learned + 0.75 * colour)


def test_a_colour_share_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="colour_share"):
        CompactNet(colour_share=1.0)


@pytest.mark.parametrize(("widths", "depths"), [((8, 8, 8), (1, 1, 1)), ((8, 8, 8, 8), (1, 0, 1))])
def test_impossible_shapes_are_refused(widths, depths):
    with pytest.raises(ValueError, match="positive numbers"):
        CompactNet(widths=widths, depths=depths)

"""Slot attention: golden values of both stages, who competes with whom, where gradients go."""

from __future__ import annotations

import pytest
import torch
from golden import assert_golden

from smtc_model.slots import SlotAttention, objectness, semantic_area, valid_instances


@pytest.fixture
def attention() -> SlotAttention:
    torch.manual_seed(0)
    module = SlotAttention(8, 3)
    torch.nn.init.normal_(module.slots_mu)
    return module


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_both_stages_match_golden_values(golden, released_head, role):
    module = released_head.slot_attention
    keys, values = module.project(golden[f"{role}_fused"][0])
    slots, logits = module.semantic(keys, values, iterations=3)
    assert_golden(slots, golden, f"{role}_semantic_slots")
    assert_golden(logits, golden, f"{role}_semantic_logits")
    area = semantic_area(logits, 0.3, official_compat=True)
    instances, instance_logits = module.instance(keys, values, area, golden[f"{role}_noise"], iterations=3)
    assert_golden(instances, golden, f"{role}_instance_slots")
    assert_golden(instance_logits, golden, f"{role}_instance_logits")
    valid = valid_instances(logits, objectness(slots, instances))
    assert_golden(valid, golden, f"valid_{role}")


def test_validity_filter_matches_golden_values(golden):
    scores = objectness(golden["filter_semantic"], golden["filter_instance"])
    valid = valid_instances(golden["filter_logits"], scores)
    assert_golden(valid, golden, "filter_valid")


def test_one_iteration_by_hand():
    """With identity projections, zero MLP and one slot all attention is uniform: the slot gains the mean."""
    module = SlotAttention(2, 1)
    with torch.no_grad():
        for linear in (module.project_q, module.project_k, module.project_v):
            linear.weight.copy_(torch.eye(2))
            linear.bias.zero_()
        for parameter in module.mlp.parameters():
            parameter.zero_()
    slots = torch.tensor([[[[3.0, 1.0]]]])
    tokens = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
    result, logits = module.attend(slots, tokens, tokens, iterations=1)
    torch.testing.assert_close(result[0, 0, 0], torch.tensor([3.5, 2.0]), atol=1e-4, rtol=0)
    # the slot is layer-normed to (1, -1); logits are divided by sqrt(2)
    torch.testing.assert_close(logits[0, 0, 0], torch.tensor([1.0, -2.0]) / 2**0.5, atol=1e-4, rtol=0)


def test_groups_do_not_compete_with_each_other(attention):
    keys, values = attention.project(torch.randn(2, 10, 8))
    slots = torch.randn(2, 3, 4, 8)
    together, _ = attention.attend(slots, keys, values, iterations=3)
    alone, _ = attention.attend(slots[:, 1:2], keys, values, iterations=3)
    torch.testing.assert_close(together[:, 1:2], alone)


def test_instances_only_read_their_area(attention):
    inputs = torch.randn(1, 10, 8)
    area = torch.zeros(1, 3, 10)
    area[..., :4] = 1
    noise = torch.randn(1, 3, 2, 8)
    before, _ = attention.instance(*attention.project(inputs), area, noise, iterations=3)
    inputs[:, 4:] += 5
    after, _ = attention.instance(*attention.project(inputs), area, noise, iterations=3)
    torch.testing.assert_close(before, after)


def test_an_empty_area_leaves_numbers(attention):
    keys, values = attention.project(torch.randn(1, 10, 8))
    slots, logits = attention.instance(
        keys, values, torch.zeros(1, 3, 10), torch.randn(1, 3, 2, 8), iterations=3
    )
    assert slots.isfinite().all()
    assert logits.isfinite().all()


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_only_the_last_iteration_carries_gradient_and_the_means_get_that_of_the_slots(attention, iterations):
    keys, values = attention.project(torch.randn(2, 10, 8))
    slots, logits = attention.semantic(keys, values, iterations=iterations)
    weight = torch.randn_like(logits)
    gradient = torch.autograd.grad((logits * weight).sum(), attention.slots_mu)[0]

    with torch.no_grad():
        start = attention.slots_mu.squeeze(2).unsqueeze(0).expand(2, -1, -1, -1)
        if iterations > 1:
            start, _ = attention.attend(start, keys, values, iterations=iterations - 1)
    start = start.clone().requires_grad_()
    _, last_logits = attention.attend(start, keys, values, iterations=1)
    expected = torch.autograd.grad((last_logits.squeeze(1) * weight).sum(), start)[0]
    torch.testing.assert_close(gradient.flatten(), expected.sum(dim=0).flatten())
    assert slots.shape == (2, 3, 8)


@pytest.mark.parametrize("reparameterise", [True, False])
def test_the_draw_carries_gradient_only_if_reparameterised(attention, reparameterise):
    keys, values = attention.project(torch.randn(2, 10, 8))
    slots, _ = attention.instance(
        keys,
        values,
        torch.ones(2, 3, 10),
        torch.randn(2, 3, 2, 8),
        iterations=3,
        reparameterise=reparameterise,
    )
    slots.square().sum().backward()
    if reparameterise:
        assert attention.slots_sigma.grad.abs().min() > 0
        assert attention.slots_mu.grad.abs().min() > 0
    else:
        assert attention.slots_sigma.grad is None
        assert attention.slots_mu.grad is None


def test_area_is_relative_to_the_winner_and_never_empty():
    logits = torch.tensor([[2.0, 0.0], [2.0 - 1.0, 5.0], [0.0, 4.5]])  # log(0.3) = -1.204
    assert semantic_area(logits, 0.3).tolist() == [[1, 0], [1, 1], [0, 1]]
    assert semantic_area(logits - 100, 0.3).equal(semantic_area(logits, 0.3))
    assert semantic_area(torch.zeros(16, 4), 0.3).min() == 1


def test_official_area_is_a_threshold_on_raw_logits():
    logits = torch.tensor([[0.31, 0.29], [-1.0, 2.0]])
    assert semantic_area(logits, 0.3, official_compat=True).tolist() == [[1, 0], [0, 1]]


def test_validity_by_hand():
    logits = torch.tensor(
        [[10.0, 10.0, 0.0, 0.0, 0.0], [0.0, 0.0, 10.0, 10.0, 0.0], [0.0, 0.0, 0.0, 0.0, 10.0]]
    )
    scores = torch.tensor(
        [[0.6, 0.5], [0.4, 0.9], [0.9, 0.9]]
    )  # shares .4, .4, .2; both limits are exclusive
    expected = [[True, False], [False, True], [False, False]]
    assert valid_instances(logits, scores).tolist() == expected

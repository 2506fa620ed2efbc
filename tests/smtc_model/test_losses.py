"""The three losses and Sinkhorn: golden values, hand-computed cases, where gradients go."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from golden import as_grid, assert_golden
from scipy.optimize import linear_sum_assignment

from smtc_model.config import ModelConfig
from smtc_model.losses import (
    consistency_loss,
    distinctness_loss,
    instance_loss,
    match_instances,
    smtc_losses,
)
from smtc_model.sinkhorn import sinkhorn
from smtc_model.smtc import SlotHead


def test_consistency_matches_golden_value(golden):
    student, teacher, keys = (
        as_grid(golden[name])
        for name in ("student_semantic_logits", "teacher_semantic_logits", "teacher_keys")
    )
    assert_golden(consistency_loss(student, teacher, keys), golden, "loss_consistency")


def test_distinctness_matches_golden_value(golden):
    student = as_grid(golden["student_semantic_logits"])
    assert_golden(distinctness_loss(student), golden, "loss_distinctness")


def test_instance_loss_matches_golden_value(golden):
    loss = instance_loss(
        golden["student_instance_embedding"],
        golden["teacher_instance_embedding"],
        golden["instance_valid_student"],
        golden["instance_valid_teacher"],
    )
    assert_golden(loss, golden, "loss_instance")


def test_sinkhorn_matches_golden_plan(golden):
    plan = sinkhorn(golden["sinkhorn_cost"], golden["sinkhorn_mu"], golden["sinkhorn_nu"])
    torch.testing.assert_close(plan, golden["sinkhorn_plan"], rtol=1e-3, atol=1e-7)


def test_sinkhorn_plan_has_the_marginals():
    generator = torch.Generator().manual_seed(0)
    cost = torch.rand(2, 5, 7, generator=generator)
    source, target = torch.rand(2, 5, generator=generator) + 0.1, torch.rand(2, 7, generator=generator) + 0.1
    plan = sinkhorn(cost, source, target, epsilon=0.2, iterations=200)
    torch.testing.assert_close(plan.sum(dim=2), source / source.sum(dim=1, keepdim=True))
    torch.testing.assert_close(plan.sum(dim=1), target / target.sum(dim=1, keepdim=True))


def test_sinkhorn_moves_mass_along_free_ways_even_at_the_largest_cost_of_cosines():
    cost = 2 * (1 - torch.eye(4)).unsqueeze(0)
    plan = sinkhorn(cost, torch.ones(1, 4), torch.ones(1, 4))
    torch.testing.assert_close(plan[0], torch.eye(4) / 4)


def test_consistency_follows_the_moving_object():
    """An object moves one token: following it costs nothing, staying in place does."""
    where = torch.tensor([[0, 1, 1, 1], [1, 0, 1, 1]])  # object 0 at token 0, then at token 1
    keys = F.one_hot(where, 2).float().transpose(1, 2).view(1, 2, 2, 1, 4)
    follows = 20 * keys
    stays = follows[:, :1].expand(1, 2, 2, 1, 4)
    assert consistency_loss(follows, follows, keys) < 0.01
    assert consistency_loss(stays, stays, keys) > 1


def test_consistency_is_the_mean_over_ordered_pairs():
    torch.manual_seed(1)
    student, teacher, keys = (
        torch.randn(2, 3, 4, 2, 3),
        torch.randn(2, 3, 4, 2, 3),
        torch.randn(2, 3, 5, 2, 3),
    )
    pairs = [
        consistency_loss(student[b : b + 1, [i, j]], teacher[b : b + 1, [i, j]], keys[b : b + 1, [i, j]])
        for b in range(2)
        for i, j in itertools.combinations(range(3), 2)
    ]
    torch.testing.assert_close(consistency_loss(student, teacher, keys), torch.stack(pairs).mean())


def test_consistency_needs_two_frames():
    one = torch.randn(1, 1, 2, 3, 3)
    with pytest.raises(ValueError, match="at least 2 frames, got 1"):
        consistency_loss(one, one, one)


def test_distinctness_of_equal_and_of_disjoint_maps():
    torch.testing.assert_close(distinctness_loss(torch.zeros(1, 2, 3, 4, 4)), torch.tensor(1.0))
    disjoint = 100 * torch.eye(3).view(1, 1, 3, 3, 1)
    assert distinctness_loss(disjoint) < 1e-6
    assert distinctness_loss(torch.zeros(1, 2, 1, 4, 4)) == 0


@pytest.mark.parametrize("num", [1, 4, 7])
def test_matching_is_optimal(num):
    cost = torch.rand(3, 2, num, num, generator=torch.Generator().manual_seed(num))
    match = match_instances(cost)
    assert match.sort(dim=-1).values.equal(torch.arange(num).expand(3, 2, num))
    totals = cost.gather(-1, match.unsqueeze(-1)).sum(dim=(-1, -2))
    for index in itertools.product(range(3), range(2)):
        matrix = cost[index].numpy()
        assert totals[index].item() == pytest.approx(matrix[linear_sum_assignment(matrix)].sum())


def test_instance_loss_by_hand():
    """One clip of one frame, one semantic, two instances, swapped in the teacher."""
    student = torch.tensor([[1.0, 0.0], [0.8, 0.6]]).view(1, 1, 1, 2, 2)
    teacher = student.flip(3)
    valid = torch.ones(1, 1, 1, 2)
    torch.testing.assert_close(instance_loss(student, teacher, valid, valid), torch.tensor(0.3 - 1.0))
    only_first = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    # the first student's match is the teacher's second, which is not valid: only the push is left
    torch.testing.assert_close(instance_loss(student, teacher, only_first, only_first), torch.tensor(0.3))


def test_instance_loss_without_valid_instances_is_zero():
    embeddings = F.normalize(torch.randn(1, 2, 3, 4, 5), dim=-1).requires_grad_()
    none = torch.zeros(1, 2, 3, 4, dtype=torch.bool)
    loss = instance_loss(embeddings, embeddings, none, none)
    loss.backward()
    assert loss == 0
    assert embeddings.grad.abs().max() == 0


def test_losses_reach_the_student_but_not_the_teacher():
    torch.manual_seed(0)
    config = ModelConfig(num_semantics=3, num_instances=2, correlation_grid=4)
    student, teacher = SlotHead(8, config).train(), SlotHead(8, config).train()
    keys = torch.randn(2, 3, 8, 5, 4)
    everywhere = torch.ones(2, 3, 3, 2, dtype=torch.bool)
    losses = smtc_losses(student(keys)._replace(valid=everywhere), teacher(keys)._replace(valid=everywhere))
    torch.testing.assert_close(losses.total, losses.consistency + losses.distinctness + losses.instance)
    losses.total.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    without = [name for name, parameter in student.named_parameters() if parameter.grad is None]
    assert without == []
    assert student.slot_attention.slots_sigma.grad.abs().max() > 0


@pytest.mark.parametrize("loss", [consistency_loss, distinctness_loss, instance_loss])
def test_losses_do_not_change_under_autocast(loss):
    torch.manual_seed(0)
    logits, keys = torch.randn(1, 3, 4, 5, 5), torch.randn(1, 3, 8, 5, 5)
    embeddings = F.normalize(torch.randn(1, 3, 4, 2, 8), dim=-1)
    everywhere = torch.ones(1, 3, 4, 2, dtype=torch.bool)
    arguments = {
        consistency_loss: (logits, logits, keys),
        distinctness_loss: (logits,),
        instance_loss: (embeddings, embeddings, everywhere, everywhere),
    }[loss]
    with torch.autocast("cpu", torch.bfloat16):
        half = loss(*arguments)
    assert torch.equal(half, loss(*arguments))


def test_gradient_steps_lower_the_losses():
    torch.manual_seed(0)
    config = ModelConfig(num_semantics=4, num_instances=2, correlation_grid=4)
    head = SlotHead(16, config).train()
    keys = 3 * torch.randn(1, 1, 16, 4, 4).expand(2, 3, -1, -1, -1)
    optimiser = torch.optim.Adam(head.parameters(), lr=3e-3)
    history = []
    for _ in range(40):
        output = head(keys)
        loss = smtc_losses(output, output).total
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(loss.item())
    assert sum(history[-5:]) < 0.8 * sum(history[:5])

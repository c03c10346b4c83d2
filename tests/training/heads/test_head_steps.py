"""A row of a batched step has the bits that it has alone, whatever the shape."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.optim import create_optimizer_v2
from torch import Generator, nn
from torch.nn.functional import cross_entropy

from evoft.recipe import Recipe
from evoft.training.heads.company import HEAD_OPTIMIZERS
from evoft.training.heads.judging import Judges, first_highest
from evoft.training.heads.memory import Weights, column, multiply, room
from evoft.training.heads.optimizers import _STEPS, Group

CPU = torch.device("cpu")

SHAPES = st.tuples(
    st.integers(2, 9),  # heads
    st.integers(1, 70),  # batch
    st.one_of(st.integers(1, 80), st.sampled_from([96, 192, 256, 257, 768])),  # features
    st.one_of(st.integers(2, 20), st.sampled_from([37, 100, 129])),  # classes
    st.integers(0, 10**6),  # seed
)


def test_the_optimizers_that_need_no_torch_to_name_are_those_there_are():
    assert set(_STEPS) == HEAD_OPTIMIZERS


def stepped_all(weights, recipes, lr, at):
    for group in Group.of(weights, recipes):
        group.step(group.course(lr, 0), at)


def filled(tensor, generator):
    return tensor.copy_(torch.randn(tensor.shape, generator=generator))


@settings(max_examples=150, deadline=None)
@given(SHAPES)
def test_products_are_the_same_for_one_head_as_for_many(shape):
    heads, batch, features, classes, seed = shape
    generator = Generator().manual_seed(seed)
    inputs = filled(room(heads, batch, features, CPU)[1], generator)
    weight = filled(room(heads, classes, features, CPU)[1], generator)
    errors = filled(room(heads, classes, batch, CPU)[1], generator)

    def products(first, last):
        logits = room(last - first, classes, batch, CPU)[1]
        slopes = room(last - first, classes, features, CPU)[1]
        multiply(weight[first:last], inputs[first:last].transpose(1, 2), logits)
        multiply(errors[first:last], inputs[first:last], slopes)
        return logits, slopes

    together = products(0, heads)
    torch.testing.assert_close(together[0], weight @ inputs.transpose(1, 2), rtol=1e-3, atol=1e-3)
    for head in range(heads):
        for one, many in zip(products(head, head + 1), together, strict=True):
            assert torch.equal(one[0], many[head])


@settings(max_examples=150, deadline=None)
@given(SHAPES)
def test_what_else_is_done_with_logits_is_the_same_for_one_head_as_for_many(shape):
    heads, batch, _features, classes, seed = shape
    generator = Generator().manual_seed(seed)
    logits = filled(room(heads, classes, batch, CPU)[1], generator)
    targets = torch.rand(heads, classes, batch, generator=generator)

    def made(first, last):
        part = room(last - first, classes, batch, CPU)[1].copy_(logits[first:last])
        logs = torch.log_softmax(part, dim=1)
        losses = (targets[first:last] * logs).sum(dim=(1, 2)).div_(-batch)
        errors = torch.exp(logs, out=part).sub_(targets[first:last]).div_(batch)
        return logs, losses, errors, errors.sum(dim=2), first_highest(logits[first:last])

    together = made(0, heads)
    assert torch.equal(together[4], logits.argmax(dim=1))
    for head in range(heads):
        for one, many in zip(made(head, head + 1), together, strict=True):
            assert torch.equal(one[0], many[head])


@pytest.mark.parametrize("opt", sorted(HEAD_OPTIMIZERS))
@settings(max_examples=25, deadline=None)
@given(SHAPES)
def test_steps_are_the_same_for_one_head_as_for_many(opt, shape):
    heads, _batch, features, classes, seed = shape
    generator = Generator().manual_seed(seed)
    start = torch.randn(heads, classes, features, generator=generator)
    biases = torch.randn(heads, classes, generator=generator)
    slopes = torch.randn(3, heads, classes, features + 1, generator=generator)
    numbers = torch.rand(3, heads, generator=generator).tolist()
    recipes = [
        Recipe("m", 1, opt=opt, lr=lr, weight_decay=decay, momentum=momentum)
        for lr, decay, momentum in zip(*numbers, strict=True)
    ]

    def stepped(first, last):
        weights = Weights.of(list(start[first:last]), list(biases[first:last]))
        lr = column([recipe.lr for recipe in recipes[first:last]], CPU).expand(3, -1, 1)
        for number, slope in enumerate(slopes):
            weights.matrix(weights.slopes).copy_(slope[first:last, :, :-1])
            weights.bias(weights.slopes).copy_(slope[first:last, :, -1])
            stepped_all(weights, recipes[first:last], lr, number)
        return weights.values

    together = stepped(0, heads)
    for head in range(heads):
        assert torch.equal(stepped(head, head + 1)[0], together[head])


@pytest.mark.parametrize("momentum", [0.0, 0.7])
@pytest.mark.parametrize("opt", sorted(HEAD_OPTIMIZERS))
def test_steps_are_those_of_timm_s_optimizer(opt, momentum):
    generator = Generator().manual_seed(3)
    linear = nn.Linear(6, 4)
    weights = Weights.of([linear.weight.detach()], [linear.bias.detach()])
    recipe = Recipe("m", 1, opt=opt, lr=0.03, weight_decay=0.2, momentum=momentum)
    groups = [
        {"params": [linear.weight], "weight_decay": recipe.weight_decay},
        {"params": [linear.bias], "weight_decay": 0.0},
    ]
    plain = {"nesterov": False} if opt == "sgd" and not momentum else {}
    optimizer = create_optimizer_v2(groups, opt=opt, lr=recipe.lr, momentum=momentum, **plain)
    for number in range(5):
        linear.weight.grad = torch.randn(4, 6, generator=generator)
        linear.bias.grad = torch.randn(4, generator=generator)
        weights.matrix(weights.slopes).copy_(linear.weight.grad)
        weights.bias(weights.slopes).copy_(linear.bias.grad)
        optimizer.step()
        stepped_all(weights, [recipe], torch.full((5, 1, 1), recipe.lr).double(), number)
        torch.testing.assert_close(weights.matrix(weights.values)[0], linear.weight.detach())
        torch.testing.assert_close(weights.bias(weights.values)[0], linear.bias.detach())


def test_memory_between_the_weights_stays_zero():
    weights = Weights.of([torch.randn(3, 5, generator=Generator().manual_seed(0))], [torch.ones(3)])
    recipes = [Recipe("m", 1, opt="rmsprop", momentum=0.5, weight_decay=0.1)]
    weights.matrix(weights.slopes).fill_(2.0)
    weights.bias(weights.slopes).fill_(2.0)
    stepped_all(weights, recipes, torch.full((1, 1, 1), 0.1).double(), 0)
    assert int((weights.values != 0).sum()) == 3 * 5 + 3


@settings(max_examples=40, deadline=None)
@given(SHAPES)
def test_judgement_is_the_same_for_one_head_as_for_many(shape):
    heads, images, features, classes, seed = shape
    generator = Generator().manual_seed(seed)
    weights = Weights.of(
        list(torch.randn(heads, classes, features, generator=generator)),
        list(torch.randn(heads, classes, generator=generator)),
    )
    labels = torch.randint(classes, (images,), generator=generator)
    val = Judges(torch.randn(images, features, generator=generator), labels)
    matrices, biases = weights.matrix(weights.values), weights.bias(weights.values)
    losses, right = val.judge(matrices, biases)
    for head in range(heads):
        alone = val.judge(matrices[head : head + 1], biases[head : head + 1])
        assert losses[head] == alone[0][0]
        assert torch.equal(right[head], alone[1][0])
        logits = val.features @ matrices[head].t() + biases[head]
        torch.testing.assert_close(
            losses[head], cross_entropy(logits, labels), rtol=1e-4, atol=1e-4
        )

"""Freeze depth over architectures of every kind: what trains, what stays, and in what order."""

import pytest
import timm
import torch
from torch import nn

from evoft.settings import TrainingSettings
from evoft.training.backbone import build
from evoft.training.freezing import (
    classifier_names,
    freeze,
    layer_groups,
    train_mode,
    trained_names,
)

OTHERS = ("embedded", "mobilenetv3_small_050", "resnet10t", "mobilenetv2_035", "convnext_atto",
          "regnetx_002", "lcnet_035", "ghostnet_050", "levit_128s", "poolformer_s12")  # fmt: skip
ALL = (*timm.list_models("test_*"), *OTHERS, "deit_tiny_distilled_patch16_224")
WITH_BATCH_NORM = ("embedded", "mobilenetv3_small_050", "resnet10t", "test_efficientnet",
                   "test_coatnet", "levit_128s")  # fmt: skip
CLASSES = 3


def make(model, **rates):
    torch.manual_seed(0)
    settings = TrainingSettings(models=(model,), pretrained=False)
    return build(model, settings, CLASSES, pretrained=False, **rates)


def images_for(model, count=4):
    size = model.pretrained_cfg["input_size"][1:]
    side = size[0] if model.pretrained_cfg.get("fixed_input_size") else 64
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def step(model, steps=2, lr=0.1):
    train_mode(model)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr)
    targets = torch.arange(4) % CLASSES
    for _ in range(steps):
        optimizer.zero_grad()
        logits = model(images_for(model))
        logits = sum(logits) if isinstance(logits, tuple) else logits
        nn.functional.cross_entropy(logits, targets).backward()
        optimizer.step()


@pytest.mark.parametrize("name", ALL)
class TestGroups:
    def test_a_partition_of_the_trunk_in_the_order_in_which_it_runs(self, name):
        model = make(name)
        groups = layer_groups(model)
        names = [n for group in groups for n in group]
        assert sorted(names) == sorted(
            {n for n, _ in model.named_parameters()} - classifier_names(model)
        )
        assert len(groups) >= 4
        group_of = {n: i for i, group in enumerate(groups) for n in group}
        order = []
        for prefix, module in model.named_modules():
            own = [f"{prefix}.{n}" for n, _ in module.named_parameters(recurse=False)]
            mine = [group_of[n] for n in own if prefix and n in group_of]
            if mine:
                module.register_forward_pre_hook(lambda *_, mine=mine: order.extend(mine))
        size = model.pretrained_cfg["input_size"]
        with torch.no_grad():
            model.eval()(torch.zeros(1, *size))
        assert order
        assert order == sorted(order)

    def test_depth_zero_trains_all_and_the_whole_depth_the_classifier_alone(self, name):
        model = make(name)
        groups = layer_groups(model)
        freeze(model, len(groups))
        left = {n for n, p in model.named_parameters() if p.requires_grad}
        assert left == classifier_names(model) != set()
        freeze(model, 0)
        assert all(p.requires_grad for p in model.parameters())
        assert trained_names(model) == set(model.state_dict())

    def test_each_depth_freezes_one_group_more(self, name):
        model = make(name)
        groups = layer_groups(model)
        for depth in range(len(groups) + 1):
            freeze(model, depth)
            frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
            assert frozen == {n for group in groups[:depth] for n in group}


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("name", WITH_BATCH_NORM)
def test_training_moves_what_is_not_frozen_and_nothing_else(name, share):
    model = make(name)
    depth = round(share * len(layer_groups(model)))
    freeze(model, depth)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    step(model)
    after = model.state_dict()
    moved = {n for n in before if not torch.equal(before[n], after[n])}
    trained = trained_names(model)
    assert moved <= trained
    norms = [n for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    frozen_norms = [n for n in norms if f"{n}.running_mean" not in trained]
    assert frozen_norms
    for n in set(norms) - set(frozen_norms):
        assert f"{n}.running_mean" in moved
        assert f"{n}.running_var" in moved
    assert classifier_names(model) <= moved
    # A branch that starts at zero may have no gradient yet, but no group is without one.
    for group in layer_groups(model)[depth:]:
        assert moved & set(group)


def test_nothing_random_happens_in_what_is_frozen():
    model = make("test_vit", drop=0.5, drop_path=0.5)
    groups = layer_groups(model)
    freeze(model, len(groups) - 2)
    train_mode(model)
    blocks = list(model.blocks)
    assert model.training
    frozen = [b for b in blocks if not any(p.requires_grad for p in b.parameters())]
    assert 0 < len(frozen) < len(blocks)
    for block in frozen:
        assert not any(m.training for m in block.modules())
    for block in blocks[len(frozen) :]:
        assert all(m.training for m in block.modules())
    assert model.head_drop.training


def test_the_frozen_part_computes_what_it_computes_in_evaluation():
    model = make("resnet10t", drop_path=0.5)
    freeze(model, len(layer_groups(model)))
    images = images_for(model)
    train_mode(model)
    trained = model.forward_features(images)
    assert torch.equal(trained, model.eval().forward_features(images))


def test_the_next_freezing_forgets_the_last_one():
    model = make("resnet10t")
    freeze(model, 3)
    freeze(model, 1)
    frozen = [n for n, p in model.named_parameters() if not p.requires_grad]
    assert frozen == layer_groups(model)[0]
    train_mode(model)
    assert all(m.training for m in model.layer1.modules())


@pytest.mark.parametrize("name", ["pit_ti_224", "poolformer_s12"])
def test_a_model_without_a_matcher_has_groups_all_the_same(name):
    model = make(name)
    assert not hasattr(model, "group_matcher")
    depth = len(layer_groups(model))
    assert depth >= 4
    freeze(model, depth - 1)
    trains = {n for n, p in model.named_parameters() if p.requires_grad}
    assert trains == {*layer_groups(model)[-1], *classifier_names(model)}

"""Which models train one linear layer when all but their classifier is frozen."""

import pytest
import torch
from torch import nn

from evoft.settings import TrainingSettings
from evoft.training.backbone import build
from evoft.training.features.kept import Features
from evoft.training.freezing import freeze, layer_groups
from evoft.training.heads.linear import linear_head
from evoft.training.prefix.split import split

MODELS = [
    "embedded",
    "lcnet_035",
    "mobilenetv3_small_050",
    "test_byobnet",
    "test_convnext",
    "test_efficientnet",
    "test_resnet",
    "test_vit",
]


def frozen(name, drop=0.0, unfrozen=0):
    settings = TrainingSettings(models=(name,), pretrained=False)
    torch.manual_seed(0)
    model = build(name, settings, 7, pretrained=False, drop=drop)
    depth = len(layer_groups(model)) - unfrozen
    freeze(model, depth)
    size = 32 if name == "embedded" else model.default_cfg["input_size"][1]
    parts = split(model, depth, torch.zeros(2, 3, size, size))
    values = tuple(torch.zeros(3, *shape) for shape in parts.shapes)
    return model, Features(parts.suffix, (values,))


@pytest.mark.parametrize("name", MODELS)
def test_it_is_recognised(name):
    model, features = frozen(name, drop=0.5)
    found = linear_head(features, 0.5)
    assert found is not None
    assert found.drops
    parameters = dict(model.named_parameters())
    assert {id(parameters[n]) for n in found.names} == {
        id(p) for p in model.get_classifier().parameters()
    }
    assert linear_head(frozen(name)[1], 0.0).drops is False


def test_the_model_is_left_as_it_was():
    model, features = frozen("embedded", drop=0.5)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    assert linear_head(features, 0.5) is not None
    assert all(torch.equal(before[n], tensor) for n, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["embedded", "test_vit"])
def test_more_than_the_classifier_is_no_linear_head(name):
    assert linear_head(frozen(name, unfrozen=1)[1], 0.0) is None


class Suffix(nn.Module):
    """A suffix of one's own, and its model."""

    def __init__(self, before, after, bias=True):
        super().__init__()
        self.before, self.after, self.head = before, after, nn.Linear(6, 4, bias)
        nn.init.zeros_(self.head.weight)

    @property
    def model(self):
        return self

    def get_classifier(self):
        return self.head

    def forward(self, kept):
        return self.after(self.head(self.before(kept[0])))


def found(before=None, after=None, drop=0.0, shape=(6,), **options):
    suffix = Suffix(before or nn.Identity(), after or nn.Identity(), **options)
    return linear_head(Features(suffix, ((torch.zeros(2, *shape),),)), drop)


def test_what_is_not_linear_is_found_out_though_its_weights_are_zero():
    assert found() is not None
    assert found(after=nn.Tanh()) is None
    assert found(before=nn.ReLU()) is None
    assert found(before=nn.LayerNorm(6, elementwise_affine=False)) is None
    assert found(bias=False) is None
    assert found(shape=(6, 1)) is None


def test_dropout_is_where_and_what_the_recipe_has_or_it_is_no_linear_head():
    assert found(before=nn.Dropout(0.3), drop=0.3).drops
    assert not found(drop=0.3).drops
    assert found(before=nn.Dropout(0.6), drop=0.3) is None
    assert found(after=nn.Dropout(0.3), drop=0.3) is None
    assert found(before=nn.Dropout(0.3)) is None

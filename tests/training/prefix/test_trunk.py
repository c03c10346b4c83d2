"""The trunk: what a deeper cut makes of a shallower one has the bits that it makes of images."""

import copy
import pickle
from types import SimpleNamespace

import pytest
import timm
import torch
from torch import nn

from evoft.training.freezing import freeze, layer_groups
from evoft.training.prefix import trunk as module
from evoft.training.prefix.split import Plan, make_plan
from evoft.training.prefix.trunk import Trunk, make_trunk

FAMILIES = (
    "test_byobnet",
    "test_convnext",
    "test_efficientnet",
    "test_maxvit",
    "test_nfnet",
    "test_resnet",
    "test_vit_relpos",
    "mobilenetv2_035",
)
ROOM = 2**30


def build(name: str, *, drop: float = 0.2) -> nn.Module:
    kwargs = {"img_size": 64} if timm.get_pretrained_cfg(name).fixed_input_size else {}
    torch.manual_seed(1)
    return timm.create_model(
        name, num_classes=5, drop_rate=drop, drop_path_rate=drop, **kwargs
    ).eval()


def images(count: int) -> torch.Tensor:
    drawn = torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    return drawn.contiguous(memory_format=torch.channels_last)


def quarters(model: nn.Module) -> list[int]:
    groups = len(layer_groups(model))
    return sorted({round(groups * share) for share in (0.25, 0.5, 0.75, 1.0)})


def plan_of(model: nn.Module, depth: int) -> Plan:
    frozen = copy.deepcopy(model)
    freeze(frozen, depth)
    plan = make_plan(frozen, images(2))
    assert isinstance(plan, Plan), plan
    return plan


def along(way, model: nn.Module, given: torch.Tensor) -> tuple[torch.Tensor, ...]:
    values: tuple[torch.Tensor, ...] = (given,)
    for stretch in way:
        values = stretch.bind(model).prefix(*values)
    return values


@pytest.mark.parametrize(
    ("name", "drop"), [*((name, 0.0) for name in FAMILIES), ("test_resnet", 0.3)]
)
def test_from_cut_to_cut_the_bits_are_those_of_one_go(name: str, drop: float) -> None:
    # What was traced has other rates than what it is for, or none.
    model, other = build(name), build(name, drop=drop)
    depths = quarters(model)
    trunk = make_trunk(model, images(2), depths, most=ROOM, batch=9)
    for number, depth in enumerate(depths, start=1):
        plan = plan_of(other, depth)
        way = trunk.way(plan)
        assert len(way) == number
        straight = plan.bind(other)
        for count in (1, 7, 64):
            expected = straight.prefix(images(count))
            kept = along(way, other, images(count))
            assert all(map(torch.equal, kept, expected))
            assert [k.stride() for k in kept] == [e.stride() for e in expected]


def test_making_one_leaves_the_model_alone() -> None:
    model = build("test_resnet")
    freeze(model, 2)
    before = copy.deepcopy(model.state_dict())
    training = [p.requires_grad for p in model.parameters()]
    assert make_trunk(model, images(2), [1, 2, 3], most=ROOM, batch=4).stretches
    assert [p.requires_grad for p in model.parameters()] == training
    assert not any(m.training for m in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_takes_most_room_is_left_out() -> None:
    model = build("test_resnet")
    depths = [2, 3, 4, 5]
    whole = make_trunk(model, images(2), depths, most=ROOM, batch=4)
    sizes = [sum(layout.bytes_per_image for layout in s.layouts) for s in whole.stretches]
    assert len(sizes) == 4
    fewer = make_trunk(model, images(2), depths, most=sum(sizes) - 1, batch=4)
    assert [s.key for s in fewer.stretches] == [s.key for s in whole.stretches[1:]]
    assert fewer.stretches[0].before is None
    assert fewer.way(plan_of(model, 2)) == ()
    kept = along(fewer.way(plan_of(model, 3)), model, images(3))
    assert all(map(torch.equal, kept, plan_of(model, 3).bind(model).prefix(images(3))))
    # One cut alone leads nowhere.
    assert make_trunk(model, images(2), depths, most=sizes[-1], batch=4) == Trunk(())


def test_there_is_none_where_the_bits_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("test_resnet")
    real = module.middle

    def wrong(*arguments):
        part = real(*arguments)
        source = part.source.replace("return (", "return (1.0001 * ")
        assert source != part.source
        return type(part)(source, part.names, part.targets, part.constants)

    monkeypatch.setattr(module, "middle", wrong)
    assert make_trunk(model, images(2), [2, 3], most=ROOM, batch=4) == Trunk(())


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_fewer_images_tell_where_bits_are_not_promised(monkeypatch, device) -> None:
    sizes = []

    def scarce(model, trunk, straight, count: int) -> bool:
        sizes.append(count)
        if count > 40:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return True

    monkeypatch.setattr(module, "random_images", lambda example, count: count)
    monkeypatch.setattr(module, "_compared", scarce)
    example = SimpleNamespace(device=torch.device(device))
    if device == "cpu":
        with pytest.raises(RuntimeError, match="out of memory"):
            module._same(None, None, None, example, 256)
        assert sizes == [256]
        return
    assert module._same(None, None, None, example, 256)
    assert sizes == [256, 128, 64, 32]


def test_there_is_none_of_what_cannot_be_traced() -> None:
    class Peeks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = build("test_resnet")

        def get_classifier(self) -> nn.Module:
            return self.model.get_classifier()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.model(x) if x.sum() > 0 else -self.model(x)

    assert make_trunk(Peeks(), images(2), [1, 2], most=ROOM, batch=4) == Trunk(())


def test_another_process_gets_it_whole() -> None:
    model = build("test_vit_relpos")
    trunk = make_trunk(model, images(2), quarters(model), most=ROOM, batch=4)
    again = pickle.loads(pickle.dumps(trunk))
    plan = plan_of(model, quarters(model)[-1])
    assert len(again.way(pickle.loads(pickle.dumps(plan)))) == 4
    assert all(
        map(
            torch.equal,
            along(again.way(plan), model, images(3)),
            along(trunk.way(plan), model, images(3)),
        )
    )


def test_it_is_checked_in_all_bits_of_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    compared = module._compared

    def watched(*given: object) -> bool:
        seen.append(torch.backends.cudnn.allow_tf32)
        return compared(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(module, "_compared", watched)
    assert make_trunk(build("test_resnet"), images(2), [2, 3], most=ROOM, batch=4).stretches
    assert set(seen) == {False}
    assert torch.backends.cudnn.allow_tf32

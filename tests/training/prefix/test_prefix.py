"""The frozen prefix: its two parts are the model, to the bit."""

import copy
import random
import re

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from evoft.training.freezing import freeze, layer_groups, train_mode
from evoft.training.prefix import split as splitting
from evoft.training.prefix.dataflow import Dataflow
from evoft.training.prefix.flow import INFINITE
from evoft.training.prefix.rounding import equal
from evoft.training.prefix.split import Plan, Split, Whole, make_plan, split
from evoft.training.prefix.tracing import random_images, trace

#: Models of as many families as can be had quickly, with the size of their images.
FAMILIES = {
    "test_byobnet": 64,
    "test_coatnet": 64,
    "test_convnext": 64,
    "test_efficientnet": 64,
    "test_efficientnet_evos": 64,
    "test_efficientnet_ln": 64,
    "test_mambaout": 64,
    "test_maxvit": 64,
    "test_nfnet": 64,
    "test_resnet": 64,
    "test_vit": 64,
    "test_vit_relpos": 64,
    "mobilenetv2_035": 32,
    "mobilenetv3_small_050": 32,
    "ghostnet_050": 32,
    "lcnet_035": 32,
    "regnetx_002": 32,
    "resnet18": 32,
    "skresnet18": 32,
    "hrnet_w18_small": 32,
    "mixer_s32_224": 64,
    "xcit_nano_12_p16_224": 32,
    "levit_128s": 64,
    "pvt_v2_b0": 32,
    "fastvit_t8": 32,
    "mobilevit_xxs": 64,
    "edgenext_xx_small": 32,
    "efficientvit_b0": 32,
    "starnet_s1": 32,
    "cait_xxs24_224": 32,
    "swin_tiny_patch4_window7_224": 32,
    "deit_tiny_distilled_patch16_224": 32,
    "inception_next_atto": 32,
}
#: The slowest of them, which leave 25.
SLOWEST = (
    "efficientvit_b0", "fastvit_t8", "hrnet_w18_small", "levit_128s", "pvt_v2_b0", "skresnet18",
    "starnet_s1", "swin_tiny_patch4_window7_224",
)  # fmt: skip
#: Of many blocks that are alike a few say what all would, in a fraction of the time.
FEWER_BLOCKS = {
    "cait_xxs24_224": {"depth": 4},
    "deit_tiny_distilled_patch16_224": {"depth": 4},
    "swin_tiny_patch4_window7_224": {"depths": (1, 1, 2, 1)},
    "xcit_nano_12_p16_224": {"depth": 4},
}
CLASSES = 5


def build(name: str, size: int, *, drop: float = 0.2) -> nn.Module:
    kwargs = dict(FEWER_BLOCKS.get(name, {}))
    if timm.get_pretrained_cfg(name).fixed_input_size:
        kwargs["img_size"] = size
    torch.manual_seed(1)
    try:
        return timm.create_model(
            name, num_classes=CLASSES, drop_rate=drop, drop_path_rate=drop, **kwargs
        )
    except TypeError:  # a family without stochastic depth
        return timm.create_model(name, num_classes=CLASSES, drop_rate=drop, **kwargs)


def images(size: int, count: int) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(2))


def step(run, given, model: nn.Module) -> dict[str, Tensor | None]:
    """Take the gradients of one batch; return all that came of it."""
    model.zero_grad()
    torch.manual_seed(3)
    logits = run(given)
    loss = functional.cross_entropy(logits, torch.arange(len(logits)) % CLASSES)
    loss.backward()
    gradients = {f"grad {name}": p.grad for name, p in model.named_parameters()}
    state = {name: value.clone() for name, value in model.state_dict().items()}
    return {"logits": logits.detach(), "loss": loss.detach(), **gradients, **state}


def assert_same(first: dict[str, Tensor | None], second: dict[str, Tensor | None]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        other = second[name]
        assert (value is None) == (other is None), name
        assert value is None or torch.equal(value, other), name


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if n in SLOWEST else []) for n in FAMILIES],
)
def test_the_parts_are_the_whole_to_the_bit(name: str) -> None:
    size = FAMILIES[name]
    whole = build(name, size)
    start = copy.deepcopy(whole.state_dict())
    mine = copy.deepcopy(whole)
    groups = len(layer_groups(whole))
    batch = images(size, 4)
    for depth in sorted({1, groups // 2, groups - 1, groups}):
        for model in (whole, mine):
            model.load_state_dict(start)
            freeze(model, depth)
        plan = make_plan(mine, batch)
        assert isinstance(plan, Plan), f"depth {depth}: {plan}"
        parts = plan.bind(mine)
        kept = parts.prefix(batch)
        train_mode(whole)
        parts.suffix.train()
        assert_same(step(whole, batch, whole), step(parts.suffix, kept, mine))

        trained = {id(p) for p in mine.parameters() if p.requires_grad}
        assert trained & {id(p) for p in parts.suffix.parameters()}
        assert sum(k[0].nbytes for k in kept) == parts.bytes_per_image
        for value in kept:
            # What is the same for every image is not kept image by image.
            assert not torch.equal(value[0], value[1])

        whole.eval()
        parts.suffix.eval()
        with torch.inference_mode():
            assert torch.equal(whole(batch), parts.suffix(kept))
            # A single image, from a prefix of its own and from that of the batch.
            alone = parts.suffix(parts.prefix(batch[:1]))
            assert torch.equal(whole(batch[:1]), alone)
            torch.testing.assert_close(
                parts.suffix(tuple(k[:1] for k in kept)), alone, rtol=1e-3, atol=1e-4
            )


def resnet(depth: int = 3, **kwargs) -> nn.Module:
    model = build("test_resnet", 64, **kwargs)
    freeze(model, depth)
    return model


def parts_of(model: nn.Module, depth: int = 3, size: int = 64) -> Split:
    parts = split(model, depth, images(size, 1))
    assert isinstance(parts, Split), parts
    return parts


def train(run, model: nn.Module, batches: list) -> None:
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.1)
    torch.manual_seed(5)
    for batch in batches * 2:
        optimizer.zero_grad()
        functional.cross_entropy(run(batch), torch.tensor([0, 1, 2])).backward()
        optimizer.step()


def test_training_the_suffix_trains_the_model() -> None:
    whole, mine = resnet(), resnet()
    start = copy.deepcopy(whole.state_dict())
    parts = parts_of(mine)
    batches = [images(64, 6)[:3], images(64, 6)[3:]]
    train_mode(whole)
    parts.suffix.train()
    train(whole, whole, batches)
    train(parts.suffix, mine, [parts.prefix(batch) for batch in batches])
    assert_same(whole.state_dict(), mine.state_dict())
    assert any(not torch.equal(value, start[name]) for name, value in mine.state_dict().items())


def test_the_suffix_follows_the_mode_of_the_model() -> None:
    model = resnet(drop=0.5)
    parts = parts_of(model)
    kept = parts.prefix(images(64, 4))
    train_mode(model)
    assert not torch.equal(parts.suffix(kept), parts.suffix(kept))
    model.eval()
    assert torch.equal(parts.suffix(kept), model(images(64, 4)))


def test_splitting_changes_neither_the_model_nor_the_random_stream() -> None:
    model = resnet()
    model.train()
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(7)
    random.seed(7)
    parts = parts_of(model)
    parts_mode = [m.training for m in model.modules()]
    parts.prefix(images(64, 2))
    assert parts_mode == [m.training for m in model.modules()]
    drawn = torch.rand(3), random.random()
    torch.manual_seed(7)
    random.seed(7)
    assert torch.equal(drawn[0], torch.rand(3))
    assert drawn[1] == random.random()
    assert_same(before, model.state_dict())


def test_what_is_random_stays_random() -> None:
    parts = parts_of(resnet(depth=3, drop=0.5))
    kept = parts.prefix(images(64, 8))
    parts.suffix.train()
    torch.manual_seed(0)
    first, second = parts.suffix(kept), parts.suffix(kept)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(first, parts.suffix(kept))


def test_dropout_ends_the_prefix() -> None:
    model = timm.create_model("test_vit", num_classes=CLASSES, pos_drop_rate=0.5)
    freeze(model, 3)
    dry = timm.create_model("test_vit", num_classes=CLASSES)
    freeze(dry, 3)
    early, late = parts_of(model, 3, 160), parts_of(dry, 3, 160)
    assert early.plan.key != late.plan.key
    # What dropout sees is kept, not what comes of it; or what leads there, if that is smaller.
    assert early.bytes_per_image <= late.bytes_per_image
    early.suffix.train()
    kept = early.prefix(images(160, 2))
    assert not torch.equal(early.suffix(kept), early.suffix(kept))


def test_statistics_of_frozen_layers_stand_still_and_others_move() -> None:
    model = resnet()
    parts = parts_of(model)
    before = copy.deepcopy(dict(model.named_buffers()))
    parts.suffix.train()
    parts.suffix(parts.prefix(images(64, 4)))
    moved = {name for name, value in model.named_buffers() if not torch.equal(value, before[name])}
    assert moved
    frozen = {m for m, module in model.named_modules() if not module.training}
    assert not {name.rpartition(".")[0] for name in moved} & frozen


@pytest.mark.parametrize(("name", "depth"), [("test_convnext", 5), ("test_resnet", 3)])
def test_a_plan_serves_another_model_of_other_rates(name: str, depth: int) -> None:
    first, whole, mine = (build(name, 64, drop=drop) for drop in (0.2, 0.6, 0.6))
    for model in (first, whole, mine):
        freeze(model, depth)
    plan = parts_of(first, depth).plan
    assert not plan.rates_inside
    parts = plan.bind(mine)
    batch = images(64, 4)
    train_mode(whole)
    parts.suffix.train()
    kept = parts.prefix(batch)
    assert_same(step(whole, batch, whole), step(parts.suffix, kept, mine))


def test_rates_in_code_are_told() -> None:
    for rate in (0.0, 0.3):
        model = timm.create_model("test_vit", num_classes=CLASSES, attn_drop_rate=rate)
        freeze(model, 2)
        assert parts_of(model, 2, 160).plan.rates_inside == (rate > 0)


def test_the_key_is_that_of_the_frozen_part_alone() -> None:
    keys = [
        parts_of(resnet(depth, drop=drop), depth).plan.key
        for depth, drop in ((3, 0.2), (3, 0.0), (2, 0.2))
    ]
    assert keys[0] == keys[1] != keys[2]


def test_writing_in_place_leaves_what_is_kept() -> None:
    parts = parts_of(resnet(1), 1)
    kept = parts.prefix(images(64, 4))
    before = [k.clone() for k in kept]
    parts.suffix.train()
    parts.suffix(kept).sum().backward()
    assert all(map(torch.equal, kept, before))


class Written(nn.Module):
    """A frozen layer that is written into before or after a view of it is made, and a head."""

    def __init__(self, late: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=16).requires_grad_(False)
        self.head = nn.Linear(4 * 4 * 4, CLASSES)
        self.late = late

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.late:
            view = x.flatten(1)
            x.relu_()
            return self.head(view)
        return self.head(x.relu_().flatten(1))


def test_a_view_of_what_was_written_before_is_all_that_is_kept() -> None:
    whole = Written(late=False)
    mine = copy.deepcopy(whole)
    batch = images(64, 4)
    parts = parts_of(mine, 1)
    assert parts.shapes == ((64,),)  # and not what it is a view of
    kept = parts.prefix(batch)
    parts.suffix.train()
    assert_same(step(whole, batch, whole), step(parts.suffix, kept, mine))


def test_a_view_of_what_is_written_later_does_not_stand_for_it() -> None:
    found = split(Written(late=True), 1, images(64, 1))
    assert isinstance(found, Whole)
    assert "cannot be kept image by image" in found.reason


def test_channels_last_is_kept() -> None:
    whole = resnet().to(memory_format=torch.channels_last)
    mine = copy.deepcopy(whole)
    batch = images(64, 4).contiguous(memory_format=torch.channels_last)
    parts = split(mine, 3, batch)
    assert isinstance(parts, Split), parts
    kept = parts.prefix(batch)
    train_mode(whole)
    parts.suffix.train()
    assert_same(step(whole, batch, whole), step(parts.suffix, kept, mine))


class Tiny(nn.Module):
    """Two frozen layers and a head, with something in between."""

    def __init__(self, between) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2).requires_grad_(False)
        self.second = nn.Conv2d(4, 4, 3, stride=2).requires_grad_(False)
        self.table = nn.Parameter(torch.randn(1, 4, 1, 1), requires_grad=False)
        self.head = nn.Linear(4, CLASSES)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.between(self, self.first(x)).mean((2, 3)))


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        (lambda m, x: m.second(x) if x.sum() > 0 else x[:, :, ::2], "content"),
        (lambda m, x: x * x.max().item(), "item"),
        (lambda m, x: m.second(x) if len(x) > 2 else x, "length of the batch"),
        (lambda m, x: x * float(torch.rand(())), "random"),
        (lambda m, x: m.second(x) / (x.shape[0] // 2), "give"),
        (lambda m, x: m.second(x - x.mean(0, keepdim=True)), "image by image"),
    ],
)
def test_what_cannot_be_split_says_why(between, reason: str) -> None:
    found = split(Tiny(between), 1, images(32, 1))
    assert isinstance(found, Whole)
    assert re.search(reason, found.reason), found.reason


def test_nothing_frozen_is_whole() -> None:
    model = resnet(0)
    assert split(model, 0, images(64, 1)) == Whole("nothing is frozen")
    stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(CLASSES))
    stem(images(32, 1))
    stem[2].requires_grad_(False)
    found = split(stem, 1, images(32, 1))
    assert isinstance(found, Whole)
    assert "frozen" in found.reason


def test_what_no_image_changes_is_made_again_not_kept() -> None:
    def between(m: Tiny, x: Tensor) -> Tensor:
        trained = m.head.weight.sum()
        return m.second(x) + (m.table.expand(x.shape[0], -1, 7, 7) * 2) * trained

    model = Tiny(between)
    parts = split(model, 1, images(32, 1))
    assert isinstance(parts, Split), parts
    assert parts.shapes == ((4, 7, 7),)
    parts.suffix.eval()
    for count in (1, 3, 8):
        batch = images(32, count)
        assert torch.equal(parts.suffix(parts.prefix(batch)), model(batch))


def test_the_cheapest_values_are_kept() -> None:
    def both(m: Tiny, x: Tensor) -> Tensor:
        x = m.second(x)
        gate = m.head.weight.sum()
        return x * gate + x.relu() * gate + torch.cat([x[:, :2], x[:, 2:]], 1) * gate

    parts = split(Tiny(both), 1, images(32, 1))
    assert isinstance(parts, Split), parts
    assert parts.shapes == ((4, 7, 7),)
    assert parts.bytes_per_image == 4 * 7 * 7 * 4
    assert parts.dtypes == (torch.float32,)


def test_writing_by_place_is_followed() -> None:
    def between(m: Tiny, x: Tensor) -> Tensor:
        x = m.second(x).clone()
        x[:, 0] = x[:, 1] * 2
        trained = x * m.head.weight.sum()
        trained[:, 1] = 0.5
        return trained

    whole = Tiny(between)
    mine = copy.deepcopy(whole)
    found = split(mine, 1, images(32, 1))
    if isinstance(found, Split):  # else it trains whole, which is right too
        batch = images(32, 4)
        kept = found.prefix(batch)
        assert_same(step(whole, batch, whole), step(found.suffix, kept, mine))


def test_a_wrong_split_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dataflow, "_trains", lambda self, node: node.op == "placeholder" and False)
    found = split(resnet(), 3, images(64, 1))
    assert isinstance(found, Whole)


def test_a_trace_knows_sizes() -> None:
    graph = trace(resnet(), images(64, 1), training=False).graph
    assert all(node.op != "call_function" or node.target is not getattr for node in graph.nodes)
    assert torch.equal(random_images(images(64, 1), 2), random_images(images(64, 1), 3)[:2])


@pytest.mark.parametrize("batch", [5, 30])
def test_images_that_lie_in_memory_channel_by_channel_are_split_as_they_are(batch):
    torch.manual_seed(0)
    model = timm.create_model("test_byobnet", num_classes=5)
    freeze(model, 4)
    images = torch.rand(batch, 64, 64, 3).permute(0, 3, 1, 2)
    parts = split(model, 4, images[:2])
    model.eval()
    with torch.inference_mode():
        assert torch.equal(parts.suffix(parts.prefix(images)), model(images))


def test_out_of_memory_says_nothing_of_the_model(monkeypatch):
    def short_of_memory(model, example):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr("evoft.training.prefix.split._plan", short_of_memory)
    model = timm.create_model("test_resnet", num_classes=3)
    freeze(model, 1)
    with pytest.raises(RuntimeError, match="out of memory"):
        split(model, 1, torch.zeros(2, 3, 32, 32))


class Elsewhere(Tensor):
    """A tensor that says that it is on a GPU."""

    device = torch.device("cuda")


@pytest.mark.parametrize(("error", "kept"), [(1e-4, True), (1e-2, False)])
def test_batches_may_round_otherwise_by_the_largest_value_where_bits_are_not_promised(error, kept):
    model = resnet()
    flow = Dataflow(trace(model, images(64, 1), training=True))
    for node in flow.cut():
        one, other = node.meta["values"]
        # Of values in the hundreds, rounded: near zero that is far beyond what is near zero.
        other = other.clone()
        other[: len(one)] = 400 * one + error * 400 * one.abs().max()
        node.meta["values"] = [v.as_subclass(Elsewhere) for v in (400 * one, other)]
        assert (flow.bytes_per_image(node) < INFINITE) == kept
        node.meta["values"] = [v.as_subclass(Tensor) for v in node.meta["values"]]
        assert flow.bytes_per_image(node) == INFINITE


def test_a_gpu_that_takes_fewer_bits_for_some_batches_is_told_not_to(monkeypatch) -> None:
    """On a CPU, of whose convolutions those of two images heed the GPU's switch."""
    real, heeded = nn.Conv2d._conv_forward, []

    def rounding(self, x, *rest):
        if len(x) == 2:
            heeded.append(torch.backends.cudnn.allow_tf32)
            x = x.half().float() if heeded[-1] else x
        return real(self, x, *rest)

    monkeypatch.setattr(nn.Conv2d, "_conv_forward", rounding)
    assert isinstance(split(resnet(), 1, images(64, 1)), Split)
    assert heeded
    assert torch.backends.cudnn.allow_tf32  # as it was before


def test_what_is_not_finite_tells_nothing_of_rounding() -> None:
    values = torch.tensor([-torch.inf, torch.nan, 1.0, 2.0])
    assert equal(values, values + 1e-4, exact=False)
    assert not equal(values, values + 0.1, exact=False)
    assert not equal(values, values.nan_to_num(), exact=False)


@pytest.mark.parametrize(("fits", "tried"), [(5, [5]), (2, [5, 2])])
def test_where_memory_runs_out_a_split_is_checked_with_fewer_images(monkeypatch, fits, tried):
    sizes, real = [], splitting._compared

    def scarce(model, plan, images):
        sizes.append(len(images))
        if len(images) > fits:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(model, plan, images)

    monkeypatch.setattr(splitting, "_compared", scarce)
    assert isinstance(split(resnet(), 3, images(64, 1)), Split)
    assert sizes == tried


def test_a_split_is_checked_in_all_bits_of_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    compared = splitting._compared

    def watched(*given: object) -> str:
        seen.append(torch.backends.cudnn.allow_tf32)
        return compared(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(splitting, "_compared", watched)
    model = timm.create_model("test_resnet", num_classes=3).eval()
    freeze(model, 2)
    assert isinstance(split(model, 2, torch.randn(2, 3, 64, 64)), Split)
    assert seen == [False]
    assert torch.backends.cudnn.allow_tf32

"""Whether the frozen prefix is exact, what it keeps and what it saves, over timm's families.

    python benchmarks/prefix_exactness.py [NAME ...]

Models without pretrained weights, dropout and stochastic depth at 0.1, small images, one thread.
For each family and four freeze depths: whether logits, gradients, batch norm's statistics (training
mode, one seed) and logits (evaluation mode) are those of the plain forward to the bit; the bytes
kept for an image; the share of the plain forward's time that the prefix takes; and whether the
prefix gives the same bits for a batch of 16 as for two of 8 and for 16 single images.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import warnings
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from evoft.training.freezing import freeze, layer_groups
from evoft.training.prefix.split import Split, split

SIZE, BATCH = 64, 16
#: Sizes other than ``SIZE``, where a family needs them.
SIZES = {"crossvit_tiny_240": 240, "eva02_tiny_patch14_224": 56}
FAMILIES = """
    test_byobnet test_coatnet test_convnext test_efficientnet test_efficientnet_evos
    test_efficientnet_ln test_mambaout test_maxvit test_nfnet test_resnet test_vit
    test_vit_relpos cait_xxs24_224 coat_lite_tiny crossvit_tiny_240 cs3darknet_s
    deit_tiny_distilled_patch16_224 densenet121 dla34 edgenext_xx_small efficientnet_lite0
    efficientvit_b0 eva02_tiny_patch14_224 fastvit_t8 ghostnet_050 hgnetv2_b0 hrnet_w18_small
    inception_next_atto lcnet_035 levit_128s mixer_s32_224 mobilenetv2_035 mobilenetv3_small_050
    mobilenetv4_conv_small mobilevit_xxs pvt_v2_b0 regnetx_002 repvgg_a0 repvit_m0_9
    resmlp_12_224 resnest14d resnet18 skresnet18 starnet_s1 swin_tiny_patch4_window7_224
    tinynet_e visformer_tiny vovnet39a xcit_nano_12_p16_224
"""
RESULTS = Path(__file__).parent / "results"


def build(name: str, size: int) -> nn.Module:
    kwargs = {"img_size": size} if timm.get_pretrained_cfg(name).fixed_input_size else {}
    torch.manual_seed(0)
    try:
        return timm.create_model(name, num_classes=10, drop_rate=0.1, drop_path_rate=0.1, **kwargs)
    except TypeError:
        return timm.create_model(name, num_classes=10, drop_rate=0.1, **kwargs)


def seconds(act) -> float:
    """Return the shorter of two runs after a first one."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def apart(first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> float:
    """Return the largest difference, as a share of the largest value."""
    return max(
        float((a - b).abs().max() / a.abs().max().clamp(min=1e-12))
        for a, b in zip(first, second, strict=True)
    )


def measure(name: str) -> list[dict]:
    size = SIZES.get(name, SIZE)
    model = build(name, size)
    groups = len(layer_groups(model))
    images = torch.randn(BATCH, 3, size, size, generator=torch.Generator().manual_seed(1))
    rows = []
    for depth in sorted({1, max(1, groups // 2), groups - 1, groups}):
        freeze(model, depth)
        start = time.perf_counter()
        parts = split(model, depth, images)
        row = {"family": name, "size": size, "depth": depth, "groups": groups}
        row["split_seconds"] = round(time.perf_counter() - start, 2)
        if not isinstance(parts, Split):
            rows.append(row | {"split": False, "reason": parts.reason})
            continue
        kept = parts.prefix(images)
        by_eight = tuple(map(torch.cat, zip(*map(parts.prefix, images.split(8)), strict=True)))
        alone = tuple(map(torch.cat, zip(*map(parts.prefix, images.split(1)), strict=True)))
        model.eval()
        with torch.inference_mode():
            whole = seconds(lambda: model(images))
        rows.append(
            row
            | {
                "split": True,
                "exact": True,  # `split` gives no split on a CPU that is not, to the bit
                "tensors": len(kept),
                "bytes_per_image": parts.bytes_per_image,
                "of_image_bytes": parts.bytes_per_image / (3 * size * size),
                "prefix_share": min(1.0, seconds(lambda p=parts: p.prefix(images)) / whole),
                "apart_16_from_8": apart(kept, by_eight),
                "apart_16_from_1": apart(kept, alone),
            }
        )
    return rows


def table(record: dict) -> str:
    rows = record["rows"]
    families = {r["family"] for r in rows}
    traced = {r["family"] for r in rows} - {r["family"] for r in rows if not r["split"]}
    good = [r for r in rows if r["split"]]
    by8, by1 = ([r for r in good if r[k] == 0.0] for k in ("apart_16_from_8", "apart_16_from_1"))
    worst = max(max(r["apart_16_from_8"], r["apart_16_from_1"]) for r in good)
    lines = [
        "# Exactness of the frozen prefix",
        "",
        f"`python benchmarks/prefix_exactness.py` with {record['with']}; one CPU thread, float32.",
        "",
        f"- {len(traced)} of {len(families)} families split at every depth tried; "
        f"{len(good)} of {len(rows)} pairs of family and depth.",
        "- Every split is exact: in training mode under one seed logits, all gradients and batch",
        "  norm's statistics, in evaluation mode the logits, have the bits of the plain forward",
        "  on the same batch. What is not exact is not split.",
        f"- Another batch: the prefix of 16 images has the bits of two batches of 8 in {len(by8)}",
        f"  of {len(good)} pairs, and those of 16 single images in {len(by1)}; the largest",
        f"  difference is {worst:.1e} of the largest value: kernels pick their blocks by shape.",
        "",
        "*kept*: bytes for an image at the cut, and as a multiple of the uint8 image's;",
        "*prefix*: the prefix's time as a share of the plain forward's (evaluation mode, batch of",
        "16); *8*, *1*: the same bits from batches of 8, from single images; *split*: seconds that",
        "tracing, cutting and checking take.",
        "",
        "| family | px | depth | exact | tensors | kept | x image | prefix | 8 | 1 | split |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        start = f"| {r['family']} | {r['size']} | {r['depth']} of {r['groups']} | "
        if not r["split"]:
            lines.append(start + f"whole: {r['reason']} | | | | | | | {r['split_seconds']} |")
            continue
        same = ["yes" if r[k] == 0.0 else "no" for k in ("apart_16_from_8", "apart_16_from_1")]
        lines.append(
            start + f"yes | {r['tensors']} | {r['bytes_per_image']} | {r['of_image_bytes']:.1f} | "
            f"{r['prefix_share']:.0%} | {same[0]} | {same[1]} | {r['split_seconds']} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    names = parser.parse_args().names
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows: list[dict] = []
    start = time.perf_counter()
    for name in names or FAMILIES.split():
        rows += measure(name)
        print(f"{time.perf_counter() - start:5.0f} s  {name}", flush=True)
    versions = f"python {platform.python_version()}, torch {torch.__version__}, timm "
    record = {"with": versions + timm.__version__, "batch": BATCH, "rows": rows}
    if names:
        print(table(record))
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "prefix_exactness.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "prefix_exactness.md").write_text(table(record))


if __name__ == "__main__":
    main()

"""Where bfloat16 pays on a CPU that has it, and what it does to accuracies.

    python benchmarks/precision.py

First, what it takes to pass a batch forward and back in float32 and in bfloat16, for backbones of
many kinds, whole and behind a frozen prefix: one thread, processor time, the two take turns, and
the fastest of their turns counts.  Beside it stands the backbone's density (``density.py``), by
which evoft decides.

Then real trainings: recipes of the default space with a ResNet-18 on digits, from weights that are
drawn, each with ``--amp`` and with ``--no-amp`` and the same seed.
"""

import json
import platform
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import click
import timm
import torch
from in_process import fine_tuner
from safetensors.torch import save_file
from step import backbone, best, passes
from tasks import settings_of

from evoft.environment import versions
from evoft.genome import Genome
from evoft.outcome import Status
from evoft.search.space import SearchSpace
from evoft.seeds import derive, generator
from evoft.settings import Settings
from evoft.training.default_space import default_genes
from evoft.training.density import density_of
from evoft.training.precision import DENSE, NATIVE
from evoft.training.prefix.split import Whole, split
from evoft.trial import Trial

HERE = Path(__file__).parent
#: Backbones and the side of their images.
BACKBONES = {
    "mobilenetv2_035": 96, "mobilenetv3_small_100": 128, "ghostnet_100": 128,
    "efficientnet_b0": 128, "mobilevit_xxs": 128, "test_vit": 96, "mobilenetv4_conv_small": 128,
    "regnety_004": 128, "embedded": 32, "convnext_atto": 128, "hgnetv2_b0": 96,
    "vit_tiny_patch16_224": 224, "resnet26d": 96, "swin_tiny_patch4_window7_224": 224,
    "convnext_tiny": 96, "resnet50": 128, "densenet121": 96, "repvgg_a0": 96,
    "deit_small_patch16_224": 224, "resnet18": 64, "vit_base_patch32_224": 224, "vgg11_bn": 64,
    "convmixer_768_32": 96, "nasnetalarge": 128, "xception41": 96, "levit_128s": 224,
    "cs3darknet_focus_s": 96, "lowformer_b0": 128, "mvitv2_tiny": 224, "hiera_tiny_224": 224,
    "tf_efficientnetv2_s": 96, "davit_tiny": 96, "maxvit_rmlp_pico_rw_256": 256,
    "regnetx_032": 96, "efficientnet_b5": 96, "mobilenetv4_conv_medium": 96,
}  # fmt: skip
SHARES, BATCHES = (0.0, 0.6), (8, 32)
TRAINED, SIDE = "resnet18", 32


@dataclass(frozen=True)
class Row:
    """One batch, in both ways."""

    model: str
    side: int
    density: float
    frozen: float
    batch: int
    #: Milliseconds.
    whole: float
    half: float

    @property
    def gain(self) -> float:
        """How many times sooner it is done in bfloat16."""
        return self.whole / self.half


@dataclass(frozen=True)
class Pair:
    """One recipe's training, in both ways: accuracies, and seconds of processor time."""

    recipe: int
    frozen: float
    whole: float
    half: float
    whole_seconds: float
    half_seconds: float


def steps(name: str, side: int, seconds: float) -> Iterator[Row]:
    """Yield what a batch of a backbone takes, by what is frozen and how large it is."""
    density = density_of(backbone(name, 0.0, last=True)[0], (side, side))
    for share in SHARES:
        model, depth = backbone(name, share, last=True)
        if depth and isinstance(split(model, depth, torch.rand(2, 3, side, side)), Whole):
            continue  # it trains whole
        for batch in BATCHES:
            images = torch.rand(batch, 3, side, side).contiguous(memory_format=torch.channels_last)
            acts = {
                half: passes(*backbone(name, share, last=True), images, half=half)
                for half in (False, True)
            }
            took = best({str(half): act for half, act in acts.items()}, seconds)
            yield Row(name, side, density, share, batch, took["False"], took["True"])


def settings_with_weights(folder: Path, epochs: int) -> Settings:
    """Return the settings of trainings on digits, from weights that are drawn into a folder."""
    torch.manual_seed(0)
    path = folder / f"{TRAINED}.safetensors"
    save_file(timm.create_model(TRAINED).state_dict(), path)
    settings = settings_of("digits", epochs)
    training = replace(settings.training, models=(TRAINED,), img_size=SIDE, checkpoint=str(path))
    return replace(settings, training=training)


def genomes(count: int) -> list[Genome]:
    """Return recipes of the default space, always the same."""
    space = SearchSpace.from_dict(default_genes([TRAINED]))
    return [space.sample(generator(0, "precision", number)) for number in range(count)]


def trainings(count: int, epochs: int) -> Iterator[Pair]:
    """Yield what becomes of each recipe; those of which a training failed are left out."""
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_with_weights(Path(folder), epochs)
        tuners = {
            amp: fine_tuner(replace(settings, training=replace(settings.training, amp=amp)))
            for amp in (False, True)
        }
        for number, genome in enumerate(genomes(count)):
            found, took = {}, {}
            for amp, tuner in tuners.items():
                start = time.process_time()
                found[amp] = tuner.evaluate(Trial(number, genome, derive(0, "precision", number)))
                took[amp] = time.process_time() - start
            click.echo(f"recipe {number} of {count}: {took}", err=True)
            if all(outcome.status is Status.OK for outcome in found.values()):
                recipe = tuners[True].express(genome)
                frozen = recipe.freeze_depth / tuners[True].express.facts[TRAINED].layer_groups
                accuracy = {amp: found[amp].score for amp in found}
                yield Pair(number, frozen, accuracy[False], accuracy[True], took[False], took[True])


def report(rows: list[Row], pairs: list[Pair], count: int, epochs: int) -> str:
    """Return what was measured as Markdown."""
    caps = getattr(torch.cpu, "get_capabilities", dict)()
    has = [name for name in NATIVE if caps.get(name)]
    say = ", ".join(f"{name} {versions().get(name, '')}" for name in ("torch", "timm"))
    lines = [
        "# bfloat16 on a CPU",
        "",
        f"`python benchmarks/precision.py` on one core ({platform.machine()}, "
        f"{' and '.join(has) or 'no bfloat16'}); {say}.",
        "",
        "Milliseconds of processor time to pass a batch forward and back through what trains, by "
        f"the backbone's density. evoft takes bfloat16 from a density of {DENSE:g} on.",
        "",
        "| backbone | image | density | frozen | batch | float32 | bfloat16 | times |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.model} | {r.side} | {r.density:.0f} | {r.frozen:g} | {r.batch} | {r.whole:.1f} "
        f"| {r.half:.1f} | {r.gain:.2f} |"
        for r in sorted(rows, key=lambda row: (row.density, row.model, row.frozen, row.batch))
    ]
    for words, some in (
        (f"from {DENSE:g} on", [row.gain for row in rows if row.density >= DENSE]),
        (f"below {DENSE:g}", [row.gain for row in rows if row.density < DENSE]),
    ):
        if some:
            lines += ["", f"With a density {words}: {min(some):.2f} to {max(some):.2f} times as "
                      f"fast in bfloat16, median {median(some):.2f}."]  # fmt: skip
    if len(pairs) > 1:
        apart = [100 * (pair.half - pair.whole) for pair in pairs]
        whole, half = ([100 * getattr(p, way) for p in pairs] for way in ("whole", "half"))
        spent = [sum(getattr(p, f"{way}_seconds") for p in pairs) for way in ("whole", "half")]
        lines += [
            "",
            f"{count} recipes of the default space, {TRAINED} on digits at {SIDE} pixels for "
            f"{epochs} epochs from drawn weights, one seed each; {len(pairs)} went well both ways. "
            f"Validation accuracy {mean(whole):.1f} ± {stdev(whole) / len(pairs) ** 0.5:.1f} % in "
            f"float32, {mean(half):.1f} ± {stdev(half) / len(pairs) ** 0.5:.1f} % in bfloat16; "
            f"paired, {mean(apart):+.2f} ± {stdev(apart) / len(pairs) ** 0.5:.2f} points. "
            f"Processor time of all of it, a trial at a time in one process: {spent[0]:.0f} s and "
            f"{spent[1]:.0f} s, {spent[0] / spent[1]:.2f} times.",
            "",
            "| recipe | frozen | float32, % | bfloat16, % | float32, s | bfloat16, s |",
            "|---|---|---|---|---|---|",
            *(f"| {p.recipe} | {p.frozen:.2f} | {100 * p.whole:.1f} | {100 * p.half:.1f} "
              f"| {p.whole_seconds:.1f} | {p.half_seconds:.1f} |" for p in pairs),
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--model", "models", multiple=True, default=tuple(BACKBONES),
              type=click.Choice(tuple(BACKBONES)), help="Whose steps are timed.")  # fmt: skip
@click.option("--seconds", default=1.0, show_default=True, help="A row takes about as long.")
@click.option("--count", default=24, show_default=True, help="Recipes that are trained.")
@click.option("--epochs", default=4, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=HERE / "results")
def main(models: tuple[str, ...], seconds: float, count: int, epochs: int, out: Path) -> None:
    """Measure and write ``precision.json`` and ``precision.md``."""
    torch.set_num_threads(1)
    rows: list[Row] = []
    for model in models:
        for row in steps(model, BACKBONES[model], seconds):
            rows.append(row)
            click.echo(f"{row}, {row.gain:.2f} times", err=True)
    pairs = list(trainings(count, epochs))
    found: dict[str, Any] = {
        "versions": versions(), "rows": [asdict(row) for row in rows],
        "trainings": [asdict(pair) for pair in pairs],
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    (out / "precision.json").write_text(json.dumps(found, indent=1) + "\n")
    text = report(rows, pairs, count, epochs)
    (out / "precision.md").write_text(text)
    click.echo(text)


if __name__ == "__main__":
    main()

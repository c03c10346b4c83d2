"""What ``throughput.py`` found, as a page."""

import platform
import statistics
from typing import Any

import numpy as np

from evoft.recipe import Recipe

#: Why the means of a task differ, as it was measured apart from the run that a page shows.
_APART = {
    "sign_digits": """
Where that comes from was measured apart from this run, in points, paired by recipe, with the
standard error over recipes. With `--views 0`, which augments anew in each epoch as the script
does, evoft's mean is 43.6 ± 4.9: 5.5 ± 1.3 less than with views, and 3.2 ± 1.1 more than the
script's, which then was 40.5 ± 4.4. Where images are neither changed nor mixed both sides are
alike (recipe 20, three seeds: 88.1 ± 1.3 and 90.2 ± 0.8; recipe 19, one seed: 87.1 and 87.1).
What differs is what is made of images:

- The script changes and mixes them by torchvision. Six recipes with `--views 0` (11, 13, 14,
  15, 19, 21), four seeds each: 5.7 ± 1.2 more for evoft. With the script's transforms,
  rectangles and partners put into evoft nothing of it is left (all but 13: -1.0 ± 1.1). On
  recipe 19 with mixing alone, three seeds: 3.6 ± 0.9 because torchvision's CutMix cuts its
  rectangle off at the border and so mixes more, 3.6 ± 1.3 because evoft's partners are a random
  order, in which one image a batch, here of 8, is its own on average. What is erased is the
  image's mean colour in evoft and grey in the script (2.3 ± 2.8 there), what is shifted in the
  colours of the border and grey (1.7 ± 3.0).
- Views, where layers are frozen. Seven recipes (6, 11, 14, 15, 16, 21, 23), one or two seeds
  each: 11.5 ± 1.3. Of that, 5.0 ± 1.2 come with the lower strengths (with two views full
  strength for a share of `augment / (1 + augment)` and none for the others), drawn anew in each
  epoch. The other 6.5 ± 2.1 come with mixing behind the frozen layers: that versions are fixed
  gives 0.0 ± 1.3 where nothing is mixed, and views as a whole give 1.3 ± 1.6 there.
""".splitlines(),
}


def report(found: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    runs = found["runs"]
    wall = {way: statistics.median(r["wall"] for r in done) for way, done in runs.items()}
    lines = [
        f"# Throughput on {found['task']}",
        "",
        *_circumstances(found),
        "",
        "| | evoft | one process a trial | warm processes |",
        "|---|---|---|---|",
        f"| wall time, s | {wall['evoft']:.1f} | {wall['scripts']:.1f} | {wall['warm']:.1f} |",
        f"| times evoft | 1 | {wall['scripts'] / wall['evoft']:.2f} | "
        f"{wall['warm'] / wall['evoft']:.2f} |",
    ]
    memory = [max(r["peak_memory"] for r in done) / 2**20 for done in runs.values()]
    whose = "device memory" if found["device"] == "cuda" else "memory"
    lines.append(f"| peak {whose} of a process, MiB | {' | '.join(f'{m:.0f}' for m in memory)} |")
    if found["images"]:
        lines += _device(runs)
    lines += [
        *_means(found["task"], runs),
        *_failures(runs["evoft"][0]),
        "",
        *_seconds(runs),
        *_shares(found),
        "",
        *_accuracies(runs),
    ]
    return "\n".join(lines) + "\n"


def _circumstances(found: dict[str, Any]) -> list[str]:
    count = len(found["runs"]["evoft"])
    rounds = f"medians of {count} alternating rounds" if count > 1 else "one round"
    where = f"{found['cores']} CPU cores ({platform.machine()})"
    if found["device"] == "cuda":
        where = f"one {found['runs']['evoft'][0]['gpus'][0]}, {where}"
    lines = [
        f"{len(found['runs']['evoft'][0]['recipes'])} recipes of the default space, "
        f"{found['epochs']} epochs each, on {where}; torch {found['versions']['torch']}, "
        f"timm {found['versions']['timm']}; {rounds}.",
    ]
    if images := found["images"]:
        lines[0] += (
            f"  {found['model']} from random weights, one file for all; {images} drawn images of "
            f"{found['size']} px.  "
            + (
                f"The device was watched by {found['watched_by']}."
                if found["watched_by"]
                else "Nothing here tells how busy a device is."
            )
        )
    ways = "; ".join(
        f"{way['at_a_time']} at a time with {way['loader_workers']} loader processes each "
        f"{way['seconds']:.1f}"
        for way in found["ways"]
    )
    given = found["way"]
    said = (
        f"Scripts were run in the fastest of these ways (seconds for some of the recipes): {ways}."
        if ways
        else f"Scripts were run {given[0]} at a time with {given[1]} loader processes each."
    )
    if found["device"] == "cuda":
        said += f"  evoft took {found['runs']['evoft'][0]['workers']} workers."
    else:
        said += "  " + _memory(found)
    return [*lines, "", said]


def _memory(found: dict[str, Any]) -> str:
    """Return how freed memory was gone about on a CPU."""
    if tunables := found.get("tunables"):
        return f"All of them were run with `GLIBC_TUNABLES={tunables}`."
    said = (
        "Scripts leave `malloc` as it is, as most people's do; evoft's workers keep what they "
        "free ([freed_memory.md](freed_memory.md))."
    )
    if found["task"] == "sign_digits":
        said += "  All with the workers' settings: [apart](throughput_sign_digits_kept.md)."
    return said


def _means(task: str, runs: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return the row of mean accuracies, and what is to be said where they are not alike."""
    means, errors = [], []
    for done in runs.values():
        values = np.nan_to_num(np.array(done[0]["accuracies"], dtype=float))
        means.append(100 * values.mean())
        errors.append(100 * values.std(ddof=1) / np.sqrt(len(values)))
    cells = [f"{mean:.1f} ± {error:.1f}" for mean, error in zip(means, errors, strict=True)]
    lines = [f"| mean accuracy ± standard error, % | {' | '.join(cells)} |"]
    if max(means) - min(means) > max(errors):
        lines += ["", "**The mean accuracies differ by more than a standard error.**"]
        lines += _APART.get(task, [])
    return lines


def _failures(first: dict[str, Any]) -> list[str]:
    """Return what is to be said of evoft's trials that did not end well; of a script none may."""
    failed = [
        f"{place} {status} ({reason})"
        for place, (status, reason) in enumerate(
            zip(first["statuses"], first.get("reasons", first["statuses"]), strict=True)
        )
        if status != "ok"
    ]
    return ["", f"Of evoft's trials these did not end well: {'; '.join(failed)}."] if failed else []


def _device(runs: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return the rows on the device as a whole, seen from outside."""

    def row(key: str, scale: float, digits: int) -> str:
        cells = []
        for done in runs.values():
            seen = [r["watched"][key] * scale for r in done if r["watched"]]
            cells.append(f"{statistics.median(seen):.{digits}f}" if seen else "unknown")
        return " | ".join(cells)

    return [
        f"| device busy, % of the wall time | {row('busy', 100, 0)} |",
        f"| most device memory taken, all processes, MiB | {row('memory', 2**-20, 0)} |",
    ]


def groups_of(first: dict[str, Any]) -> dict[str, list[int]]:
    """Return the recipes by how much of the backbone they freeze."""
    shares = [r["freeze_depth"] / first["layer_groups"] for r in first["recipes"]]
    return {
        "all": list(range(len(shares))),
        "frozen at 3/4 or deeper": [i for i, s in enumerate(shares) if s >= 0.7],
        "frozen in part": [i for i, s in enumerate(shares) if 0 < s < 0.7],
        "nothing frozen": [i for i, s in enumerate(shares) if s == 0],
    }


def _seconds(runs: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = ["Seconds of the trials themselves, summed, median of the rounds:", "",
             "| recipes | number | evoft | one process a trial | ratio | warm | ratio |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, places in groups_of(runs["evoft"][0]).items():
        sums = [
            statistics.median(sum(r["seconds"][i] for i in places) for r in done)
            for done in runs.values()
        ]
        ratios = [f"{s / sums[0]:.1f}" if sums[0] else "-" for s in sums]
        lines.append(
            f"| {name} | {len(places)} | {sums[0]:.1f} | {sums[1]:.1f} | {ratios[1]} | "
            f"{sums[2]:.1f} | {ratios[2]} |"
        )
    return lines


def _shares(found: dict[str, Any]) -> list[str]:
    """Return the table of where the time of evoft's trials goes, if that was looked at."""
    shares: dict[str, float] | None = found["shares"]
    if not shares:
        return []
    waits = ", each clock waiting for the device" if found["device"] == "cuda" else ""
    return [
        "",
        f"Where the time of evoft's trials goes, one at a time in one process{waits}:",
        "",
        f"| {' | '.join(shares)} |",
        "|" + "---|" * len(shares),
        f"| {' | '.join(f'{100 * share:.1f} %' for share in shares.values())} |",
    ]


def _accuracies(runs: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = ["Accuracy of each trial, %:", "",
             "| recipe | frozen groups | batch | evoft | script | warm |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for i, values in enumerate(runs["evoft"][0]["recipes"]):
        recipe = Recipe(**values)
        cells = " | ".join(f"{100 * (done[0]['accuracies'][i] or 0):.1f}" for done in runs.values())
        lines.append(f"| {i} | {recipe.freeze_depth} | {recipe.batch_size} | {cells} |")
    return lines

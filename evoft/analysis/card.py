"""The model card that an exported model carries."""

from __future__ import annotations

from evoft.analysis.report import Report, comparison_rows, gain_sentence, optimism_sentence
from evoft.header import Header
from evoft.individual import Individual

_LOADING = """```python
import timm

model = timm.create_model("local-dir:FOLDER", pretrained=True).eval()
config = timm.data.resolve_data_config({}, model=model)
transform = timm.data.create_transform(**config, is_training=False)
labels = model.pretrained_cfg.get("label_names")
```"""


def model_card(header: Header, individual: Individual, report: Report | None) -> str:
    """Return the text of the folder's README.md.

    Args:
        header: Facts of the run.
        individual: Whose model it is.
        report: What the run found, when the model is that of its winner.
    """
    data = header.data
    splits = ", ".join(f"{count} {split}" for split, count in data["splits"].items())
    classes = [str(name) for name in data["classes"]]
    shown = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
    model = individual.genome.get("model", header.settings["training"]["models"][0])
    parts = [
        "---\nlibrary_name: timm\npipeline_tag: image-classification\ntags: [timm, evoft]\n---\n",
        f"# {model} fine-tuned on {data['name']}\n",
        f"Individual {individual.id} of an evoft population: bred in generation "
        f"{individual.generation} by {individual.operator}"
        + (f" from {' and '.join(map(str, individual.parents))}" if individual.parents else "")
        + ".\n",
        f"- images: {splits}\n- classes ({len(classes)}): {shown}",
        f"- data fingerprint: `{data['fingerprint']}`",
        f"- evoft {header.environment.get('evoft')}, timm {header.environment.get('timm')}, "
        f"torch {header.environment.get('torch')}\n",
        "## How good it is\n",
        *(_results(report) if report else [_unjudged(individual)]),
        "## How to load it\n",
        _LOADING + "\n",
        "Or without writing code: `evoft predict FOLDER IMAGE...`. `recipe.json` holds how it was "
        "trained, `metrics.json` the numbers above.\n",
    ]
    return "\n".join(parts)


def _unjudged(individual: Individual) -> str:
    return (
        f"Validation accuracy {100 * individual.fitness:.1f} % in the search, where it was one of "
        "many that were compared: an optimistic number. The test split was not read for it.\n"
    )


def _results(report: Report) -> list[str]:
    lines = ["| | this model | default recipe |", "|---|---|---|"]
    lines += [f"| {name} | {mine} | {other} |" for name, mine, other in comparison_rows(report)]
    return [
        "\n".join(lines) + "\n",
        gain_sentence(report) + "\n",
        f"The test split was read {report.readings} time{'s' if report.readings > 1 else ''}. "
        f"{optimism_sentence(report)}\n",
    ]

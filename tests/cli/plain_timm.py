"""What an exported model says by plain timm, without evoft."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Reads images with timm's own transform, and nothing of evoft's.
ALONE = """
import json, sys
from pathlib import Path
import timm, torch
from PIL import Image
folder, data = sys.argv[1:]
torch.set_num_threads(1)
model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
config = timm.data.resolve_data_config({}, model=model)
transform = timm.data.create_transform(**config, is_training=False)
labels = json.loads(Path(folder, "config.json").read_text())["label_names"]
said = {}
for path in sorted(Path(data).glob("*/*.png")):
    with torch.inference_mode():
        row = model(transform(Image.open(path).convert("RGB"))[None]).softmax(1)[0]
    said[str(path)] = [labels[int(row.argmax())], float(row.max())]
print(json.dumps(said))
"""


def told_by_timm(model: Path, images: Path) -> dict[str, list[Any]]:
    """Return the label and its probability of each image in class folders, by plain timm."""
    alone = subprocess.run(
        [sys.executable, "-c", ALONE, str(model), str(images)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    said: dict[str, list[Any]] = json.loads(alone.stdout)
    return said


def right_of(said: Mapping[str, list[Any]]) -> int:
    """Return how many images are of the class that was told."""
    return sum(label == path.split("/")[-2] for path, (label, _) in said.items())

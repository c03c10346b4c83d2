"""Where a run may write: what is refused before anything is trained."""

from __future__ import annotations

import os
from pathlib import Path

from evoft.errors import StorageError
from evoft.lineage import Paths
from evoft.places import place
from evoft.training.data.folders import lies_among_images


def is_export(folder: Path) -> bool:
    """Tell whether a folder is what evoft exported earlier."""
    return all(os.path.isfile(folder / name) for name in ("recipe.json", "model.safetensors"))


def require_free(folder: Path) -> None:
    """Refuse to export where something else is, or where nothing can be written.

    Raises:
        StorageError: The folder is there and not empty, is no folder, or cannot be made.
    """
    try:
        if os.listdir(folder):
            raise StorageError(f"{folder} is there already and not empty: name another folder")
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        if os.path.exists(folder):
            raise StorageError(f"{folder} is there already and no folder: name another") from None
    except OSError as error:
        raise StorageError(f"{folder} cannot be used ({error.strerror}): name another") from None
    require_writable(folder, "no model can be exported there")


def require_writable(path: Path, in_vain: str) -> None:
    """Refuse to make a file or folder where there is no way to.

    Args:
        path: What is to be made; folders on the way to it need not be there.
        in_vain: What cannot be done then, for the error.

    Raises:
        StorageError: The folder that it would be made in cannot be written to, or is none.
    """
    folder = next(parent for parent in path.absolute().parents if os.path.exists(parent))
    if not os.path.isdir(folder):
        raise StorageError(f"{folder} is no folder, so {in_vain}: name another")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(f"{folder} cannot be written to, so {in_vain}: name another folder")


def require_apart_from_population(output: Path, file: Path) -> None:
    """Refuse a folder for the best model that holds the population, or is a part of it.

    Raises:
        StorageError: It does, or is.
    """
    paths, folder = Paths.of(file), Path(os.path.realpath(output))
    own = (paths.file, paths.journal, paths.checkpoints)
    if any(folder in (path, *path.parents) for path in own) or paths.checkpoints in folder.parents:
        raise StorageError(
            f"the model cannot go to {output}, for the population {file} has its files there: name "
            f"a folder for it alone, such as {file.with_suffix('.best')}"
        )


def require_apart_from_images(output: Path, file: Path, data: str, *, new: bool) -> None:
    """Refuse to write where the next reading of the images would find a class.

    Args:
        output: The folder for the best model.
        file: The population file.
        data: Where the images are.
        new: Whether the population is still to be made; one that is there stays where it is.

    Raises:
        StorageError: The folder, or that of the checkpoints, would be taken for one of images.
        DataError: A folder of images cannot be read.
    """
    if new:
        checkpoints = Paths.of(file).checkpoints
        _require_no_class(checkpoints, data, f"the population cannot go to {file}", " with --file")
    require_model_apart_from_images(output, data, " with --output")


def require_model_apart_from_images(folder: Path, data: str, flag: str = "") -> None:
    """Refuse a folder for a model that the next reading of the images would take for a class.

    Args:
        folder: Where the model is to go.
        data: Where the images are.
        flag: What names another, for the error.

    Raises:
        StorageError: The folder would be taken for one of images.
        DataError: A folder of images cannot be read.
    """
    path = Path(os.path.realpath(folder))
    _require_no_class(path, data, f"the model cannot go to {folder}", flag)


def _require_no_class(path: Path, data: str, what: str, flag: str) -> None:
    root = os.path.realpath(place(data))
    if data == "digits" or not os.path.isdir(root):
        return
    if lies_among_images(root, str(path)):
        raise StorageError(
            f"{what}, for in {root} each folder is taken for a class of images: name another "
            f"place{flag}"
        )

"""Image data: what there is, how it is split, and its pixels as one array.

The parent process of a run imports this room, so neither torch nor timm is imported here.
"""

from evoft.training.data.decoding import decode, load_from, load_one
from evoft.training.data.folders import images_below
from evoft.training.data.images import SPLITS, ArrayPixels, FilePixels, Found, Images
from evoft.training.data.limiting import limit
from evoft.training.data.parallel import for_each
from evoft.training.data.preprocessing import Preprocessing
from evoft.training.data.reading import find, read_images
from evoft.training.data.unusable import told_of_all

__all__ = [
    "SPLITS",
    "ArrayPixels",
    "FilePixels",
    "Found",
    "Images",
    "Preprocessing",
    "decode",
    "find",
    "for_each",
    "images_below",
    "limit",
    "load_from",
    "load_one",
    "read_images",
    "told_of_all",
]

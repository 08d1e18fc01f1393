"""Pictures: opened safely whatever they are, cut into tiles, turned into tensors and back, saved whole.

    photo = open_image("photo.jpg")          # an upright RGB picture, or an ImageError in one sentence
    pixels = to_tensor(photo)                # (1, 3, H, W), float32 in [0, 1]
    save_image(to_image(pixels), "out.png")

A picture that was opened remembers in ``info["source"]`` which file it came from, and nothing else of that file's
metadata. A picture that carries ``info["provenance"]`` takes it along into the file that it is saved as.
"""

from creative.images.colours import LUMA, colour_statistics, lightness, recoloured, with_lightness
from creative.images.masks import fitting_mask, recorded_masks
from creative.images.opening import (
    MAX_BYTES,
    MAX_PIXELS,
    OPENED,
    ImageError,
    Source,
    in_rgb,
    open_image,
    open_mask,
    picture_files,
    pixel_sha256,
    source_of,
)
from creative.images.pixels import fit, resize, to_image, to_tensor
from creative.images.saving import MAX_NOTE, SAVED_AS, Note, check_output, encoded, read_note, save_image
from creative.images.sheets import contact_sheet
from creative.images.tiling import Tile, core_of, tiles

__all__ = [
    "LUMA",
    "MAX_BYTES",
    "MAX_NOTE",
    "MAX_PIXELS",
    "OPENED",
    "SAVED_AS",
    "ImageError",
    "Note",
    "Source",
    "Tile",
    "check_output",
    "colour_statistics",
    "contact_sheet",
    "core_of",
    "encoded",
    "fit",
    "fitting_mask",
    "in_rgb",
    "lightness",
    "open_image",
    "open_mask",
    "picture_files",
    "pixel_sha256",
    "read_note",
    "recoloured",
    "recorded_masks",
    "resize",
    "save_image",
    "source_of",
    "tiles",
    "to_image",
    "to_tensor",
    "with_lightness",
]

"""Pictures with sentences about them, in whichever layout they come: which it is, is found out.

captioned = read_captions(Path("flickr8k"))
captioned.layout, len(captioned)                    # "Flickr token file", 8091
captioned.of("train")[0].sentences                  # ("A child in a pink dress is climbing up stairs .", ...)
captioned.told()                                    # "8,091 pictures with 40,455 sentences (...); left out: ..."

Read ``layouts`` (which there are), ``matching`` (names and pictures) and ``reading`` (where they are looked for).
"""

from creative.data.captions.layouts import SPLITS, CaptionsError
from creative.data.captions.matching import Captioned, CaptionedPicture, check_pictures
from creative.data.captions.reading import read_captions

__all__ = ["SPLITS", "Captioned", "CaptionedPicture", "CaptionsError", "check_pictures", "read_captions"]

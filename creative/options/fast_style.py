"""Settings of painting at once: one pass of a network that learned to paint."""

from __future__ import annotations

from creative.options.style_transfer import LikenessSettings, StrokeSettings, StylizeSettings

ANY_PAINTING = "instant-style"
"""The bundled network that paints like any painting."""


class InstantSettings(StrokeSettings, LikenessSettings):
    """How to paint at once: what of ``StylizeSettings`` one pass can do, with the same meanings and defaults."""

    @classmethod
    def of(cls, settings: StylizeSettings) -> InstantSettings:
        """What one pass can do of the settings of painting by optimisation."""
        return cls(**{name: getattr(settings, name) for name in cls.model_fields})

    def recorded(self) -> StylizeSettings:
        """As ``creative style --instant`` takes them, and as a result remembers them."""
        return StylizeSettings(**self.model_dump(), instant=True)

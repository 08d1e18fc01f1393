"""Pictures, their translations and the way back, side by side on one sheet."""

from creative.images import contact_sheet as sheet

__all__ = ["sheet"]

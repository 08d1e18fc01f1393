"""Drawing, restyling and filling in with a text-to-image pipeline of somebody's own choice, through ``diffusers``.

    run(draw_with_pipeline("models/sd-turbo", "a harbour at dusk, oil painting"))
    run(draw_with_pipeline("models/sd-turbo", "in the style of Monet", DiffuseSettings(strength=0.4), photo=photo))

Read ``drawing``, the way from words to a picture; then ``place`` (what may be read), ``loading`` (with what is added)
and ``keeping`` (for the next job), ``known`` (how it wants to be used), ``memory``, ``calling`` and ``pictures``.
"""

from creative.engines.diffusion.pipelines.drawing import draw_with_pipeline
from creative.engines.diffusion.pipelines.place import PipelineError

__all__ = ["PipelineError", "draw_with_pipeline"]

"""One photo painted in every way that there is, one after another, and measured: a sheet, and figures for each.

    comparison = run(compare(photo, load_preset("starry-night")))
    comparison.picture.save("compared.png")
    for one in comparison.results:
        print(one.title, one.seconds, one.distances[0].style)

The ways are in ``ways``, their order of events in ``comparing``, the distances in ``judging``, time and memory in
``meter``, and the sheet in ``sheet``.
"""

from creative.engines.compare.comparing import Comparison, Painted, compare
from creative.engines.compare.judging import Distances
from creative.engines.compare.ways import CompareError

__all__ = ["CompareError", "Comparison", "Distances", "Painted", "compare"]

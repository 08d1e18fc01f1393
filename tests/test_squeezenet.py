"""Our SqueezeNet against torchvision's."""

import pytest
import torch
from torchvision import models

from creative.models.squeezenet import SqueezeNet


@pytest.mark.parametrize("version", ["1_0", "1_1"])
def test_it_is_torchvisions_network(version: str) -> None:
    theirs = getattr(models, f"squeezenet{version}")(weights=None).eval()
    ours = SqueezeNet(version).eval()  # type: ignore[arg-type]
    ours.load_state_dict(theirs.state_dict())
    picture = torch.rand(1, 3, 65, 70, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(picture), theirs(picture))

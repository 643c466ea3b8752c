"""Muon against the singular value decomposition and against torch.optim.Muon, which iterates in bfloat16."""

import pytest
import torch

from rl.models.muon import Muon, orthogonalized


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 16, 4), (1, 4, 16)])
def test_singular_vectors_stay_and_singular_values_become_about_one(shape):
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(shape, generator=generator)
    u, _, vt = torch.linalg.svd(matrices, full_matrices=False)
    inner = u.mT @ orthogonalized(matrices) @ vt.mT
    values = inner.diagonal(dim1=-2, dim2=-1)
    assert torch.all((values > 0.6) & (values < 1.3))
    assert torch.allclose(inner, torch.diag_embed(values), atol=1e-3)
    assert torch.isfinite(orthogonalized(torch.zeros(shape))).all()


@pytest.mark.parametrize("shape", [(16, 16), (32, 8), (8, 32)])
def test_steps_are_those_of_torch(shape):
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(shape, generator=generator)
    gradients = [torch.randn(shape, generator=generator) for _ in range(3)]
    ends = []
    for kind, more in ((Muon, {}), (torch.optim.Muon, {"adjust_lr_fn": "original"})):
        parameter = torch.nn.Parameter(start.clone())
        optimizer = kind([parameter], lr=0.1, weight_decay=0.1, momentum=0.9, **more)
        for gradient in gradients:
            parameter.grad = gradient.clone()
            optimizer.step()
        ends.append(parameter.detach() - start)
    assert (ends[0] - ends[1]).norm() < 0.02 * ends[1].norm()
    # Negative control: plain momentum of the same size goes elsewhere.
    plain = -sum(gradients) / sum(gradients).norm() * ends[1].norm()
    assert (plain - ends[1]).norm() > 0.1 * ends[1].norm()


def test_vectors_are_refused():
    with pytest.raises(ValueError, match="params: Muon takes matrices"):
        Muon([torch.nn.Parameter(torch.zeros(3))], lr=0.1)

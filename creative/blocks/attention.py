"""Attention: from every query a weighted mean of a memory, by likeness of query and place, in several heads.

Luong et al., 2015, Effective Approaches to Attention-based Neural Machine Translation, arXiv:1508.04025, with their
"general" score; in heads as in Vaswani et al., 2017, Attention Is All You Need, arXiv:1706.03762.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Attention of queries to a memory.

    Differs from Vaswani et al.: there are no projections to keys and values. A head's query is made as long as a place
    of the memory instead, and the means are projected, which comes to the same products; with few queries and a long
    memory it costs a tenth.

        attention = Attention(256, 128, num_heads=4)
        y = attention(queries, memory, present)     # (B, U, 256), (B, T, 128), (B, T) bool -> (B, U, 256)

    Args:
        query_size, memory_size: numbers per query and per place of the memory.
        num_heads: how many means are taken.
    """

    def __init__(self, query_size: int, memory_size: int, *, num_heads: int) -> None:
        super().__init__()
        self.num_heads, self.scale = num_heads, memory_size**-0.5
        self.query = nn.Linear(query_size, num_heads * memory_size)
        self.output = nn.Linear(num_heads * memory_size, query_size)

    def forward(self, queries: Tensor, memory: Tensor, present: Tensor) -> Tensor:
        """Means for each query.

        Args:
            queries: (B, U, query_size).
            memory: (B, T, memory_size).
            present: (B, T) bool, where the memory holds anything.

        Returns:
            (B, U, query_size).
        """
        return self.read(self.weights(queries, memory, present), memory)

    def read(self, weights: Tensor, memory: Tensor) -> Tensor:
        """What is found where the weights say: (B, U, heads, T), (B, T, memory_size) -> (B, U, query_size)."""
        means = weights.to(memory.dtype).flatten(1, 2) @ memory
        return self.output(means.unflatten(1, (-1, self.num_heads)).flatten(2))

    def weights(self, queries: Tensor, memory: Tensor, present: Tensor) -> Tensor:
        """How much each place counts for each query and head: (B, U, heads, T), each row's sum being 1."""
        split = self.query(queries).unflatten(-1, (self.num_heads, -1)).flatten(1, 2)  # (B, U · heads, memory_size)
        likeness = torch.baddbmm(
            torch.where(present, 0.0, -torch.inf)[:, None].to(memory.dtype),
            split.to(memory.dtype),
            memory.transpose(1, 2),
            alpha=self.scale,
        )
        return likeness.float().softmax(-1).unflatten(1, (-1, self.num_heads))

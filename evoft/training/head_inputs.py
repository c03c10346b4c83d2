"""The batches of linear heads that train together, each head's from its own feed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from evoft.seeds import derive
from evoft.training.feed import Feed
from evoft.training.head_memory import ROW


class Dropout:
    """One trial's dropout before its head: ``nn.Dropout`` in a tenth of its time.

    Args:
        rate: Of what is dropped, ``[0, 1)``, rounded to 1 / 65536.
        seed: The trial's.
    """

    def __init__(self, rate: float, seed: int) -> None:
        #: Sixteen random bits keep a value from this number on.
        self._dropped = round(rate * 2**16)
        self._generator = Generator().manual_seed(derive(seed, "layers"))

    @property
    def active(self) -> bool:
        """Whether anything is dropped."""
        return self._dropped > 0

    def apply(self, inputs: Tensor) -> None:
        """Drop some of ``inputs`` and scale up the rest, in place."""
        words = torch.empty(-(-inputs.numel() // 4), dtype=torch.int64)
        words.random_(-(2**63), None, generator=self._generator)
        bits = words.view(torch.int16)[: inputs.numel()].view(inputs.shape)
        kept = bits >= self._dropped - 2**15
        inputs.mul_(kept.to(inputs.device)).mul_(2**16 / (2**16 - self._dropped))


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of each head; its tensors are written over by the next one."""

    #: ``(heads, batch, features)``.
    inputs: Tensor
    #: ``(heads, classes, batch)``; over the classes they sum to one.
    targets: Tensor
    #: ``(heads, batch)``, of the images before they were mixed.
    labels: Tensor


class Batches:
    """The batches of several heads.

    Args:
        feeds: One a head, all with batches of one size and as many of them.
        dropouts: One a head.
        classes: Width of the targets.
    """

    def __init__(self, feeds: Sequence[Feed], dropouts: Sequence[Dropout], classes: int) -> None:
        self._feeds = feeds
        self._dropouts = dropouts
        self._bank, self._first = _bank(feeds)
        heads, batch, width = len(feeds), feeds[0].batch, self._bank.shape[1]
        device = self._bank.device
        self._memory = torch.zeros(heads * batch, width, device=device)
        features = feeds[0].pools[0].shape[1]
        self._inputs = self._memory.view(heads, batch, width)[:, :, :features]
        self._targets = torch.zeros(heads, classes, batch, device=device)

    def epoch(self) -> Iterator[Batch]:
        """Yield the batches of the next epoch, which must be taken to the end."""
        feeds, batch = self._feeds, self._feeds[0].batch
        shape = (self._feeds[0].steps, len(feeds), batch)
        rows = torch.empty(shape, dtype=torch.int64, device=self._bank.device)
        labels = torch.empty_like(rows)
        for at, feed in enumerate(feeds):
            drawn = feed.draw()
            rows[:, at] = drawn.places + self._first[at][drawn.views]
            labels[:, at] = drawn.labels
        mixing = [at for at, feed in enumerate(feeds) if feed.mixes]
        both = zip(self._dropouts, self._inputs, strict=True)
        dropping = [(dropout, inputs) for dropout, inputs in both if dropout.active]
        for step in range(len(rows)):
            torch.index_select(self._bank, 0, rows[step].flatten(), out=self._memory)
            self._targets.zero_()
            if mixing:
                self._mix(mixing, labels[step])
            else:
                self._targets.scatter_(1, labels[step][:, None], 1.0)
            for dropout, inputs in dropping:
                dropout.apply(inputs)
            yield Batch(self._inputs, self._targets, labels[step])

    def _mix(self, mixing: list[int], labels: Tensor) -> None:
        """Blend inputs with those of partners, and write targets; see ``mixing.mix``."""
        heads, batch = labels.shape
        kept = torch.ones(heads, dtype=torch.float64)
        partners = torch.arange(batch).repeat(heads, 1)
        for at in mixing:
            kept[at], partners[at] = self._feeds[at].mixture()
        partners = partners.to(labels.device)
        keeps = kept.float().to(labels.device)[:, None, None]
        gives = (1.0 - kept).float().to(labels.device)[:, None, None]
        chosen = torch.tensor(mixing, device=labels.device)
        inputs = self._memory.view(heads, batch, -1)
        own = inputs[chosen]
        others = own.gather(1, partners[chosen][:, :, None].expand_as(own))
        inputs[chosen] = own.mul_(keeps[chosen]).add_(others.mul_(gives[chosen]))
        shape = heads, 1, batch
        self._targets.scatter_(1, labels[:, None], keeps.expand(shape))
        theirs = labels.gather(1, partners)
        self._targets.scatter_add_(1, theirs[:, None], gives.expand(shape))


def _bank(feeds: Sequence[Feed]) -> tuple[Tensor, list[Tensor]]:
    """Return all features that the feeds draw from as rows, and where each feed's pools begin.

    Rows are as wide as memory is aligned, so that a batch lies alike for each head.
    """
    pools = {id(pool): pool for feed in feeds for pool in feed.pools}
    starts: dict[int, int] = {}
    total = 0
    for key, pool in pools.items():
        starts[key] = total
        total += len(pool)
    first = [torch.tensor([starts[id(pool)] for pool in feed.pools]) for feed in feeds]
    (one, *others) = pools.values()
    first = [places.to(one.device) for places in first]
    width = -(-one.shape[1] // ROW) * ROW
    if not others and width == one.shape[1] and one.dtype == torch.float32:
        return one, first
    bank = torch.zeros(total, width, device=one.device)
    for key, pool in pools.items():
        bank[starts[key] : starts[key] + len(pool), : pool.shape[1]] = pool
    return bank, first

"""The batches of linear heads that train together, each head's from its own feed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from evoft.seeds import derive
from evoft.training.features.kept import gathered
from evoft.training.feed import Drawn, Feed
from evoft.training.heads.memory import ROW
from evoft.training.streams import Stream

#: Most bytes of the copy that a company makes of its features, which lie under the cache's limit as
#: they are; of more, batches are gathered from where they lie, in a few calls for each view.
_COPIED = 2**29


class Dropout(Stream):
    """One trial's dropout before its head: ``nn.Dropout`` in a tenth of its time.

    Args:
        rate: Of what is dropped, ``[0, 1)``, rounded to 1 / 65536.
        seed: The trial's.
    """

    def __init__(self, rate: float, seed: int) -> None:
        super().__init__(derive(seed, "layers"))
        #: Sixteen random bits keep a value from this number on.
        self._dropped = round(rate * 2**16)

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
        inputs.mul_(kept.to(inputs.device, non_blocking=True)).mul_(2**16 / (2**16 - self._dropped))


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of each head; its tensors are written over by the next one."""

    #: ``(heads, batch, features)``.
    inputs: Tensor
    #: ``(heads, classes, batch)``; over the classes they sum to one.
    targets: Tensor
    #: ``(heads, batch)``, of the images before they were mixed.
    labels: Tensor


@dataclass(frozen=True, slots=True)
class Bank:
    """All features that feeds draw from, once each, as numbered rows."""

    #: Features of an image.
    features: int
    #: ``(images, features)`` each.
    pools: tuple[Tensor, ...]
    #: ``(pools,)``: the number of each one's first row.
    starts: Tensor
    #: The same for each of a feed's pools.
    first: Mapping[Feed, Tensor]
    #: ``(rows, width)``, float32: all pools; None where that would take too much memory.
    rows: Tensor | None

    @staticmethod
    def of(feeds: Sequence[Feed]) -> Bank:
        """Return the bank of feeds from pools ``(images, features)``."""
        pools = {id(pool): pool for feed in feeds for pool in feed.pools}
        starts: dict[int, int] = {}
        total = 0
        for key, pool in pools.items():
            starts[key] = total
            total += len(pool)
        (one, *others) = pools.values()
        features = one.shape[1]
        first = {
            feed: torch.tensor([starts[id(pool)] for pool in feed.pools], device=one.device)
            for feed in feeds
        }
        numbers = torch.tensor(list(starts.values()), device=one.device)
        bank = Bank(features, tuple(pools.values()), numbers, first, None)
        if not others and bank.width == features and one.dtype == torch.float32:
            return replace(bank, rows=one)
        if total * bank.width * torch.float32.itemsize > _COPIED:
            return bank
        rows = torch.zeros(total, bank.width, device=one.device)
        for key, pool in pools.items():
            rows[starts[key] : starts[key] + len(pool), :features] = pool
        return replace(bank, rows=rows)

    @property
    def width(self) -> int:
        """Of a row: as memory is aligned, so that a batch lies alike for each head."""
        return -(-self.features // ROW) * ROW

    def take(self, rows: Tensor, out: Tensor) -> None:
        """Put rows, given their numbers ``(count,)``, into ``out``, ``(count, width)`` of zeros."""
        if self.rows is not None:
            torch.index_select(self.rows, 0, rows, out=out)
            return
        drawn = torch.bucketize(rows, self.starts, right=True) - 1
        (taken,) = gathered([(pool,) for pool in self.pools], rows - self.starts[drawn], drawn)
        out[:, : self.features] = taken


class Batches:
    """The batches of several heads.

    Args:
        bank: What their feeds draw from, and maybe others'.
        feeds: One a head, all with batches of one size and as many of them.
        dropouts: One a head.
        classes: Width of the targets.
    """

    def __init__(
        self, bank: Bank, feeds: Sequence[Feed], dropouts: Sequence[Dropout], classes: int
    ) -> None:
        self._bank = bank
        self._feeds = feeds
        self._dropouts = dropouts
        heads, batch, width = len(feeds), feeds[0].batch, bank.width
        device = bank.starts.device
        self._memory = torch.zeros(heads * batch, width, device=device)
        self._inputs = self._memory.view(heads, batch, width)[:, :, : bank.features]
        self._targets = torch.zeros(heads, classes, batch, device=device)

    def of(self, drawn: Sequence[Drawn]) -> Iterator[Batch]:
        """Yield the batches that were drawn for each head, as many for one as for another."""
        rows = torch.stack(
            [
                one.places + self._bank.first[feed][one.views]
                for feed, one in zip(self._feeds, drawn, strict=True)
            ],
            dim=1,
        )
        labels = torch.stack([one.labels for one in drawn], dim=1)
        mixing = [at for at, feed in enumerate(self._feeds) if feed.mixes]
        chosen = torch.tensor(mixing, dtype=torch.int64, device=rows.device)
        both = zip(self._dropouts, self._inputs, strict=True)
        dropping = [(dropout, inputs) for dropout, inputs in both if dropout.active]
        for step in range(len(rows)):
            self._bank.take(rows[step].flatten(), self._memory)
            self._targets.zero_()
            if mixing:
                self._mix(mixing, chosen, labels[step])
            else:
                self._targets.scatter_(1, labels[step][:, None], 1.0)
            for dropout, inputs in dropping:
                dropout.apply(inputs)
            yield Batch(self._inputs, self._targets, labels[step])

    def _mix(self, mixing: list[int], chosen: Tensor, labels: Tensor) -> None:
        """Blend inputs with those of partners, and write targets; see ``mixing.mix``.

        Args:
            mixing: The heads that mix.
            chosen: The same, on the device.
            labels: ``(heads, batch)``.
        """
        heads, batch = labels.shape
        kept = torch.ones(heads, dtype=torch.float64)
        partners = torch.arange(batch).repeat(heads, 1)
        for at in mixing:
            kept[at], partners[at] = self._feeds[at].mixture()
        partners = partners.to(labels.device, non_blocking=True)
        keeps = kept.float().to(labels.device, non_blocking=True)[:, None, None]
        gives = (1.0 - kept).float().to(labels.device, non_blocking=True)[:, None, None]
        inputs = self._memory.view(heads, batch, -1)
        own = inputs[chosen]
        others = own.gather(1, partners[chosen][:, :, None].expand_as(own))
        inputs[chosen] = own.mul_(keeps[chosen]).add_(others.mul_(gives[chosen]))
        shape = heads, 1, batch
        self._targets.scatter_(1, labels[:, None], keeps.expand(shape))
        theirs = labels.gather(1, partners)
        self._targets.scatter_add_(1, theirs[:, None], gives.expand(shape))

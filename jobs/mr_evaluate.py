r"""evaluate: where the held-out items of many users stand, for the model and for popularity; map, and one small reduce.

Input   `heldout <TAB> block <TAB> HeldOutBlock`: users, what they played, and what they are to be recommended
Map     folds new users in; scores of all items for a block of users; where the test items stand among what was not
        played; each metric and each replicate of the bootstrap, summed over the block
Reduce  one: adds the blocks up, in their order, and joins what was recommended to anybody
Output  `sums <TAB> 0 <TAB> Sums`, `seen <TAB> 0 <TAB> bits (model and popularity, each k, each item)`
Shuffle about 8 kB a metric and block of users; two bits an item, k and map task.

    python jobs/mr_evaluate.py --input lines --items tile-000.bin --shared shared.bin --k 10 heldout.lines     (a laptop)
    mr-als evaluate --model hdfs:///model hdfs:///test -r hadoop                                               (a cluster)
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from mr_als.engine.job import ALSJob, Pair  # before NumPy: it sets the number of BLAS threads

import numpy as np  # isort: skip

from mr_als.evaluating.measure import Items, Sums, error_sums, measure
from mr_als.maths.fold_in import fold_in
from mr_als.maths.solve import Observed
from mr_als.maths.weighing.weights import Weights
from mr_als.records.blocks import pack, unpack
from mr_als.records.held_out import HELD_OUT, HeldOutBlock, Popularity
from mr_als.records.lines import Record

SUMS, SEEN = "sums", "seen"


class MREvaluate(ALSJob):
    """Measure blocks of users."""

    SORT_VALUES = True
    KINDS = frozenset({HELD_OUT})

    def configure_args(self) -> None:
        """Add what is measured."""
        super().configure_args()
        self.add_options(Weights)
        self.add_file_arg("--items", action="append", default=[], help="a tile of items; once for each, in order")
        self.add_file_arg("--shared", help="spectrum and basis of the items' Gram matrix")
        self.add_file_arg("--popularity", help="listeners of each item, and the items in that order")
        self.add_passthru_arg("--solver", default="cg")
        self.add_passthru_arg("--k", type=int, action="append", default=[], help="ranks that count; once for each")
        self.add_passthru_arg("--within", action="store_true", help="rank the given candidates only")
        self.add_passthru_arg("--seed", type=int, default=0, help="of the bootstrap")

    def mapper_init(self) -> None:
        """Open the items."""
        super().mapper_init()
        self.items = Items(self.options.items)
        with open(self.options.shared, "rb") as file:
            self.spectrum, basis = unpack(file.read())
        self.basis = basis.reshape(len(self.spectrum), -1)
        with open(self.options.popularity, "rb") as file:
            self.popularity = Popularity.unpack(file.read())
        self.weights: Weights = self.read_options(Weights)
        self.seen = np.zeros((2, len(self.options.k), len(self.items)), bool)

    def map_record(self, record: Record) -> Iterator[Pair]:
        """Measure a block of users."""
        block = self.folded_in(HeldOutBlock.unpack(record.payload, checked=record.checked))
        errors = error_sums(block, self.items, self.spectrum, self.basis, self.weights)
        found = measure(block, self.items, self.popularity, self.options.k, self.options.seed, within=self.options.within)
        for side, rows in enumerate((found.best, found.popular)):
            for n, k in enumerate(self.options.k):
                first = rows[:, :k]
                self.seen[side, n, first[first >= 0]] = True
        sums = Sums(found.values, found.replicates, errors)
        yield from self.write_record(SUMS, record.block, sums.pack())

    def folded_in(self, block: HeldOutBlock) -> HeldOutBlock:
        """Solve the vectors of new users from what they played."""
        new = np.flatnonzero(block.new)
        if not len(new):
            return block
        entries = block.new[block.played.owners] > 0
        indptr = np.concatenate([[0], np.cumsum(np.diff(block.played.indptr)[new])])
        factors = block.factors.copy()
        observed = Observed(indptr, block.played.items[entries], block.played.plays[entries])
        eigenbasis = self.spectrum, self.basis
        factors[new] = fold_in(observed, self.items.factors_of, eigenbasis, len(self.items), self.weights, self.options.solver)
        return block._replace(factors=factors)

    def mapper_final(self) -> Iterator[Pair]:
        """Say which items were recommended to anybody."""
        yield from super().mapper_final()
        name = uuid.uuid4().hex.encode()  # keeps the pieces of a record together in the sort
        for _, (numbered, text) in self.write_record(SEEN, 0, pack([np.packbits(self.seen)])):
            yield SEEN.encode(), (name + b"/" + numbered, text)

    def reducer(self, key: bytes, values: Iterator[tuple[bytes, bytes]]) -> Iterator[Pair]:
        """Add up the sums, in the order of the blocks, or join what was seen."""
        reader = self.own_reader()
        total: Any = None
        for order, text in values:
            record = reader.add(key, (order.split(b"/")[-1], text))
            if record is None:
                continue
            if key == SEEN.encode():
                seen = unpack(record.payload)[0]
                total = seen if total is None else total | seen
            else:
                sums = Sums.unpack(record.payload)
                total = sums if total is None else total + sums
        reader.finish()
        if total is not None:
            payload = total.pack() if isinstance(total, Sums) else pack([total])
            yield from self.write_record(key.decode(), 0, payload)


JOB = MREvaluate

if __name__ == "__main__":
    MREvaluate.run()

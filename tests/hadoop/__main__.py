"""`make hadoop`: start the single-node Hadoop and say how to use it."""

from __future__ import annotations

import sys

from tests.hadoop.cluster import main

if __name__ == "__main__":
    code = main(["start"])
    if not code:
        print('# put this into a shell:  eval "$(python -m tests.hadoop.cluster env)"', file=sys.stderr)
        print("# then, for example:      hadoop fs -put sample_logs /logs", file=sys.stderr)
        print("#                         mr-als train hdfs:///logs --model hdfs:///models/m1 -r hadoop", file=sys.stderr)
        print("# and in the end:         python -m tests.hadoop.cluster stop", file=sys.stderr)
    raise SystemExit(code)

"""`make hadoop`: start the single-node Hadoop and say how to use it."""

from __future__ import annotations

import os
import sys

from local_hadoop.cluster import main

if __name__ == "__main__":
    code = main(["start"])
    if not code:
        python = os.path.relpath(sys.executable)
        command = os.path.join(os.path.dirname(python), "mr-als")
        print(f'# put this into a shell:  eval "$({python} -m local_hadoop.cluster env)"', file=sys.stderr)
        print("# then, for example:      hadoop fs -put sample_logs /logs", file=sys.stderr)
        print(f"#                         {command} train hdfs:///logs --model hdfs:///models/m1 -r hadoop", file=sys.stderr)
        print(f"# and in the end:         {python} -m local_hadoop.cluster stop", file=sys.stderr)
    raise SystemExit(code)

"""Write one small log of each format into the current directory, for docs/data-formats.md.

python docs/examples/formats.py
"""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

PLAYS = [("ann", "Sigur Rós", 3), ("ann", "Tyler, The Creator", 1), ("bob", "Sigur Rós", 12), ("bob", 'Ke$ha "live"', 2)]
LISTEN = {
    "listened_at": 1709251200,
    "user_name": "ann",
    "track_metadata": {"artist_name": "Sigur Rós", "track_name": "Svefn-g-englar"},
}
STREAM = {"ts": "2024-03-01T09:30:00Z", "ms_played": 201000, "master_metadata_album_artist_name": "Sigur Rós", "episode_name": None}
ACCOUNT = {"endTime": "2024-03-01 09:30", "artistName": "Sigur Rós", "trackName": "Svefn-g-englar", "msPlayed": 201000}
LASTFM = "user_000001\t2009-05-04T23:08:57Z\tf1b1cf71\tDeep Dish\t\tFlashdance\n"


def main() -> None:
    """Write them all."""
    files = {
        "events.tsv": "2024-03-01T09:30:00Z\tann\tSigur Rós\t201000\n1709285400\tann\tSigur Rós\t12000\n",
        "counts.tsv": "".join(f"{user}\t{item}\t{plays}\n" for user, item, plays in PLAYS),
        "named.csv": 'id,artist,username,plays\n1,"Tyler, The Creator",ann,1\n2,"Ke$ha ""live""",bob,2\n',
        "listens.jsonl": json.dumps(LISTEN, ensure_ascii=False) + "\n",
        "streaming_history.json": json.dumps([STREAM], ensure_ascii=False) + "\n",
        "StreamingHistory_music_0.json": json.dumps([ACCOUNT], ensure_ascii=False) + "\n",
        "lastfm-1k.tsv": LASTFM,
    }
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
    users, items, plays = zip(*PLAYS, strict=True)
    pa.parquet.write_table(pa.table({"user": users, "item": items, "plays": plays}), "plays.parquet")


if __name__ == "__main__":
    main()

r"""Make the sample logs: a week of an invented music service, small enough to read and to train in seconds.

    python sample_logs/_generate.py            writes them again, beside this script: the same lines, always
    python sample_logs/_generate.py DIRECTORY  writes them elsewhere

A line is `timestamp <TAB> user <TAB> item <TAB> ms_played`, the time in UTC; one file holds one day. A directory of logs
is read without the names that begin with `_` or `.`, as Hadoop does: that is why this script may lie among them.

**Items** are artists, with their genre in the name, e.g. `Copper Valley (country)`; in a genre few are famous and many
are not (Zipf). **Users** are fans of one genre (`jazz-fan-017`) or listen to two or three (`listener-0421`). Few of them
play a lot (Pareto), and all play what they like again and again. Two things make it less easy than it sounds:

- Four artists are global hits, which nearly everybody plays: popularity says nothing about taste.
- Users also try artists at random. They skip most of those within half a minute, so a skipped play says nothing.

**What a model can find**: nobody knows more than 60 % of a genre's artists, so there are always unplayed ones to recommend.

**Files** are of all the kinds that logs come in, and a few lines are bad (less than 0.1 %):

    2024-03-01.tsv       plain
    2024-03-02.tsv.gz
    2024-03-03.tsv.gz    of two gzip members, as `cat morning.gz evening.gz` makes them
    2024-03-04.tsv       begins with a byte order mark, every seventh line ends in CRLF (both are fine),
                         and among its lines stand all of `BAD_LINES`
    2024-03-05.tsv.bz2
    2024-03-06.tsv.gz    holds one line of more than 1 MiB
    2024-03-07.tsv       its last line has no line end
"""

from __future__ import annotations

import bz2
import gzip
import sys
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SEED = 2024
N_FANS, N_LISTENERS = 620, 930
# plays of a user: 8 times a Pareto number of this shape, but at most 120, and then the hits
MIN_PLAYS, MAX_PLAYS, PARETO_SHAPE = 8, 120, 1.6
# artists of a genre that a user knows: at most this share
KNOWN_SHARE = 0.6
# of a user's plays so many are of a hit, and of an artist picked at random
HIT_SHARE, TRIED_SHARE = 0.12, 0.12
# skipped plays, of artists the user likes and of those tried
SKIPPED_LIKED, SKIPPED_TRIED = 0.08, 0.85

FILES = (
    "2024-03-01.tsv",
    "2024-03-02.tsv.gz",
    "2024-03-03.tsv.gz",
    "2024-03-04.tsv",
    "2024-03-05.tsv.bz2",
    "2024-03-06.tsv.gz",
    "2024-03-07.tsv",
)
TWO_MEMBERS, BAD_DAY, LONG_DAY, LAST_DAY = FILES[2], FILES[3], FILES[5], FILES[6]

# every band is one of the first words with one of the second; the most popular genre first
GENRES = {
    "pop": ("Sugar,Neon,Paper,Glitter,Summer,Mirror,Pocket", "Parade,Hearts,Lemonade,Satellites,Balloon,Weekend"),
    "hip-hop": ("Young,Golden,Concrete,Uptown,Rhyme,Marble,Static", "Cipher,Syndicate,Ledger,Mayor,Verses,Block"),
    "rock": ("Gravel,Howling,Broken,Thunder,Red,Wild,Leather", "Highway,Jackals,Radio,Mile,Amplifier,Engines"),
    "electronic": ("Binary,Voltage,Modular,Phase,Night,Cobalt,Signal", "Circuit,Drift,Oscillator,Array,Pulse,Motion"),
    "country": ("Copper,Dusty,Prairie,Lonesome,Cedar,Wagon,Tin", "Valley,Saddle,Porch,Creek,Fiddlers,Mailbox"),
    "metal": ("Blast,Iron,Obsidian,Crypt,Molten,Wrath,Doom", "Furnace,Anvil,Serpent,Ritual,Legion,Gargoyle"),
    "latin": ("Corazón,Luna,Fuego,Ritmo,Calle,Mar,Noche", "Eléctrico,de Papel,Tropical,Dorado,del Sur,Salvaje"),
    "jazz": ("Velvet,Smoky,Midnight,Crooked,Indigo,Lamplight,Sideways", "Quartet,Trio,Avenue,Brass,Standards,Saxophones"),
    "folk": ("Willow,Barley,Heather,Lantern,Old Mill,Sparrow,River", "Weavers,Ballads,Hollow,Sisters,Lane,Hearth"),
    "classical": (
        "Linden,Alabaster,Lakeside,Hawthorn,Vesper,Royal Oak,Amber",
        "Strings,Philharmonic,Ensemble,Chorale,Sinfonia,Octet",
    ),
    "reggae": ("Island,Sunny,Roots,Lion,Harbour,Mango,Easy", "Rockers,Sound System,Vibration,Dub,Riddim,Prophets"),
    "blues": ("Muddy,Crossroad,Hollow,Delta,Whiskey,Slow Train,Catfish", "Shufflers,Moan,Slim,Howlers,Stompers,Lament"),
}
MIN_ARTISTS, MAX_ARTISTS = 25, 40
# the most popular artists of these genres are the global hits
HIT_GENRES = ("pop", "hip-hop", "rock", "latin")

_GOOD = b"2024-03-04T12:00:00Z\tlistener-0001\t"
# what is wrong, in the words of the quarantine file, and lines that are
BAD_LINES = {
    "empty line": [b""],
    "too few fields": [b"2024-03-04T12:00:00Z\tlistener-0001", b"server restarted"],
    "too many fields": [_GOOD + b"Iron\tAnvil (metal)\t201000"],
    "not a time": [
        b"yesterday" + _GOOD[20:] + b"Iron Anvil (metal)\t201000",
        b"2024-02-30" + _GOOD[10:] + b"Iron Anvil (metal)\t201000",
    ],
    "not a number": [_GOOD + b"Iron Anvil (metal)\t3:21", _GOOD + b"Iron Anvil (metal)\t201,000", _GOOD + b"Iron Anvil (metal)\t"],
    "NaN": [_GOOD + b"Iron Anvil (metal)\tNaN"],
    "infinity": [_GOOD + b"Iron Anvil (metal)\tinf", _GOOD + b"Iron Anvil (metal)\t-Infinity"],
    "negative": [_GOOD + b"Iron Anvil (metal)\t-201000"],
    "empty id": [_GOOD + b"\t201000", b"2024-03-04T12:00:00Z\t\tIron Anvil (metal)\t201000"],
    # written by a program that thinks in Latin-1
    "invalid UTF-8": [_GOOD + "Corazón Dorado (latin)".encode("latin-1") + b"\t201000"],
    "NUL": [_GOOD + b"Iron\0Anvil (metal)\t201000"],
    "control character": [_GOOD + b"\x1b[1mIron Anvil\x1b[0m (metal)\t201000", _GOOD + b"Iron Anvil\x7f (metal)\t201000"],
}
LONG_LINE = b"2024-03-06T12:00:00Z\tlistener-0001\t" + b"Doom Legion " * (1 << 17) + b"(metal)\t201000"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Artists(NamedTuple):
    """All artists.

    names : list of str (n_artists,)
    genre : int64 (n_artists,), place of their genre in `GENRES`
    popularity : float64 (n_artists,), how likely a user who listens to the genre knows them; 1 for the first of a genre
    """

    names: list[str]
    genre: Array
    popularity: Array


def draw(rng: np.random.Generator, weights: Array, n: int) -> Array:
    """Draw n places with replacement, each as likely as its weight (m,): int64 (n,)."""
    # only rng.random is used, whose numbers no version of NumPy has changed; those of rng.choice may change
    cumulative = np.cumsum(weights)
    places: Array = np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right")
    return places


def draw_different(rng: np.random.Generator, weights: Array, n: int) -> Array:
    """Draw n different places, each as likely as its weight (m,): int64 (n,), the first drawn first."""
    # whose exponential clock of rate w rings first
    return np.argsort(-np.log1p(-rng.random(len(weights))) / weights, kind="stable")[:n]


def make_artists(rng: np.random.Generator) -> Artists:
    """Invent 25 to 40 artists a genre."""
    names: list[str] = []
    genre, popularity = [], []
    for place, (name, words) in enumerate(GENRES.items()):
        first, second = (part.split(",") for part in words)
        bands = [f"{one} {other} ({name})" for one in first for other in second]
        n = MIN_ARTISTS + int(rng.random() * (MAX_ARTISTS - MIN_ARTISTS + 1))
        names += [bands[i] for i in draw_different(rng, np.ones(len(bands)), n)]
        genre += [place] * n
        popularity.append(1.0 / np.arange(1, n + 1) ** 0.7)
    return Artists(names, np.array(genre), np.concatenate(popularity))


def make_users(rng: np.random.Generator) -> list[tuple[str, Array]]:
    """Invent the users: their ids, and the places of their one to three genres, the favourite first."""
    names = list(GENRES)
    popularity = 1.0 / np.arange(1, len(names) + 1) ** 0.5
    users = []
    numbers = dict.fromkeys(names, 0)
    for place in draw(rng, popularity, N_FANS).tolist():
        numbers[names[place]] += 1
        users.append((f"{names[place]}-fan-{numbers[names[place]]:03d}", np.array([place])))
    for number in range(1, N_LISTENERS + 1):
        n_genres = 2 if rng.random() < 0.6 else 3
        users.append((f"listener-{number:04d}", draw_different(rng, popularity, n_genres)))
    return users


def tastes(rng: np.random.Generator, artists: Artists, genres: Array, n_plays: int) -> Array:
    """Say how likely a user of these genres plays each artist: float64 (n_artists,), 0 for those not known.

    Who plays more knows more artists, but never more than `KNOWN_SHARE` of a genre.
    """
    likely = np.zeros(len(artists.names))
    for order, genre in enumerate(genres.tolist()):
        members = np.flatnonzero(artists.genre == genre)
        n_known = min(int(KNOWN_SHARE * len(members)), 3 + n_plays // (2 * len(genres)))
        known = members[draw_different(rng, artists.popularity[members], n_known)]
        # every user has favourites of their own: the first known are played most
        likely[known] = 0.6**order / np.arange(1, n_known + 1) ** 0.6
    return likely


def make_plays(rng: np.random.Generator, artists: Artists, genres: Array) -> tuple[Array, Array]:
    """Play music for a week: the places of the artists and the milliseconds of each play, int64 (n_plays,) both."""
    n_plays = int(min(MIN_PLAYS / (1.0 - rng.random()) ** (1.0 / PARETO_SHAPE), MAX_PLAYS))
    liked = draw(rng, tastes(rng, artists, genres, n_plays), n_plays)
    tried = draw(rng, np.ones(len(artists.names)), n_plays)
    hits = np.flatnonzero(np.isin(artists.genre, [list(GENRES).index(g) for g in HIT_GENRES]) & (artists.popularity == 1.0))
    hit = hits[draw(rng, np.ones(len(hits)), n_plays)]
    chance = rng.random(n_plays)
    is_hit, is_tried = chance < HIT_SHARE, chance > 1.0 - TRIED_SHARE
    played = np.where(is_hit, hit, np.where(is_tried, tried, liked))
    # nearly everybody knows all the hits: each is played once more, by 85 %
    played = np.concatenate([played, hits[rng.random(len(hits)) < 0.85]])
    skip_chance = np.full(len(played), SKIPPED_LIKED)
    skip_chance[:n_plays][is_tried] = SKIPPED_TRIED
    skipped = rng.random(len(played)) < skip_chance
    length = rng.random(len(played))
    ms_played = np.where(skipped, 1000 + 28000 * length, 90000 + 210000 * length).astype(np.int64)
    return played, ms_played


def make_days() -> list[list[bytes]]:
    """Generate the lines of each day, without line endings, in order of time."""
    rng = np.random.Generator(np.random.PCG64(SEED))
    artists = make_artists(rng)
    timed: list[list[tuple[int, bytes]]] = [[] for _ in FILES]
    for user, genres in make_users(rng):
        played, ms_played = make_plays(rng, artists, genres)
        day = (len(FILES) * rng.random(len(played))).astype(np.int64)
        # the square root moves plays towards the evening
        second = (86400 * np.sqrt(rng.random(len(played)))).astype(np.int64)
        for d, s, artist, ms in zip(day.tolist(), second.tolist(), played.tolist(), ms_played.tolist(), strict=True):
            time = f"2024-03-{d + 1:02d}T{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}Z"
            timed[d].append((s, f"{time}\t{user}\t{artists.names[artist]}\t{ms}".encode()))
    return [[line for _, line in sorted(lines)] for lines in timed]


def add_bad_lines(lines: list[bytes]) -> bytes:
    """Insert every kind of bad line among the good ones of the day, at even distances, and return the text."""
    ends = [b"\r\n" if number % 7 == 0 else b"\n" for number in range(1, len(lines) + 1)]
    text = [line + end for line, end in zip(lines, ends, strict=True)]
    bad = [line + b"\n" for kind in BAD_LINES.values() for line in kind]
    distance = len(text) // (len(bad) + 1)
    for number in range(len(bad), 0, -1):
        text.insert(number * distance, bad[number - 1])
    return BYTE_ORDER_MARK + b"".join(text)


def make_texts() -> dict[str, bytes]:
    """Generate the uncompressed content of each file, by name."""
    days = dict(zip(FILES, make_days(), strict=True))
    days[LONG_DAY].insert(len(days[LONG_DAY]) // 2, LONG_LINE)
    texts = {name: b"".join(line + b"\n" for line in lines) for name, lines in days.items()}
    texts[BAD_DAY] = add_bad_lines(days[BAD_DAY])
    texts[LAST_DAY] = texts[LAST_DAY].removesuffix(b"\n")
    return texts


def compress(name: str, text: bytes) -> bytes:
    """Compress the text of a file as its name says; without a time, so that the same text gives the same bytes."""
    if name.endswith(".bz2"):
        return bz2.compress(text)
    if not name.endswith(".gz"):
        return text
    cut = text.index(b"\n", len(text) // 2) + 1 if name == TWO_MEMBERS else len(text)
    packed = BytesIO()
    for part in filter(None, (text[:cut], text[cut:])):
        # not gzip.compress, whose header depends on the version of Python
        with gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0) as member:
            member.write(part)
    return packed.getvalue()


def main(directory: Path) -> None:
    """Write all files, and say how large they are."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in make_texts().items():
        data = compress(name, text)
        (directory / name).write_bytes(data)
        print(f"{name}\t{len(text.splitlines())} lines\t{len(data)} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)

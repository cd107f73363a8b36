"""JSON lines and arrays: ListenBrainz dumps, Spotify's streaming history, and what else may stand in such files."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_als.errors import BadInputError, UsageError
from mr_als.logs import jsonl
from mr_als.logs.logs import Layout
from tests.readlogs import read

LAYOUT = Layout(("user", "item", "plays"), b"\x1f", "jsonl", ("u", "i", "n"))


@pytest.fixture
def log(tmp_path):
    def write(data, name="log.json"):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


def listen(user, artist, at, **more):
    inside = {"artist_name": artist, "track_name": "x", "additional_info": {"artist_mbids": [], "isrc": None}}
    return json.dumps({"user_id": 7, "user_name": user, "listened_at": at, "track_metadata": inside, "recording_msid": "x", **more})


@pytest.mark.parametrize("step", [None, 100])
def test_listenbrainz_dumps_are_read_as_they_are(log, step):
    lines = [listen("rob", 'Ke$ha "x"', 1700000000), listen("ann", "Sigur Rós", 1700000001), listen("ann", "Sigur Rós", 1600000000)]

    found = read(log("\n".join(lines) + "\n", "2.listens"), step=step, since="2023-11-14")

    assert found == ([("rob", 'Ke$ha "x"', 1.0), ("ann", "Sigur Rós", 1.0)], [], 3, 1)


def stream(artist, ms, user="bob", at="2023-02-01T12:30:00Z"):
    return {
        "ts": at, "username": user, "platform": "ios", "ms_played": ms, "conn_country": "SE", "master_metadata_track_name": "T",
        "master_metadata_album_artist_name": artist, "master_metadata_album_album_name": None,
        "spotify_track_uri": "spotify:track:1", "episode_name": None,
        "shuffle": False, "skipped": None, "offline_timestamp": 1675254600,
    }  # fmt: skip


STREAMS = [stream('A, "b" [c] {d', 200000), stream(None, 900000), stream("Ünï", 29999), stream("Ünï", 30000, "eve")]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("step", [None, 64])
def test_spotifys_streaming_history_is_read_as_it_is(log, indent, step):
    """An array over many lines; a podcast has no artist: it is left out, and no bad line; nor does a short play count."""
    path = log(json.dumps(STREAMS, indent=indent, ensure_ascii=indent is None), "Streaming_History_Audio_2023.json")

    found = read(path, step=step)

    assert found == ([("bob", 'A, "b" [c] {d', 1.0), ("eve", "Ünï", 1.0)], [], 4, 2)
    assert len(read(path, columns="user=username,item=spotify_track_uri,ms_played=ms_played").plays) == 3


def test_a_history_that_names_no_user_is_of_one_user_called_me(log):
    account = [{"endTime": "2021-02-01 12:30", "artistName": "A", "trackName": "t", "msPlayed": 40000}]
    extended = [{key: value for key, value in stream("B", 40000).items() if key != "username"}]

    assert read(log(json.dumps(account), "StreamingHistory0.json")).plays == [("me", "A", 1.0)]
    assert read(log(json.dumps(extended))).plays == [("me", "B", 1.0)]
    named = read(log(json.dumps(account)), columns="user==ann,item=trackName,timestamp=endTime,ms_played=msPlayed", since="2021")
    assert named.plays == [("ann", "t", 1.0)]


@pytest.mark.parametrize("since", ["2021-02-01T12:30:00Z", "2021-02-01T12:31:00Z"])
def test_times_to_the_minute_are_times(log, since):
    path = log('[{"endTime": "2021-02-01 12:30", "artistName": "A", "msPlayed": 40000}]')

    assert len(read(path, since=since).plays) == (since < "2021-02-01T12:31")


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        (b'{"u":"a","i":"b"}', ("missing field", "plays")), (b'{"i":"b","n":1}', ("missing field", "user")),
        (b'{"u":true,"i":"b","n":1}', ("neither text nor number", "user")),
        (b'{"u":"a","i":["b"],"n":1}', ("neither text nor number", "item")),
        (b'{"u":"a","i":"b\\n","n":1}', ("control character", "item")),
        (b'{"u":"a\\u001fb","i":"b","n":1}', ("control character", "user")),
        (b'{"u":"a","i":"\\ud83d","n":1}', ("invalid UTF-8", "item")), (b'{"u":"a","i":"\xff","n":1}', ("invalid UTF-8", "")),
        (b'{"u":"a","i":"","n":1}', ("empty id", "item")), (b'{"u":"a","i":"b","n":null}', ("not a number", "plays")),
        (b'{"u":"a","i":"b","n":"x"}', ("not a number", "plays")), (b'{"u":"a","i":"b","n":NaN}', ("NaN", "plays")),
        (b'{"u":"a","i":"b","n":-Infinity}', ("infinity", "plays")), (b'{"u":"a","i":"b","n":-1}', ("negative", "plays")),
        (b'{"u":"a","i":"b","n":1', ("not JSON", "")), (b'{"u":"a"} {"u":"b"}', ("not JSON", "")), (b"", ("empty line", "")),
        (b"[1]", ("not an object", "")), (b"7", ("not an object", "")), (b"[" * 100_000, ("not JSON", "")),
        (b'{"u":"' + b"x" * (1 << 20) + b'","i":"b","n":1}', ("line over 1 MiB", "")),
    ],
)  # fmt: skip
def test_what_is_no_play_is_a_bad_line_with_its_reason(log, line, bad):
    good = b'{"u":"a","i":"b","n":1}\n'

    found = read(log(good + line + b"\r\n" + good), format="jsonl", columns="user=u,item=i,plays=n")

    assert found.plays == [("a", "b", 1.0)] * 2
    assert found.bad == [(2, *bad)]
    assert found.lines == 3


def test_null_is_nobody_and_is_left_out(log):
    text = '{"u":null,"i":"b"}\n{"u":"a","i":null}\n{"u":"a","i":{"x":null}}\n{"u":"a","i":{"x":"c"}}\n'

    assert read(log(text), columns="user=u,item=i").bad == [
        (3, "neither text nor number", "item"),
        (4, "neither text nor number", "item"),
    ]
    assert read(log(text), columns="user=u,item=i.x").plays == [("a", "c", 1.0)]


def test_keys_with_dots_go_into_objects_where_no_key_is_written_so(log):
    text = '{"a.b": "whole", "a": {"b": "inner"}, "u": 1}\n{"a": {"b": "inner"}, "u": 1}\n{"a": null, "u": 1}\n{"a": 3, "u": 1}\n'

    found = read(log(text), columns="user=u,item=a.b")

    assert found == ([("1", "whole", 1.0), ("1", "inner", 1.0)], [(4, "missing field", "item")], 4, 1)


def test_numbers_keep_their_digits(log):
    text = '{"u": 9223372036854775808, "i": 0.10, "n": 1e2}\n{"u": 9223372036854775807, "i": 1e2, "n": 2.5}\n'

    found = read(log(text), columns="user=u,item=i,plays=n")

    assert found.plays == [("9223372036854775808", "0.10", 100.0), ("9223372036854775807", "1e2", 2.5)]


printable = st.text(st.characters(blacklist_categories=("Cc", "Cs")), min_size=1, max_size=6)
objects = st.fixed_dictionaries(
    {"u": printable, "i": printable, "n": st.integers(0, 1000)}, optional={"x": st.lists(printable, max_size=2)}
)


@given(st.lists(objects, min_size=1, max_size=8), st.booleans(), st.sampled_from([None, 1]), st.integers(1, 30))
def test_an_array_gives_the_records_of_its_lines_however_it_is_written_and_read(records, ascii_only, indent, size):
    class Trickle:
        def __init__(self, data):
            self.data = data

        def read(self, _):
            part, self.data = self.data[:size], self.data[size:]
            return part

    text = json.dumps(records, ensure_ascii=ascii_only, indent=indent).encode()

    found = [json.loads(element) for element in jsonl.elements(Trickle(b"  " + text + b"\n \n"), "log")]

    assert found == records
    lines = b"".join(json.dumps(record).encode() + b"\n" for record in found)
    assert jsonl.translate(lines, LAYOUT, pytest.fail).text.decode().split("\n")[:-1] == [
        f"{record['u']}\x1f{record['i']}\x1f{record['n']}" for record in records
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"u":"a","i":"b"},', "cut off at its element 2"), ('[{"u":"a","i":"b"}, {"u":]', "cut off at its element 2"),
        ('[{"u":"a","i":"b"}', "cut off at its element 1"),
        ('[{"u":"a","i":"b"}]\n[{"u":"a","i":"b"}]', "follows the array of 1 elements"),
    ],
)  # fmt: skip
def test_a_damaged_array_is_an_error_that_says_where(log, text, message):
    with pytest.raises(BadInputError, match=message):
        read(log(text), columns="user=u,item=i")


@pytest.mark.parametrize("length", [1 << 20, (1 << 20) + 1])
def test_an_element_of_an_array_may_be_as_long_as_a_line(log, length):
    good = b'{"u":"a","i":"b"}'
    long = b'{"u":"a","i":"b","x":"' + b"y" * (length - 24) + b'"}'

    found = read(log(b"[" + b",".join([good, long, good]) + b"]"), columns="user=u,item=i")

    assert len(long) == length
    assert len(found.plays) == 2 + (length == 1 << 20)
    assert found.bad == ([] if length == 1 << 20 else [(2, "line over 1 MiB", "")])


def test_an_element_without_an_end_is_not_read_on_for_ever(log, monkeypatch):
    """A quote that is not closed: what is behind it cannot be told apart."""
    monkeypatch.setattr(jsonl, "CHUNK", 1 << 16)
    data = b'[{"u":"a","i":"b"},{"u":"a","i":"b,' + json.dumps([{"u": 1, "i": 2}] * 300_000).encode()
    stream = io.BytesIO(data)

    with pytest.raises(BadInputError, match=r"log\.json: the array is damaged or cut off at its element 2; fetch"):
        list(jsonl.elements(stream, "log.json"))

    assert 1 << 20 < stream.tell() < (1 << 20) + (1 << 18) < len(data)


def test_bad_elements_of_an_array_are_bad_lines(log):
    found = read(log(b'[{"u":"a","i":"b"}, 7, {"u":"\xff","i":"b"}, null, {"u":"a","i":"c"}]'), columns="user=u,item=i")

    assert found.plays == [("a", "b", 1.0), ("a", "c", 1.0)]
    assert found.bad == [(2, "not an object", ""), (3, "invalid UTF-8", ""), (4, "not an object", "")]


def test_keys_that_are_not_known_are_shown(log):
    with pytest.raises(
        BadInputError,
        match="say which they are, as in --columns user=who,item=what.x; its names are who, what, what.x",
    ):
        read(log('{"who": 1, "what": {"x": 2}}\n'))
    with pytest.raises(UsageError, match="names columns by position"):
        read(log('{"who": 1, "what": {"x": 2}}\n'), columns="user,item")

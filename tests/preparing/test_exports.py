"""Exports of one person, as services hand them out: each row of the table in docs/data-formats.md, on an invented export."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from pathlib import Path

import pytest

from mr_als import cli
from mr_als.errors import BadInputError, UsageError
from mr_als.options import InputOptions
from mr_als.preparing.inputs import find_layouts, read_as, warnings
from mr_als.preparing.prepare import prepare
from mr_als.progress import Progress
from tests.preparing.test_inputs import pairs_of
from tests.readlogs import read

PAGE = Path(__file__).resolve().parents[2] / "docs/data-formats.md"
LONG = 200_000


def extended(artist, *, ms=LONG, **more):
    """One record of Spotify's extended streaming history of 2025."""
    none = dict.fromkeys(
        ["episode_name", "episode_show_name", "spotify_episode_uri", "audiobook_title", "audiobook_uri",
            "audiobook_chapter_uri",
         "audiobook_chapter_title", "offline_timestamp"]
    )  # fmt: skip
    return {
        "ts": "2024-03-01T09:30:00Z", "platform": "ios", "ms_played": ms, "conn_country": "SE", "ip_addr": "192.0.2.1",
        "master_metadata_track_name": artist and "T", "master_metadata_album_artist_name": artist,
        "master_metadata_album_album_name": artist and "A", "spotify_track_uri": artist and "spotify:track:1", **none,
        "reason_start": "trackdone", "reason_end": "trackdone", "shuffle": False, "skipped": False, "offline": False,
        "incognito_mode": False, **more,
    }  # fmt: skip


def account(artist, ms=LONG):
    return {"endTime": "2024-03-01 09:30", "artistName": artist, "trackName": "T", "msPlayed": ms}


def listen(artist, **more):
    info = {"submission_client": "x", "artist_mbids": [], "duration_ms": 1000}
    mapping = {
        "artists": [{"artist_mbid": "1", "join_phrase": "", "artist_credit_name": artist}],
        "recording_mbid": "1",
        "caa_id": 7,
    }
    track = {"artist_name": artist, "track_name": "T", "release_name": "A", "additional_info": info, "mbid_mapping": mapping}
    return {"listened_at": 1709251200.0, "inserted_at": 1709251300.5, "track_metadata": track, **more}


def watched(channel, **more):
    found = {
        "header": "YouTube", "title": "Watched T", "titleUrl": "https://www.youtube.com/watch?v=1",
        "time": "2024-03-01T09:30:00.123Z", "products": ["YouTube"], "activityControls": ["YouTube watch history"], **more,
    }  # fmt: skip
    return found | ({"subtitles": [{"name": channel, "url": "https://www.youtube.com/channel/1"}]} if channel else {})


def table(rows, delimiter=","):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL if delimiter == ";" else csv.QUOTE_MINIMAL).writerows(rows)
    return text.getvalue()


def lines(records):
    return "".join(json.dumps(record) + "\n" for record in records)


APPLE = (
    "Apple ID Number", "Apple Music Subscription", "Artist Name", "Build Version", "Client IP Address", "Device Identifier",
    "End Position In Milliseconds", "End Reason Type", "Event End Timestamp", "Event Reason Hint Type",
        "Event Received Timestamp",
    "Event Start Timestamp", "Event Type", "Feature Name", "Item Type", "Media Duration In Milliseconds", "Media Type",
    "Metrics Bucket Id", "Metrics Client Id", "Milliseconds Since Play", "Offline", "Play Duration Milliseconds",
        "Provided Codec",
    "Session Is Shared", "Shared Activity Devices-Max", "Song Name", "Source Type", "Start Position In Milliseconds",
    "Store Front Name", "User’s Audio Quality", "UTC Offset In Seconds",
)  # fmt: skip


def apple(artist, song, ms, kind="PLAY_END", without=()):
    values = {
        "Artist Name": artist, "Song Name": song, "Play Duration Milliseconds": ms, "Event Type": kind,
            "Metrics Bucket Id": "8948",
        "Event End Timestamp": "2024-03-01T09:30:00.269Z" if ms else "", "Media Duration In Milliseconds": "254026",
    }  # fmt: skip
    return [values.get(name, "x") for name in APPLE if name not in without]


PODCAST = {"endTime": "2024-03-01 09:30", "podcastName": "P", "episodeName": "E", "msPlayed": LONG}
BOOK = {"endTime": "2024-03-01 09:30", "audiobookName": "B", "chapterName": "C", "authorName": "W", "msPlayed": LONG}
LIBRARY = {"tracks": [{"artist": "L", "album": "A", "track": "T", "uri": "spotify:track:1"}], "albums": [], "shows": []}
PLAYLISTS = {
    "playlists": [{"name": "x", "lastModifiedDate": "2024-01-01", "items": [{"track": {"artistName": "L", "trackName": "T"}}]}]
}

# row of the table -> files of the export; the users, artists and plays in it; the files that are left out
EXPORTS = {
    "Spotify, extended streaming history": (
        {
            "S/Streaming_History_Audio_2023-2024_0.json": json.dumps([extended("X"), extended("X"), extended(None,
                episode_name="E")]),
            "S/Streaming_History_Audio_2024_1.json": json.dumps([extended("Y"), extended("Y", ms=900)], indent=2),
            "S/Streaming_History_Video_2023.json": json.dumps([extended(None, episode_name="E"), extended("Z")]),
            "S/ReadMeFirst_ExtendedStreamingHistory.pdf": "%PDF-1.4",
        },
        {("me", "X"): 2, ("me", "Y"): 1, ("me", "Z"): 1},
        ["S/ReadMeFirst_ExtendedStreamingHistory.pdf"],
    ),
    "Spotify, account data": (
        {
            "A/StreamingHistory_music_0.json": json.dumps([account("X"), account("Y", 900)]),
            "A/StreamingHistory_music_1.json": json.dumps([account("X")]),
            "A/StreamingHistory_podcast_0.json": json.dumps([PODCAST]),
            "A/StreamingHistory_audiobook_0.json": json.dumps([BOOK]),
            "A/Userdata.json": json.dumps({"username": "ann", "email": "a@example.org", "creationTime": "2015-01-01"}),
            "A/YourLibrary.json": json.dumps(LIBRARY), "A/Playlist1.json": json.dumps(PLAYLISTS, indent=2),
            "A/SearchQueries.json": json.dumps([{"platform": "IPHONE", "searchTime": "2024-03-01T09:30:00Z",
                "searchQuery": "x"}]),
            "A/Marquee.json": json.dumps([{"artistName": "L", "segment": "Light listeners"}]),
            "A/Follow.json": json.dumps({"userIsFollowing": ["x"], "userIsBlocking": []}),
                "A/Inferences.json": '{"inferences": ["x"]}',
            "A/UserPrompts.json": "[]", "A/Read_Me_First.pdf": "%PDF-1.4",
        },
        {("me", "X"): 2},
        ["A/Follow.json", "A/Inferences.json", "A/Marquee.json", "A/Playlist1.json", "A/Read_Me_First.pdf",
            "A/SearchQueries.json",
         "A/StreamingHistory_audiobook_0.json", "A/StreamingHistory_podcast_0.json", "A/UserPrompts.json", "A/Userdata.json",
         "A/YourLibrary.json"],
    ),
    "ListenBrainz, current export": (
        {
            "user.json": '{"user_id": 7, "username": "ann"}\n', "listens/2023/12.jsonl": lines([listen("X"), listen("Y")]),
            "listens/2024/1.jsonl": lines([listen("X")]), "listens/2024/2.jsonl": "",
            "feedback.jsonl": lines([{"recording_msid": "1", "recording_mbid": None, "score": 1, "created": 1709251200}]),
            "pinned_recording.jsonl": lines([{"recording_msid": "1", "blurb_content": "", "pinned_until": 1,
                "created": 1709251200}]),
        },
        {("me", "X"): 2, ("me", "Y"): 1},
        ["feedback.jsonl", "pinned_recording.jsonl", "user.json"],
    ),
    "ListenBrainz, older export": (
        {"ann_lb.json": json.dumps([listen("X", user_name="ann", recording_msid="1"), listen("Y", user_name="ann",
            recording_msid="2")])},
        {("ann", "X"): 1, ("ann", "Y"): 1},
        [],
    ),
    "Last.fm, by lastfm.ghan.nl": (
        {"recenttracks-ann-1.csv": table([
            ["uts", "utc_time", "artist", "artist_mbid", "album", "album_mbid", "track", "track_mbid"],
            ["1709285400", "01 Mar 2024, 09:30", "X", "", "A", "", "T, live", ""],
            ["1709285700", "01 Mar 2024, 09:35", "Tyler, The Creator", "m", "", "", "T", ""],
        ])},
        {("me", "X"): 1, ("me", "Tyler, The Creator"): 1},
        [],
    ),
    "Last.fm, by lastfmstats.com": (
        {"lastfmstats-ann.csv": "\ufeff" + table([
            ["Artist", "Album", "AlbumId", "Track", "Date#ann"], ["X", "A", "", "T; live", "1709285400000"], ["X", "A", "",
                "U", "1709285700000"],
        ], ";")},
        {("ann", "X"): 2},
        [],
    ),
    "Last.fm, by Last.fm to CSV": (
        {"ann.csv": table([["X", "A", "T, live", "01 Mar 2024 09:30"], ["Y", "", "U", "01 Mar 2024 09:35"], ["X", "A",
            "99", "1 Mar 2024 09:40"]])},
        {("me", "X"): 2, ("me", "Y"): 1},
        [],
    ),
    "Apple Music, play activity": (
        {"Apple Music Play Activity.csv": table([
            APPLE, apple("X", "T", "200000"), apple("X", "U", "200000"), apple("Y", "U", "900"), apple("", "Radio", "200000"),
            apple("Z", "V", "", "LYRIC_DISPLAY"),
        ])},
        {("me", "X"): 2},
        [],
    ),
    "YouTube, watch history": (
        {
            "Takeout/YouTube/history/watch-history.json": json.dumps([
                watched("X"), watched("X - Topic", header="YouTube Music"), watched("X"), watched(None), watched(None,
                    details=[{"name": "From Google Ads"}]),
            ]),
            "Takeout/YouTube/history/search-history.json": json.dumps([watched(None, title="Searched for x")]),
            "Takeout/archive_browser.html": "<!DOCTYPE html><html></html>",
        },
        {("me", "X"): 2, ("me", "X - Topic"): 1},
        ["Takeout/YouTube/history/search-history.json", "Takeout/archive_browser.html"],
    ),
}  # fmt: skip


def lay_down(place, files):
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8", newline="")
    return place


def plays_in(plays):
    return {pair: units / 65536 for pair, units in pairs_of(plays).items()}


def test_the_table_names_each_export():
    rows = re.findall(
        r"^\| (\w[^|]*?) \| ", PAGE.read_text(encoding="utf-8").partition("## Exports of one person")[2], re.MULTILINE
    )

    assert rows[1 : 1 + len(EXPORTS)] == list(EXPORTS)


@pytest.mark.parametrize("form", ["directory", "archive", "files"])
@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_read_as_it_comes(tmp_path, capsys, name, form):
    files, expected, left_out = EXPORTS[name]
    place, logs = lay_down(tmp_path / "export", files), [str(tmp_path / "export")]
    if form == "archive":
        logs = [str(tmp_path / "export.zip")]
        with zipfile.ZipFile(logs[0], "w") as archive:
            for path in files:
                archive.write(place / path, path)
    elif form == "files":  # as a glob of the shell names them
        logs = [str(place / path) for path in files if not path.endswith((".pdf", ".html"))]

    found = prepare(logs, str(tmp_path / "plays"), InputOptions(), progress=Progress(quiet=True))

    assert plays_in(found) == expected
    assert found.info["bad"]["counts"] == {}
    said = "".join(line for line in capsys.readouterr().err.splitlines() if "not read" in line)
    assert [path for path in sorted(files) if re.search(rf"/{re.escape(path)}[,:]", said)] == [
        path for path in left_out if form != "files" or not path.endswith((".pdf", ".html"))
    ]


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_gets_the_name_of_its_person_by_an_option(tmp_path, name):
    files, expected, _ = EXPORTS[name]

    found = prepare([str(lay_down(tmp_path / "export", files))], str(tmp_path / "plays"), InputOptions(columns="user==bob"))

    sums = {}
    for (_, item), plays in expected.items():
        sums["bob", item] = sums.get(("bob", item), 0) + plays
    assert plays_in(found) == sums


def test_what_could_be_taken_instead_is_said(tmp_path):
    place = lay_down(tmp_path, EXPORTS["Spotify, account data"][0] | {"l.jsonl": lines([listen("X")])})

    said = [
        list(read_as(find_layouts([str(place / name)], InputOptions())))
        for name in ("A/StreamingHistory_music_0.json", "l.jsonl")
    ]  # fmt: skip

    who = (
        "Spotify's account data: nothing tells whose plays these are, so all belong to one user, 'me'; "
        "--columns user==NAME sets another name"
    )
    given = "user==me,item=trackName,timestamp=endTime,ms_played=msPlayed"
    assert said[0][1:] == [who, f"items are artists; to take tracks, use --columns {given}"]
    assert said[1][-1] == (
        "items are artists; to take tracks, use --columns user==me,item=track_metadata.track_name,timestamp=listened_at"
    )
    assert read(place / "A/StreamingHistory_music_0.json", columns=given).plays == [("me", "T", 1.0)]


def test_a_log_that_may_have_another_user_is_not_of_one_person(tmp_path):
    """Many people's histories in one file have a name for the person that no export has."""
    (tmp_path / "all.csv").write_text(
        "personID,endTime,artistName,trackName,msPlayed\n1,2024-03-01 09:30,X,T,200000\n2,2024-03-01 09:30,X,T,200000\n"
    )

    with pytest.raises(
        BadInputError,
        match=r"as that of a user; .*--columns user=personID,item=artistName.*; if all are .* one person, use --columns user==me",
    ):
        read(tmp_path / "all.csv")
    assert read(tmp_path / "all.csv", columns="user=personID,item=artistName").plays == [("1", "X", 1.0), ("2", "X", 1.0)]


def test_scrobbles_without_a_header_are_warned_about(tmp_path):
    place = lay_down(tmp_path, EXPORTS["Last.fm, by Last.fm to CSV"][0])

    (said,) = warnings(find_layouts([str(place / "ann.csv")], InputOptions()))

    assert "all of one user, 'me'. If the first column is of users, use --columns user,item,-,timestamp" in said


def test_plays_that_are_there_twice_are_refused(tmp_path):
    files = EXPORTS["Spotify, account data"][0] | EXPORTS["Spotify, extended streaming history"][0]

    with pytest.raises(BadInputError, match="StreamingHistory_music_0.json: of Spotify's account data.*would count twice"):
        prepare([str(lay_down(tmp_path / "export", files))], str(tmp_path / "plays"), InputOptions())


def test_podcasts_alone_are_refused_and_can_be_asked_for(tmp_path):
    (tmp_path / "StreamingHistory_podcast_0.json").write_text(json.dumps([PODCAST]))

    with pytest.raises(BadInputError, match="podcast_0.json: podcasts or audiobooks, which have no artist"):
        read(tmp_path / "StreamingHistory_podcast_0.json")
    asked = "user==me,item=podcastName,ms_played=msPlayed"
    assert read(tmp_path / "StreamingHistory_podcast_0.json", columns=asked).plays == [("me", "P", 1.0)]


def test_json_that_is_not_understood_beside_other_logs_is_refused(tmp_path):
    """Only beside an export a file is left out by the names in it: else it may be a log."""
    (tmp_path / "a.jsonl").write_text('{"user": "ann", "item": "x"}\n')
    (tmp_path / "b.jsonl").write_text('{"who": "ann", "what": "x"}\n')

    with pytest.raises(BadInputError, match=r"b\.jsonl: none of its names is known"):
        find_layouts([str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")], InputOptions())


EACH = {
    "counts.tsv": ("x\t3\ny\t4\n", "user==ann,item,plays"), "events.tsv": ("1709251200\tx\t200000\n1709251200\ty\t200000\n",
        "user==ann,timestamp,item,ms_played"),
    "a.csv": ("what,when\nx,2024-03-01\ny,2024-03-02\n", "user==ann,item=what,timestamp=when"),
    "quotes.csv": ('"what","n"\n"x, ""y""",3\nz,4\n', "item=what,user==ann,plays=n"),
    "a.jsonl": ('{"what": "x"}\n{"what": "y"}\n', "user==ann,item=what"),
    "b.json": ('[{"what": "x"}, {"what": "ü"}]', "user==ann,item=what"),
    "users.csv": ("user,item,plays\nbob,x,3\ncem,y,4\n", "user==ann"), "users.tsv": ("bob\tx\t3\ncem\ty\t4\n", "user==ann"),
    "users.jsonl": ('{"user": "bob", "item": "x"}\n', "user==ann"),
}  # fmt: skip


@pytest.mark.parametrize("step", [None, 9])
@pytest.mark.parametrize("name", EACH)
def test_all_records_of_any_format_can_have_one_user(tmp_path, name, step):
    text, columns = EACH[name]
    (tmp_path / name).write_text(text)
    other = columns.replace("user==ann", "user==Ünï 𝄞 ")

    found = read(tmp_path / name, columns=columns, step=step)

    assert found.plays
    assert {user for user, _, _ in found.plays} == {"ann"}
    assert found.bad == []
    assert read(tmp_path / name, columns=other).plays == [("Ünï 𝄞 ", *rest) for _, *rest in found.plays]


def test_all_rows_of_parquet_can_have_one_user(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(
        pa.table({"user": ["bob", None], "item": ["x", "y"]}), tmp_path / "a.parquet"
    )

    assert read(tmp_path / "a.parquet", columns="user==ann,item=item").plays == [("ann", "x", 1.0), ("ann", "y", 1.0)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("user==ann,user==bob,item=item", "expected one user==NAME"), ("user==,item=item", "expected one user==NAME"),
        ("user==a\tb", "printable"), ("user==ann,user,item,plays", "user is named twice"),
        ("user==ann,user=user,item=item", "user is named twice"),
        ("user==ann,plays=plays", "does not say which is the item"), ("user==ann,plays", "no column is named item"),
    ],
)  # fmt: skip
def test_a_user_of_all_records_that_makes_no_sense_is_a_usage_error(tmp_path, columns, message):
    (tmp_path / "a.csv").write_text("user,item,plays\nbob,x,3\n")

    with pytest.raises(UsageError, match=message):
        read(tmp_path / "a.csv", columns=columns)


def test_a_persons_export_becomes_a_model_of_one_user(tmp_path, capsys):
    lay_down(tmp_path / "export", EXPORTS["Spotify, extended streaming history"][0])

    assert cli.main(["train", str(tmp_path / "export"), "--model", str(tmp_path / "m"), "--rank", "2", "-q"]) == 0
    assert "1 users, 3 items" in capsys.readouterr().out

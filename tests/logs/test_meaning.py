"""What logs mean: known by names and by values, or asked for; never guessed from places against what they hold."""

from __future__ import annotations

import json

import pytest

from mr_als.errors import BadInputError, UsageError
from tests.readlogs import read


@pytest.fixture
def log(tmp_path):
    def write(data, name="log.tsv"):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


def rows(*columns, between="\t"):
    """Write lines of columns, each a function of the number of the line; all have ids of 8 users and 13 items."""
    return "".join(between.join(str(column(n)) for column in columns) + "\n" for n in range(60))


def user(n):
    return f"listener {n % 8}"


def item(n):
    return f"Artist {n * 5 % 13}"


def plays(n):
    return n * n % 40 + 1


def rating(n):
    return n % 5 + 1


def seconds(n):
    return 881_250_949 + 997 * n


PLAYED = [(user(n), item(n), float(plays(n))) for n in range(60)]

ABOVE = ["", "\n", "\n\n", "# exported today\n", "#\n# of all, 1,2,3\n\n", "sep=,\n", "My year in music\n", "\ufeff", "\r\n"]


@pytest.mark.parametrize("above", ABOVE)
@pytest.mark.parametrize("step", [None, 7])
def test_a_header_is_seen_below_what_people_and_programs_put_above_it(log, above, step):
    path = log(above + "artist,listener,plays\n" + rows(item, user, plays, between=","), "log.csv")

    found = read(path, step=step)

    assert (found.plays, found.bad) == (PLAYED, [])


@pytest.mark.parametrize("above", [above for above in ABOVE if "music" not in above])
def test_what_stands_above_the_first_record_is_no_bad_line_without_a_header(log, above):
    assert read(log(above + rows(user, item, plays, between=","), "log.csv"))[:2] == (PLAYED, [])


def test_a_header_may_begin_as_a_comment_and_an_id_as_well(log):
    assert read(log("#user,item,plays\n#1,x,2\n#2,#3,4\n", "log.csv")).plays == [("#1", "x", 2.0), ("#2", "#3", 4.0)]
    assert read(log("#1\tx\t2\n#2\t#3\t4\n")).plays == [("#1", "x", 2.0), ("#2", "#3", 4.0)]


@pytest.mark.parametrize(
    "name", ["plays", "Play Count", "weight", "streams", "scrobbles", "playcount", "listens", "times", "count"]
)
@pytest.mark.parametrize("form", ["tsv", "jsonl"])
def test_plays_are_known_by_many_names(log, name, form):
    if form == "tsv":
        path = log(f"userID\t{name}\tartistID\n1\t13883\t7\n1\t11690\t8\n2\t2\t7\n", "user_artists.dat")
    else:
        objects = [{"userID": 1, "artistID": 7, name: 13883}, {"userID": 1, "artistID": 8, name: 11690}]
        path = log("".join(json.dumps(one) + "\n" for one in [*objects, {"userID": 2, "artistID": 7, name: 2}]), "log.jsonl")

    assert read(path).plays == [("1", "7", 13883.0), ("1", "8", 11690.0), ("2", "7", 2.0)]


def test_a_name_wins_over_its_place_and_over_format(log):
    path = log("artist\tuser\tplays\n" + rows(item, user, plays))

    assert read(path).plays == PLAYED
    with pytest.raises(
        BadInputError, match="its column 1 is named 'artist', a name of the item, but --format takes it for the user"
    ):
        read(path, format="counts")
    assert read(path, columns="item,user,plays").plays == PLAYED


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("fan,band,n", r"of a user and an item; say .* --columns user=fan,item=band,plays=n.*; its names are fan, band, n"),
        ("user,band,plays", r"as that of an item; say which they are, as in --columns user=user,item=band,plays=plays"),
        ("fan,artist,Plays of it", r"--columns 'user=fan,item=artist,plays=Plays of it'"),
        ("user,user,plays", "as that of an item"), ("item,item,plays", "as that of a user"),
        ("user,item", r"line 1 names 2 columns \(user, item\), but most lines have 3 fields"),
    ],
)  # fmt: skip
def test_a_header_that_is_not_understood_is_refused_with_a_line_to_copy(log, header, message):
    with pytest.raises(BadInputError, match=message):
        read(log(f"{header}\n" + rows(user, item, plays, between=","), "log.csv"))


def test_a_first_line_that_may_be_a_play_is_one_where_columns_are_given_by_place(log):
    text = "anonymous\tEight\n7\t12\n8\t13\n"

    assert [row[:2] for row in read(log(text), columns="user,item").plays] == [("anonymous", "Eight"), ("7", "12"), ("8", "13")]
    assert read(log("user\titem\n7\t12\n"), columns="user,item").plays == [("7", "12", 1.0)]
    assert read(log("anonymous\tEight\tmany\n7\t12\t3\n"), columns="user,item,plays").plays == [("7", "12", 3.0)]


def test_two_columns_of_one_name_are_refused(log):
    with pytest.raises(BadInputError, match="two columns are named 'plays'"):
        read(log("user,item,plays,plays\na,b,1,2\n", "log.csv"))


def test_a_header_below_records_is_refused_wherever_it_stands(log):
    body = rows(user, item, plays, between=",")

    with pytest.raises(BadInputError, match="line 3 names columns .* line 1 above it is a record"):
        read(log("a,b,1\nc,d,2\nitem,user,plays\n" + body, "log.csv"))
    found = read(log("user,item,plays\n" + body + "artist,user,plays\nb,a,1\n", "log.csv"))
    assert found.bad == [(62, "a header of other columns", "")]


def test_the_same_columns_named_again_are_a_bad_line_and_the_same_header_is_none(log):
    found = read(log("user,item,plays\na,b,1\nUser,Item,Plays\nc,d,1\nuser,item,plays\n", "log.csv"))

    assert found.bad == [(3, "not a number", "plays")]


# field's shapes, and what looks like a known layout at first sight: columns, and what is said of them
NOT_PLAYS = {
    "MovieLens": ((lambda n: n % 6, lambda n: n % 9 + 100, rating, seconds), "column 3 looks like ratings"),
    "text ids": ((user, item, rating, seconds), "column 3 looks like ratings"),
    "halves": ((user, item, lambda n: n % 10 / 2), "column 3 looks like ratings"),
    "user, time, item, ms": ((user, seconds, item, lambda n: 200_000), "perhaps --columns user,timestamp,item,ms_played"),
    "hash, time, item, ms": (
        (lambda n: f"{n % 8:040x}", seconds, item, lambda n: 200_000),
        "perhaps --columns user,timestamp,item",
    ),
    "user, item, time": ((user, item, seconds), "perhaps --columns user,item,timestamp"),
    "time, user, item": ((seconds, user, item), "perhaps --columns timestamp,user,item"),
    "user, rating, item number": ((user, rating, lambda n: n % 31 + 100), "a few small numbers"),
    "line, user, item number": ((lambda n: n, user, lambda n: n % 31 + 100), "a number for each line"),
    "user, item, line": ((user, item, lambda n: n + 1), "text, text, a number for each line"),
    "line, user, item, plays": ((lambda n: n, user, item, plays), "perhaps --columns -,user,item,plays"),
    "user, item, plays, time": ((user, item, plays, seconds), "perhaps --columns user,item,plays,timestamp"),
    "time, user, item, rating": ((seconds, user, rating, lambda n: n % 31 + 100), "a few small numbers"),
    "user, plays, item, time in words": ((user, plays, item, lambda n: f"{n % 28 + 1} Mar 2024 12:30"), "fit none of them"),
    "numbers that are not times": ((lambda n: 5_000 + 7 * n, user, item, lambda n: 200_000), "fit none of them"),
}


@pytest.mark.parametrize("between", ["\t", ",", "::", ";", "|"])
@pytest.mark.parametrize("shape", list(NOT_PLAYS))
def test_what_fits_no_known_layout_by_its_values_is_refused_with_what_to_say(log, shape, between):
    columns, message = NOT_PLAYS[shape]

    with pytest.raises(BadInputError, match=message):
        read(log(rows(*columns, between=between), "u.data"))


@pytest.mark.parametrize("between", ["\t", ",", "::", ";", "|"])
def test_ratings_are_read_as_such_if_they_are_asked_for(log, between):
    ratings = [(user(n), item(n), float(rating(n))) for n in range(60)]
    path = log(rows(user, item, rating, seconds, between=between), "ratings.dat")

    assert read(path, ratings=True, since="1997-12-04").plays == ratings
    assert read(path, columns="user,item,plays,timestamp").plays == ratings


@pytest.mark.parametrize("name", ["rating", "Rating", "stars", "score"])
def test_a_column_of_ratings_is_no_column_of_plays(log, name):
    path = log(f"userId,movieId,{name},timestamp\n1,296,5.0,1147880044\n1,306,3.5,1147868817\n", "ratings.csv")
    asks = rf"'{name}' is a rating.*--feedback explicit.*--columns user=userId,item=movieId,timestamp=timestamp,plays={name}"

    with pytest.raises(BadInputError, match=asks):
        read(path)
    assert read(path, ratings=True).plays == [("1", "296", 5.0), ("1", "306", 3.5)]
    assert read(path, columns=f"user=userId,item=movieId,plays={name}").plays == [("1", "296", 5.0), ("1", "306", 3.5)]


def test_where_there_are_both_the_rating_is_what_was_asked_for(log):
    path = log("user,item,rating,plays\na,b,4,17\n", "log.csv")

    assert read(path).plays == [("a", "b", 17.0)]
    assert read(path, ratings=True).plays == [("a", "b", 4.0)]


@pytest.mark.parametrize("between", ["\t", ",", "::", ";", "|"])
def test_counts_and_events_are_read_whatever_stands_between_fields(log, between):
    assert read(log(rows(user, item, plays, between=between))).plays == PLAYED
    found = read(log(rows(seconds, user, item, lambda n: 200_000, between=between)))
    assert found.plays == [(user(n), item(n), 1.0) for n in range(60)]


@pytest.mark.parametrize("step", [None, 11])
def test_a_delimiter_may_have_several_characters(log, step):
    text = "a::b:c::3\nd\x1fe::f::1\ng::h::i::1\n: :::x::2\n"

    found = read(log(text), step=step, columns="user,item,plays", delimiter="::")

    assert found.plays == [("a", "b:c", 3.0), (": ", ":x", 2.0)]
    assert found.bad == [(2, "control character", ""), (3, "too many fields", "")]


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (["20240310", "20240311"], "2024-03-10"), (["2024-03-10", "2024-03-11"], "2024-03-10"),
        (["1710028800", "1710028801"], "2024-03-10"), (["1710028800000", "1710028801000"], "2024-03-10"),
        (["1710028800000000", "1710028801000000"], "2024-03-10"),
        (["2024-03-10T01:00:00+01", "2024-03-10T00:00:01+00"], "2024-03-10"),
        (["2024-03-10 00:00:00 UTC", "2024-03-10 00:00:01 UTC"], "2024-03-10"),
        (["10 Mar 2024, 00:00", "24 January 2025 09:42"], "2024-03-10"), (["3 Mar 2024", "4 Mar 2024"], "2024-03-03"),
    ],
)  # fmt: skip
def test_times_are_read_in_every_common_form(log, texts, first):
    path = log("".join(f"{text}\tu\ti{n}\t200000\n" for n, text in enumerate(texts)))

    assert [name for _, name, _ in read(path, until=first).plays] == []
    assert [name for _, name, _ in read(path, since=first).plays] == ["i0", "i1"]
    assert [name for _, name, _ in read(path, until=f"{first}T00:00:01Z").plays] == ["i0"]


def test_a_time_outside_of_1995_to_2100_is_none(log):
    lines = [
        f"{text}\tu\ti\t200000\n" for text in ("2024-03-10", "1710028800", "0", "1994-12-31", "2101-01-01", "20240230", "17100288")
    ]

    found = read(log("".join(lines) + lines[0] * 9))

    assert found.bad == [(n, "not a time", "timestamp") for n in (3, 4, 5, 6, 7)]
    assert len(found.plays) == 11


@pytest.mark.parametrize(("unit", "text"), [("s", "86400"), ("ms", "86400000"), ("us", "86400000000"), ("date", "19700102")])
def test_the_unit_of_times_can_be_said(log, unit, text):
    path = log(f"{text}\tu\ti\t200000\n")

    with pytest.raises(BadInputError, match=r"no times from 1995 to 2100: '\d+'; .*--time-unit s\|ms\|us\|date"):
        read(path, format="events")
    assert len(read(path, format="events", time_unit=unit, since="1970-01-02").plays) == 1
    assert len(read(path, format="events", time_unit=unit, until="1970-01-02").plays) == 0


def test_a_year_or_a_month_is_a_moment_for_windows_and_a_small_number_is_none(log):
    path = log("2024-03-10\tu\ti\t200000\n2025-01-01\tu\tj\t200000\n")

    assert [name for _, name, _ in read(path, since="2025").plays] == ["j"]
    assert [name for _, name, _ in read(path, until="2024-04").plays] == ["i"]
    with pytest.raises(UsageError, match="--since: '7' is not a time"):
        read(path, since="7")


def test_times_in_a_column_of_plays_are_refused(log):
    with pytest.raises(BadInputError, match="the column of plays, 'times', looks like times: '1709251200'"):
        read(log("user,item,times\na,b,1709251200\nc,d,1709251201\n", "log.csv"))


@pytest.mark.parametrize("text", ["NaN", "NULL", "\\N", "<NA>"])
def test_what_programs_write_for_no_id_is_none(log, text):
    found = read(log(f"a\tx\t1\n{text}\tx\t1\na\t{text}\t1\n{text}x\tNa\t1\n"))

    assert found.plays == [("a", "x", 1.0), (f"{text}x", "Na", 1.0)]
    assert found.bad == [(2, "no id", "user"), (3, "no id", "item")]


def test_nan_in_json_is_no_id(log):
    found = read(log('{"user":NaN,"item":"x"}\n{"user":"ann","item":-Infinity}\n{"user":"ann","item":"x"}\n', "n.jsonl"))

    assert found.plays == [("ann", "x", 1.0)]
    assert found.bad == [(1, "no id", "user"), (2, "no id", "item")]


def test_floats_of_parquet_are_ids_with_all_their_digits_or_none(log, tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def write(users, kind="float64"):
        parquet.write_table(pa.table({"user": pa.array(users, kind), "item": ["x"] * len(users)}), tmp_path / "f.parquet")
        return tmp_path / "f.parquet"

    found = read(write([101.0, float("nan"), 1e15, 9007199254740991.0, 0.5, None]))
    assert [name for name, _, _ in found.plays] == ["101", "1000000000000000", "9007199254740991", "0.5"]
    assert (found.bad, found.left_out) == ([(2, "no id", "user")], 1)
    for value, kind in ((2.0**53, "float64"), (2.0**24, "float32")):
        with pytest.raises(BadInputError, match="holds floating-point numbers of .* whose last digits may be lost"):
            read(write([value], kind))
    assert [name for name, _, _ in read(write([2**53 + 1], "int64")).plays] == ["9007199254740993"]


@pytest.mark.parametrize("data", [b"user,item,plays\rann,x,1\nbob,y,2\n", b'user,item,"plays\rann",x,1\nbob,y,2\n'])
def test_a_carriage_return_within_a_line_is_named(log, data):
    with pytest.raises(BadInputError, match="line 1 has a carriage return in its middle"):
        read(log(data, "one-cr.csv"))

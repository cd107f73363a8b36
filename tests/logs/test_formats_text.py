"""Logs of lines with delimiters: CSV, TSV with and without headers, and the data sets that people have in this form."""

from __future__ import annotations

import bz2
import csv
import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_als.errors import BadInputError, UsageError
from mr_als.logs.csv import unquote
from mr_als.logs.plain import SEPARATOR
from mr_als.options import InputOptions
from mr_als.preparing.inputs import find_layouts
from tests.readlogs import read


@pytest.fixture
def log(tmp_path):
    def write(data, name="log.csv"):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


QUIRKS = (
    '"user_id","artist","plays"\r\n'
    'u1,"Tyler, The Creator",3\r\n'
    'u1,"The ""Birthday"" Massacre",1e1\r\n'
    'u2,"",5\r\n'
    "u2,Sigur Rós,0\r\n"
    'u1,"Tyler, The Creator",2.5\r\n'
    "9223372036854775808,plain,1\r\n"
    'u3,"two\r\nlines",1\r\n'
    'u3,12" mix,1\r\n'
    "u3,a,b,1\r\n"
    "u3,x,many"
)


@pytest.mark.parametrize("step", [None, 1, 7, 50])
def test_csv_is_read_with_its_quirks_wherever_it_is_cut(log, step):
    found = read(log(QUIRKS), step=step)

    assert found.plays == [
        ("u1", "Tyler, The Creator", 3.0), ("u1", 'The "Birthday" Massacre', 10.0), ("u2", "Sigur Rós", 0.0),
        ("u1", "Tyler, The Creator", 2.5), ("9223372036854775808", "plain", 1.0),
    ]  # fmt: skip
    assert found.bad == [
        (4, "empty id", "item"), (8, "quote not closed", ""), (9, "quote not closed", ""), (10, "quote not closed", ""),
        (11, "too many fields", ""), (12, "not a number", "plays"),
    ]  # fmt: skip
    assert found.lines == 12


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('u,"a"b,1', "stray quote"), ('u,a"b",1', "stray quote"), ('u,""a,1', "stray quote"), ('u,"a" ,1', "stray quote"),
        ('u,"a,1', "quote not closed"), ("u,a\x1fb,1", "control character"), ('u,"a\tb",1', "control character"),
        ("u,a\tb,1", "control character"),
    ],
)  # fmt: skip
def test_what_the_rules_of_csv_do_not_allow_is_a_bad_line(log, line, reason):
    found = read(log(f'{line}\nu,"a",1\n'), format="csv", columns="user,item,plays")

    assert found.plays == [("u", "a", 1.0)]
    assert [bad[:2] for bad in found.bad] == [(1, reason)]


def test_invalid_utf8_in_quotes_is_a_bad_line(log):
    found = read(log(b'user,item\n"u","\xff"\n"u","\xc3\xbc"\n'))

    assert found == ([("u", "ü", 1.0)], [(2, "invalid UTF-8", "")], 3, 0)


# printable, so that no line is bad; many quotes, delimiters and blanks
names = st.text(st.sampled_from('",; |é€𝄞ab') | st.characters(blacklist_categories=("Cc", "Cs")), min_size=1, max_size=8)


@given(st.lists(st.tuples(names, names), min_size=1, max_size=8), st.sampled_from(",;|"), st.booleans(), st.booleans())
def test_what_pythons_csv_writes_is_read_back(rows, delimiter, quote_all, crlf):
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=delimiter,
        lineterminator="\r\n" if crlf else "\n",
        quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL,
    )
    writer.writerows(rows)

    plain = unquote(text.getvalue().encode(), delimiter.encode(), lambda *bad: pytest.fail(str(bad)))

    lines = [line.removesuffix(b"\r") for line in plain.text.split(b"\n")[:-1]]
    assert [tuple(line.decode().split(plain.delimiter.decode())) for line in lines] == rows


@given(st.lists(st.text('",ax', max_size=10), min_size=1, max_size=6))
def test_quotes_are_understood_as_by_a_reader_of_one_character_at_a_time(lines):
    bad = {}

    plain = unquote(("\n".join(lines) + "\n").encode(), b",", lambda line, reason, field, text: bad.update({line: reason}))

    for number, (line, got) in enumerate(zip(lines, plain.text.split(b"\n")[:-1], strict=True)):
        expected = slowly(line)
        if isinstance(expected, list):
            assert got.split(plain.delimiter) == [field.encode() for field in expected]
        assert bad.get(number, "") == (expected if isinstance(expected, str) else "")


def slowly(line):
    """Split a line into its fields, or return why it has none."""
    if line.count('"') % 2:
        return "quote not closed"
    fields, rest = [], line
    while True:
        if rest.startswith('"'):
            field, at = "", 1
            while rest[at : at + 2] == '""' or rest[at] != '"':
                field, at = field + rest[at], at + (2 if rest[at] == '"' else 1)
            rest = rest[at + 1 :]
            if rest and not rest.startswith(","):
                return "stray quote"
        else:
            field, _, _ = rest.partition(",")
            if '"' in field:
                return "stray quote"
            rest = rest[len(field) :]
        fields.append(field)
        if not rest:
            return fields
        rest = rest[1:]


def test_a_chunk_without_quotes_is_not_copied():
    chunk = b"u,a,1\n" * 10

    assert unquote(chunk, b",", pytest.fail).text is chunk
    assert unquote(chunk + b'"u",a,1\n', b",", pytest.fail).delimiter == SEPARATOR


def test_quotes_and_commas_are_characters_where_the_log_is_no_csv(log):
    text = 'u1\t"Heroes"\t1\nu1\tCrosby, Stills & Nash\t1\nu,"2\t12" mix\t1\n'

    assert read(log(text, "log.tsv")).plays == [
        ("u1", '"Heroes"', 1.0),
        ("u1", "Crosby, Stills & Nash", 1.0),
        ('u,"2', '12" mix', 1.0),
    ]
    assert read(log('u,12" mix,1\n'), format="counts", delimiter=",").plays == [("u", '12" mix', 1.0)]


@pytest.mark.parametrize("name", ["log.csv", "log.txt", "log", "export.data", "log.tsv", "log.csv.gz", "log.txt.bz2"])
@pytest.mark.parametrize("header", ["", "user,item,plays\n"])
def test_a_log_with_commas_is_csv_whatever_its_name(name, header, log, tmp_path):
    text = f'{header}u,"Tyler, The Creator",2\nv,"12"" mix",1\n'
    pack = gzip.compress if name.endswith(".gz") else bz2.compress if name.endswith(".bz2") else bytes
    (tmp_path / name).write_bytes(pack(text.encode()))

    assert read(tmp_path / name).plays == [("u", "Tyler, The Creator", 2.0), ("v", '12" mix', 1.0)]


@pytest.mark.parametrize("header", ["user\titem\tplays\n", "artist\tuser_id\tPlay Count\n", "\ufeffuser\titem\tplays\r\n", ""])
def test_tsv_may_begin_with_a_header(log, header):
    body = "a\tb\t2\n"
    user, item = ("b", "a") if header.startswith("artist") else ("a", "b")

    found = read(log(header + body, "log.tsv"))

    assert found.plays == [(user, item, 2.0)]
    assert found.bad == []


def test_a_header_is_skipped_in_every_range_and_file_that_repeats_it(log):
    found = read(log("user,item,plays\na,b,1\nuser,item,plays\na,b,2\nuser,item,plays,\n"), step=9)

    assert [plays for _, _, plays in found.plays] == [1.0, 2.0]
    assert found.bad == [(5, "too many fields", "")]


def test_a_header_is_known_by_place_too(log):
    path = log("who,what,plays\na,b,1\n")

    assert read(path, columns="user,item,plays") == ([("a", "b", 1.0)], [], 2, 0)


def test_a_play_of_user_named_user_is_no_header(log):
    assert read(log("1709251200\tuser\titem\t40000\n", "log.tsv")).plays == [("user", "item", 1.0)]


def test_each_file_is_read_by_its_own_header(log, tmp_path):
    log("user,item,plays\na,b,1\n", "a.csv")
    log("item,user,plays\na,b,1\n", "b.csv")

    found = find_layouts([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")], InputOptions())

    assert [layout.columns for layout in found.layouts] == [("user", "item", "plays"), ("item", "user", "plays")]
    assert found.kinds == (0, 1)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_columns_are_named_in_any_order_and_the_delimiter_is_seen(log, delimiter):
    inside = delimiter if delimiter != "\t" else ","  # an id may hold no tab, not even in quotes
    text = f'plays,"the artist",when,"the user"\n3,"a{inside}b",2024-03-01,u\n'
    text = text.replace(",", delimiter).replace(f"a{delimiter}b", f"a{inside}b")
    given = {"delimiter": delimiter} if delimiter == "|" else {}

    found = read(log(text), format="csv", columns="user=the user,item=the artist,plays=plays,timestamp=when", **given)

    assert found.plays == [("u", f"a{inside}b", 3.0)]


def test_movielens_ratings_are_read_as_they_are(log):
    path = log("userId,movieId,rating,timestamp\n1,296,5.0,1147880044\n1,306,3.5,1147868817\n", "ratings.csv")

    found = read(path, ratings=True)

    assert found.plays == [("1", "296", 5.0), ("1", "306", 3.5)]


def test_lastfm_1k_is_read_as_it_is(log):
    """Newest first, many artists without an id, six columns and no header."""
    rows = [
        "user_000001\t2009-05-04T23:08:57Z\tf1b1cf71-bd35-4e99-8624-24a6e15f133a\tDeep Dish\t\tSummer Set (Live)-09-28-2007",
        "user_000001\t2009-05-04T13:54:10Z\ta7f7df4a-77d8-4f12-8acd-5c60c93f4de8\t坂本龍一\t\tComposition 0919 (Live_2009_4_15)",
        "user_000001\t2009-05-03T11:00:00Z\t\tBrian & Co, \"The\"\t\tx",
        "user_000002\t2006-08-13T13:59:20Z\ta7f7df4a-77d8-4f12-8acd-5c60c93f4de8\t坂本龍一\t\tMc2",
    ]  # fmt: skip
    path = log("\n".join(rows) + "\n", "userid-timestamp-artid-artname-traid-traname.tsv")

    assert read(path).plays == [
        ("user_000001", "Deep Dish", 1.0), ("user_000001", "坂本龍一", 1.0), ("user_000001", 'Brian & Co, "The"', 1.0),
        ("user_000002", "坂本龍一", 1.0),
    ]  # fmt: skip
    assert read(path, since="2009-05-04").lines == 4
    assert len(read(path, since="2009-05-04", until="2009-05-04T20:00:00Z").plays) == 1
    by_id = read(path, columns="user,timestamp,item,-,-,-")
    assert by_id.bad == [(3, "empty id", "item")]


def test_lastfm_360k_is_read_as_it_is(log):
    row = "00000c289a1829a808ac09c00daf10bc3c4e223b\t3bd73256-3905-4f3a-97e2-8b341527f805\tbetty blowtorch\t2137\n"

    assert read(log(row, "plays.tsv")).plays == [("00000c289a1829a808ac09c00daf10bc3c4e223b", "betty blowtorch", 2137.0)]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "a,b\n1,2\n",
            {"columns": "user=a,item=c"},
            "nothing is named 'c', which --columns gives for the item; its names are a, b$",
        ),
        (
            "user_id,artist\n1,2\n",
            {"columns": "user=userid,item=artist"},
            r"nothing is named 'userid', .*; its names are user_id, artist; did you mean 'user_id'\?",
        ),
        ("1,2\n3,4\n", {}, "2 fields separated by ','"),
        ("who,what\n1,2\n", {}, "known as that of a user and an item; .*; its names are who, what"),
        ("", {}, "empty, and so are all other logs"),
    ],
)
def test_a_log_that_cannot_be_understood_says_what_it_has(log, text, options, message):
    with pytest.raises(BadInputError, match=message):
        read(log(text), **options)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("user=a", "does not say which is the item"), ("user=a,item=a", "a is named twice"),
        ("user=a,user=b,item=c", "user is named twice"),
        ("user=a,stars=b", "'stars=b' is not of the form"), ("user=a,item", "'item' is not of the form"),
        ("user=,item=b", "not of the form"),
        ("user==me,user==b,item=c", "expected one user==NAME"),
    ],
)  # fmt: skip
def test_names_that_make_no_sense_are_usage_errors(log, columns, message):
    with pytest.raises(UsageError, match=message):
        read(log("a,b,c\n1,2,3\n"), columns=columns)

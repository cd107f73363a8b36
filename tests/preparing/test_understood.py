"""Several files of one run, each read by its own schema; what is said of them; and what becomes of every line."""

from __future__ import annotations

import json
import re
import zipfile

import pytest

from mr_als import cli
from mr_als.engine.engine import Engine
from mr_als.errors import BadInputError, UsageError
from mr_als.options import InputOptions
from mr_als.preparing.inputs import check_engine, find_layouts
from mr_als.preparing.prepare import prepare
from mr_als.records.lines import LINES
from tests.preparing.test_inputs import pairs_of


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(**files):
    """Write files, _ for the dot in their names, and list these."""
    names = []
    for name, text in files.items():
        names.append(".".join(name.rsplit("_", 1)))
        with open(names[-1], "w", encoding="utf-8", newline="") as file:
            file.write(text)
    return names


def plays_of(names, **options):
    """Prepare files: plays of each pair, and what became of the lines."""
    plays = prepare(names, "plays", InputOptions(**options), Engine(tasks=2))
    return {"/".join(pair): units / 65536 for pair, units in pairs_of(plays).items()}, plays.info


COUNTS = "user,item,plays\nann,x,3\nbob,y,1\n"


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ("item,user,plays\nx,ann,4\nz,eve,5\n", {"ann/x": 7, "bob/y": 1, "eve/z": 5}),
        ("artist;album;Listener;Play Count\nx;a;ann;4\n", {"ann/x": 7, "bob/y": 1}),
        ("item,user\nx,ann\nx,ann\n", {"ann/x": 5, "bob/y": 1}),
        ("# of May\n\nuser,item,plays\nann,x,4\n", {"ann/x": 7, "bob/y": 1}),
        ("ann\tx\t4\n", {"ann/x": 7, "bob/y": 1}),
        ("1709251200\tann\tx\t40000\n1709251200\tann\tx\t400\n", {"ann/x": 4, "bob/y": 1}),
        ('{"user": "ann", "item": "x", "plays": 4}\n', {"ann/x": 7, "bob/y": 1}),
        ('[{"item": "x", "user": "ann"}]', {"ann/x": 4, "bob/y": 1}),
        ("", {"ann/x": 3, "bob/y": 1}),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_every_file_is_read_by_its_own_schema(folder, other, expected, order):
    assert plays_of(write(a_csv=COUNTS, b_log=other)[::order])[0] == expected


def test_files_that_differ_above_their_headers_alone_have_one_layout(folder):
    names = write(a_csv="# May 1\n" + COUNTS, b_csv="# May 2\n\n" + COUNTS, c_csv="User,Item,Plays\nann,x,1\n")

    understood = find_layouts(names, InputOptions())

    assert understood.kinds == (0, 0, 0)
    assert {*understood.layouts[0].header} == {b"# May 1", b"# May 2", b"", b"user,item,plays", b"User,Item,Plays"}
    check_engine(understood, Engine("hadoop", LINES))


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        ("artist,user,plays\nx,ann,1\n", "ann,x,2\n", r"b\.csv: it has no header, and .*a\.csv names its columns in another order"),
        ("user,artist\na,x\n", "user,track\na,x\n", r"b\.csv: its item is 'track', that of .*a\.csv is 'artist'"),
        ("userId,item\n1,x\n", "username,item\na,x\n", r"b\.csv: its user is 'username', that of .*a\.csv is 'userId'"),
        ("user,artistId\na,1\n", "user,artist_name\na,x\n", r"b\.csv: its item is 'artist_name'"),
        (COUNTS, "who,what\na,1\n", r"b\.csv: none of its names is known"),
    ],
)
def test_files_that_do_not_fit_together_are_refused_by_name(folder, one, other, message):
    with pytest.raises(BadInputError, match=message):
        find_layouts(write(a_csv=one, b_csv=other), InputOptions())


def test_ratings_and_plays_do_not_add_up(folder):
    names = write(a_csv="user,item,rating\na,x,4\n", b_csv="user,item,plays\na,x,40\n")

    with pytest.raises(BadInputError, match=r"b\.csv: of it and .*a\.csv, one has ratings and the other plays"):
        find_layouts(names, InputOptions(), ratings=True)


def test_files_of_other_columns_are_no_input_of_a_cluster(folder):
    understood = find_layouts(write(a_csv=COUNTS, b_csv="item,user\nx,ann\n"), InputOptions())

    with pytest.raises(UsageError, match=r"b\.csv has other columns than .*a\.csv, which -r hadoop cannot read.*-r local"):
        check_engine(understood, Engine("hadoop", LINES))


def test_what_needs_times_names_the_file_that_has_none(folder):
    names = write(a_tsv="1709251200\tann\tx\t40000\n", b_tsv="ann\tx\t1\n")

    with pytest.raises(UsageError, match=r"need the time of each play, but the columns are user,item,plays in .*b\.tsv"):
        plays_of(names, since="2024")
    with pytest.raises(UsageError, match=r"--duplicates last needs the time .* in .*b\.tsv"):
        plays_of(names, duplicates="last")


def test_a_name_that_comes_late_in_json_is_refused_with_its_place(folder):
    lines = [json.dumps({"user": f"u{n % 50}", "item": f"i{n % 40}", **({"plays": 300} if n >= 3000 else {})}) for n in range(6000)]
    names = write(late_jsonl="\n".join(lines) + "\n")

    with pytest.raises(BadInputError, match=r"late\.jsonl, record 3001: it names plays, which none of the first records does"):
        plays_of(names)
    with pytest.raises(BadInputError, match=r"3000 of 6000 lines are bad \(3000 missing field\)"):
        plays_of(names, columns="user=user,item=item,plays=plays")
    assert sum(plays_of(names, columns="user=user,item=item")[0].values()) == 6000


def test_another_header_in_the_middle_is_refused_with_its_place(folder):
    names = write(both_csv=COUNTS + "artist,user,plays\n" + "x,ann,4\n" * 500)

    with pytest.raises(BadInputError, match=r"both\.csv, line 4: it names other columns .*'artist,user,plays'"):
        plays_of(names)


def said_by(capfd, *arguments):
    code = cli.main([str(argument) for argument in arguments])
    return code, capfd.readouterr().err


def test_what_was_understood_is_said_once_for_each_kind_of_file(folder, capfd):
    headed = "device,listener,artist,plays,album\ncar,ann,Crooked Brass,3,x\n"
    names = write(
        plays_csv=headed, more_csv=headed, e_tsv="1709251200\tann\tSigur Rós\t40000\n",
        l_jsonl='{"user": 1}\n{"user": "eve", "item": "it\'s"}\n',
    )  # fmt: skip

    _, err = said_by(capfd, "prepare", *names, "--plays", "plays", "--max-bad-lines", "9")

    assert [line for line in err.splitlines() if "read as" in line] == [
        "prepare: read as: time 2024-03-01T00:00:00Z, user 'ann', item 'Sigur Rós', ms_played 40000 (e.tsv, line 1)",
        "prepare: read as: user 'eve', item \"it's\", one play (l.jsonl, record 2)",
        "prepare: read as: user 'ann', item 'Crooked Brass', plays 3 (more.csv, line 2, and 1 more file; not used: device, album)",
    ]


@pytest.mark.parametrize("quiet", [(), ("-q",)])
def test_numbers_that_are_not_used_are_named_even_to_those_who_want_to_hear_nothing(folder, capfd, quiet):
    names = write(a_csv="user,artistid,artist,minutes,album,year\nann,7,x,3.5,a,1999\nbob,8,y,7,b,2001\n")

    code, err = said_by(capfd, "prepare", *names, "--plays", "plays", *quiet)

    assert code == 0
    assert re.search(r"warning: prepare: .*a\.csv: numbers that are not used: minutes, year; each line counts as one play", err)
    assert "--columns user=user,item=artist,plays=minutes" in err
    assert "artistid; " not in err
    assert ("read as" in err) == (not quiet)


def test_a_sum_says_what_became_of_every_line(folder, capfd):
    lines = ["ts,user,artist,ms_played,plays"]
    lines += ["2024-03-02,ann,x,40000,2"] * 5 + ["2024-03-02,ann,x,400,2"] * 4 + ["2023-03-02,ann,x,40000,2"] * 3
    lines += ["2023-03-02,ann,x,4,2"] * 2 + ["2024-03-02,ann,x,40000,0"] * 6 + ["2024-03-02,ann,x,40000,many"] * 7
    names = write(a_csv="\n".join(lines) + "\n")

    code, err = said_by(capfd, "prepare", *names, "--plays", "plays", "--since", "2024", "--max-bad-lines", "50%")

    assert code == 0
    assert "prepare: 28 lines = 5 plays + 6 too short + 3 outside the window + 6 zero plays + 1 header + 7 bad\n" in err
    info = json.loads((folder / "plays" / "plays.json").read_text())
    assert info["counts"] == {"lines": 28, "filtered": 9}
    assert (info["repeated"], info["plays"]) == (10, 10)


def test_records_without_user_or_item_are_in_the_sum(folder, capfd):
    names = write(a_jsonl='{"user":"a","item":null}\n{"user":"a","item":"x"}\n')

    _, err = said_by(capfd, "prepare", *names, "--plays", "plays")

    assert "prepare: 2 lines = 1 plays + 1 without user or item\n" in err


@pytest.mark.parametrize(
    ("options", "said", "code"),
    [
        (("--since", "2030"), "--since 2030 leaves out everything: times are from 2024-03-10T00:00:00Z to 2024-03-19T00:00:00Z", 1),
        (("--since", "2024-03-10"), "--since 2024-03-10 leaves out nothing: times are from", 0),
        (("--until", "2024-03-10"), "--until 2024-03-10 leaves out everything: times are from", 1),
        (("--until", "20240320"), "--until 20240320 leaves out nothing: times are from", 0),
        (("--half-life", "300", "--as-of", "2025"), "--as-of 2025 leaves out nothing: times are from", 0),
        (("--half-life", "3", "--as-of", "2024"), "--as-of 2024 leaves out everything: times are from", 1),
        (("--since", "2024-03-11", "--until", "2024-03-19"), "", 0),
    ],
)
def test_a_window_that_leaves_out_nothing_or_all_says_so_with_the_times_read(folder, capfd, options, said, code):
    names = write(date8_tsv="".join(f"202403{10 + n}\tann\ti{n}\t200000\n" for n in range(10)))

    done, err = said_by(capfd, "prepare", *names, "--plays", "plays", "-q", *options)

    assert done == code
    assert said in err if said else "leaves out" not in err


def test_eight_digits_are_a_date_for_windows(folder):
    names = write(date8_tsv="".join(f"202403{10 + n}\tann\ti{n}\t200000\n" for n in range(10)))

    assert sorted(plays_of(names, until="2024-03-15")[0]) == [f"ann/i{n}" for n in range(5)]


RATED = "userId,movieId,rating,timestamp\n" + "".join(f"{n % 4},{n},{n % 5 + 1},{978_300_760 + n}\n" for n in range(40))


def test_ratings_are_asked_for_by_every_command_that_reads_logs(folder, capfd):
    write(ratings_csv=RATED)

    for command in ("prepare --plays p", "train --model m --rank 2", "split --by random --share 0.2 --train a --test b"):
        name, *rest = command.split()
        code, err = said_by(capfd, name, "ratings.csv", *rest, "-q")
        assert code == 1
        assert re.search("'rating' is a rating.*--feedback explicit", err)
        assert said_by(capfd, name, "ratings.csv", *rest, "-q", "--feedback", "explicit") == (0, "")
    write(test_csv="userId,movieId,rating\n0,1,4\n1,2,3\n")
    assert said_by(capfd, "evaluate", "--model", "m", "test.csv", "-q") == (0, "")


def test_a_header_is_no_rating_given_twice(folder):
    """It was counted as a line that rates what had been rated, and ratings do not add up."""
    write(ratings_csv=RATED)

    assert prepare(["ratings.csv"], "plays", InputOptions(), ratings=True).info["repeated"] == 0


def test_a_member_of_an_archive_is_named_without_the_place_where_it_was_unpacked(folder):
    with zipfile.ZipFile("logs.zip", "w") as archive:
        archive.writestr("a.csv", "who,what\na,1\n")

    with pytest.raises(BadInputError, match=rf"^{folder}/logs\.zip/a\.csv: none of its names"):
        prepare(["logs.zip"], "plays", InputOptions())

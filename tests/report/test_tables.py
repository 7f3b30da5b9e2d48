"""Tables: one marking of the best, and what Markdown, LaTeX and a terminal show of it."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

from fusejax.evaluation.results import Scores
from fusejax.report.files import write_tables
from fusejax.report.known_rows import read_rows
from fusejax.report.latex import latex
from fusejax.report.markdown import markdown
from fusejax.report.ranking import rank
from fusejax.report.tables import Cell, Table, condition_table, decimals, marked, number, score_table, terminal_table


def scores(images=2, name="", metrics=("EN", "MSE"), conditions=("clean",), **methods):
    """Scores of methods; one value per metric, the same on all images and conditions."""
    values = np.array(list(methods.values()), float)[:, None, None, :]
    stacked = np.tile(values, (1, len(conditions), images, 1))
    return Scores(tuple(methods), tuple(map(str, range(images))), metrics, stacked, "exact", conditions, name)


def marks(cells):
    return [cell.mark for cell in cells]


def test_best_and_second_are_marked_in_the_direction_of_the_metric():
    values = np.array([7.0, 6.0, 5.0, np.nan])
    assert marks(marked(values, "EN")) == ["best", "second", "", ""]
    assert marks(marked(values, "MSE")) == ["", "second", "best", ""]
    assert marks(marked(values, "change")) == ["", "second", "best", ""]  # a small change is good


def test_the_value_nearest_to_the_goal_is_the_best_and_ranks_first():
    assert marks(marked(np.array([1.3, 0.9, 1.02, 0.5]), "saturation")) == ["", "second", "best", ""]
    found = scores(metrics=("saturation",), a=(1.3,), b=(0.9,), c=(1.02,), d=(np.nan,))
    ranking = rank([found])
    assert [ranking.methods[n] for n in ranking.order] == ["c", "b", "a", "d"]
    table = score_table(found, ranking)
    assert table.header[1] == "saturation →1"
    assert r"saturation $\to$1" in latex([table])


def test_values_that_print_alike_share_a_mark_and_push_the_second_out():
    assert marks(marked(np.array([7.00001, 7.0, 6.0]), "EN")) == ["best", "best", ""]
    assert marks(marked(np.array([7.0, 6.0, 6.00001]), "EN")) == ["best", "second", "second"]
    assert marks(marked(np.array([7.0, 7.0]), "EN")) == ["", ""]
    assert marks(marked(np.array([7.0, np.nan]), "EN")) == ["", ""]


def test_what_does_not_compete_is_not_marked():
    cells = marked(np.array([9.0, 7.0, 6.0]), "EN", competing=np.array([False, True, True]))
    assert marks(cells) == ["", "best", "second"]


def test_numbers_have_four_digits_and_no_negative_zero():
    assert [decimals([v]) for v in (0.01234, 0.5, 7.1, 45.0, 512.0, 5e4, 0.0)] == [5, 4, 3, 2, 1, 0, 3]
    assert decimals([7.1, np.nan, -45.0]) == 2
    assert [number(v, 2) for v in (1.005, -0.001, float("nan"), float("inf"))] == ["1.00", "0.00", "–", "inf"]


def test_markdown_and_latex_mark_the_same_cells():
    found = scores(a=(7.0, 3.0), b=(6.0, 1.0), c=(5.0, 2.0))
    table = score_table(found, rank([found]))
    text = markdown([table])
    assert "| a | **7.000** | 3.000 | 2.00 (2.00 to 2.00) |" in text
    assert "| b | <u>6.000</u> | **1.000** | 1.50 (1.50 to 1.50) |" in text
    assert "| method | EN ↑ | MSE ↓ | mean rank ↓ |" in text
    tex = latex([table])
    assert r"a & \textbf{7.000} & 3.000 & 2.00 (2.00 to 2.00) \\" in tex
    assert r"b & \underline{6.000} & \textbf{1.000} & 1.50" in tex
    assert r"EN $\uparrow$ & MSE $\downarrow$" in tex
    rules = re.findall(r"\\(toprule|midrule|bottomrule)", tex)
    assert rules == ["toprule", "midrule", "bottomrule"]


def test_ties_are_marked_in_every_form_and_explained():
    rng = np.random.default_rng(1)
    values = rng.standard_normal((2, 1, 30, 1)) + 5
    values[1] += 0.01 - (values[1] - values[0]).mean()
    found = Scores(("a", "b"), tuple(map(str, range(30))), ("EN",), values, "exact")
    table = score_table(found, rank([found]))
    assert [row[1].tied for row in table.rows] == [True, False] and table.rows[1][1].mark == "best"
    assert "</u> ≈ |" in markdown([table]) and "≈ may be tied with the best" in markdown([table])
    assert r"} $\approx$ &" in latex([table]) and "may be tied" in latex([table])
    apart = scores(a=(7.0, 3.0), b=(6.0, 1.0))
    assert "≈" not in markdown([score_table(apart, rank([apart]))])


def test_names_contain_no_markup():
    name = "<img src=x onerror=alert(1)>|*b*_50%"
    found = scores(**{name: (7.0, 3.0), "b": (6.0, 1.0)}, name="set_1")
    table = score_table(found, rank([found]))
    line = next(line for line in markdown([table]).splitlines() if "img" in line)
    assert "\\<img" in line and "\\|" in line and line.count("|") - line.count("\\|") == 5
    assert r"\textless{}img src=x onerror=alert(1)\textgreater{}\textbar{}*b*\_50\%" in latex([table])
    assert r"\caption{Set\_1: means" in latex([table])


def test_narrow_terminals_get_a_row_for_each_metric():
    few = ("EN", "SD", "SF", "SCD")
    found = scores(metrics=few, first=(123.4567,) * 4, second=(123.4567,) * 4)

    def printed(width):
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(terminal_table(score_table(found), width=width))
        return [line.split() for line in console.export_text().splitlines() if "123.5" in line]

    assert [line[1] for line in printed(80)] == ["first", "second"]
    narrow = printed(36)
    assert [line[1] for line in narrow] == list(few)
    assert all(line.count("123.5") == 2 for line in narrow)


def test_seeds_give_mean_and_standard_deviation_over_them():
    found = scores(conditions=("seed 0", "seed 1"), v0=(0.0, 0.0), v1=(5.0, 5.0), average=(9.0, 9.0))
    found.values[0, :, :, 0] = [[0.0, 2.0], [2.0, 4.0]]  # means 1 and 3
    found.values[2, 1] = np.nan  # a row with one seed
    table = score_table(found, rank([found.select(methods=["v0", "v1"])]))
    assert table.rows[0][1].text == "2.000 ± 1.000"
    assert table.rows[1][1] == Cell("5.000 ± 0.000", "best")
    assert table.rows[2][1] == Cell("9.000") and table.rows[2][-1] == Cell("")
    assert "over 2 seeds" in table.caption
    assert r"2.000 $\pm$ 1.000" in latex([table])


def test_conditions_stand_below_and_methods_beside_each_other():
    """R14: the smallest change is the best; R15's value is that of the study."""
    found = scores(metrics=("change", "MI"), conditions=("clean", "n1", "n2"), a=(0.0, 2.0), b=(0.0, 2.0))
    found.values[0, 1:, :, 0], found.values[1, 1:, :, 0] = 10.0, 30.0
    found.values[0, 1:, :, 1] = 1.0
    table = condition_table(found, {("clean",): [0], ("noise",): [1, 2]}, ["degradation"])
    assert table.header == ["degradation", "change ↓, a", "change ↓, b", "MI ↑, a", "MI ↑, b"]
    clean, noise = table.rows
    assert [cell.text for cell in clean] == ["clean", "0.00", "0.00", "2.000", "2.000"]
    assert marks(clean) == [""] * 5
    assert [cell.text for cell in noise] == ["noise", "10.00", "30.00", "1.000", "2.000"]
    assert marks(noise) == ["", "best", "second", "second", "best"]


def test_rows_measured_elsewhere_are_read_from_our_own_files_and_listed(tmp_path):
    found = scores(name="a/b", m=(1.25, 2.0), n=(2.5, 3.0))
    write_tables(tmp_path, [found], [score_table(found)])
    for file in ("metrics.csv", "table.md"):
        assert read_rows(tmp_path / file) == {"a/b": {"m": {"EN": 1.25, "MSE": 2.0}, "n": {"EN": 2.5, "MSE": 3.0}}}
    with pytest.raises(ValueError, match="was measured with the convention exact"):
        read_rows(tmp_path / "metrics.csv", convention="cddfuse")
    known = {"a/b": {"theirs": {"EN": 9.0}, "m": {"EN": 9.0}}}
    table = score_table(found, rank([found], known=known), known=known)
    shown = [[cell.text for cell in row[:2]] for row in table.rows]
    assert shown == [["m", "1.250"], ["n", "2.500"], ["theirs", "9.000"]]
    assert table.header[:2] == ["method", "EN ↑"] and len(table.header) == 3
    assert table.rows[2][1].mark == "best" and table.notes == ["Measured elsewhere: theirs."]


def test_a_table_without_competitors_has_no_marks():
    table = Table("c", ["method", "EN"], [[Cell("a"), Cell("1")]])
    assert "**" not in markdown([table]) and not table.has_marks and not table.has_ties

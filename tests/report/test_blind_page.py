"""The page for blind viewing: used with keys as a person would, and what becomes of the answers."""

import json
from collections import Counter

import numpy as np
import pytest

from fusejax.cli.main import main
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.evaluation.score_files import read_scores
from fusejax.io.images import read_image, write_image
from fusejax.report.blind_page import KEY, PAGE, plan_trials, read_answers


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("blind")
    write_synthetic_folder(root, count=4, size=(24, 32))
    for path in (root / "vi").iterdir():
        for n, name in enumerate(("secret one", "secret two", "secret three"), start=1):
            write_image(root / name / path.name, read_image(path) // n)
    return root


@pytest.fixture(scope="module")
def page(folders):
    words = ["--ir", folders / "ir", "--vi", folders / "vi", "--out", folders / "out", "--pairs", 5]
    for n, name in enumerate(("secret one", "secret two", "secret three")):
        words += ["--fused", f"method{n}={folders / name}"]
    main(["blind", *map(str, words)])
    return folders / "out"


def test_trials_are_balanced_and_in_random_order():
    trials = plan_trials("abc", [str(n) for n in range(30)], seed=3)
    assert len(trials) == len(set(trials)) == 90
    assert set(Counter(frozenset((t.left, t.right)) for t in trials).values()) == {30}
    left = Counter(t.left for t in trials)
    assert all(20 < left[name] < 40 for name in "abc")
    assert [t.image for t in trials[:30]] != sorted({t.image for t in trials}, key=int)
    assert trials == plan_trials("abc", [str(n) for n in range(30)], seed=3)
    assert trials != plan_trials("abc", [str(n) for n in range(30)], seed=4)


def test_a_part_of_the_trials_spreads_over_images_and_one_method_can_be_in_all():
    trials = plan_trials("abcd", [str(n) for n in range(10)], count=10, focus="c")
    assert len({t.image for t in trials}) == 10
    assert all("c" in (t.left, t.right) for t in trials)
    assert set("abd") <= {name for t in trials for name in (t.left, t.right)}
    with pytest.raises(ValueError, match="'e' is none of the methods: a, b"):
        plan_trials("ab", ["x"], focus="e")


def test_the_page_hides_the_names_and_loads_nothing(page):
    text = (page / PAGE).read_text()
    assert "method" not in text
    assert "secret" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert {t["left"] for t in json.loads((page / KEY).read_text())["trials"]} <= {"method0", "method1", "method2"}


@pytest.mark.slow
def test_answers_by_keyboard_reach_the_table(page, browser, tmp_path, capsys):
    view = browser.new_page(viewport={"width": 1000, "height": 700}, accept_downloads=True)
    errors = []
    view.on("pageerror", lambda error: errors.append(str(error)))
    view.goto((page / PAGE).as_uri())
    view.wait_for_selector("body[data-ready]")
    trials = json.loads((page / KEY).read_text())["trials"]
    for number, trial in enumerate(trials):
        assert view.get_attribute("body", "data-trial") == str(number)
        means = [
            view.evaluate(
                """async (id) => { const image = document.getElementById(id); await image.decode();
                const c = document.createElement('canvas');
                c.width = image.naturalWidth; c.height = image.naturalHeight;
                const g = c.getContext('2d'); g.drawImage(image, 0, 0);
                const d = g.getImageData(0, 0, c.width, c.height).data; let s = 0;
                for (let k = 0; k < d.length; k += 4) s += d[k] + d[k + 1] + d[k + 2]; return s / d.length; }""",
                f"{side}-image",
            )
            for side in ("left", "right")
        ]
        brighter = min((trial["left"], trial["right"]), key=lambda name: int(name[-1]))
        assert (means[0] > means[1]) == (brighter == trial["left"])  # method0 is the brightest
        view.keyboard.press("ArrowLeft" if means[0] > means[1] else "ArrowRight")
    assert view.is_visible("#end")
    view.keyboard.press("u")  # takes the last answer back
    view.reload()  # answers survive
    view.wait_for_selector("body[data-ready]")
    assert view.get_attribute("body", "data-trial") == str(len(trials) - 1)
    view.keyboard.press("ArrowDown")
    view.fill("#viewer", "Ann")
    view.click("#place")
    with view.expect_download() as download:
        view.click("#save")
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert errors == []
    assert file.name == "answers_Ann.json"
    choices = read_answers(page / KEY, [file])
    assert [c.viewer for c in choices] == ["Ann"] * len(trials)
    assert choices[-1].winner is None
    assert all(int(c.winner[-1]) == min(int(c.left[-1]), int(c.right[-1])) for c in choices[:-1])
    main(["blind", "--out", str(page), "--answers", str(file)])
    said = capsys.readouterr().out
    assert "5 answers of 1 viewer(s)" in said
    assert said.index("| method0 |") < said.index("| method2 |")
    assert json.loads((page / "preferences.json").read_text())["answers"] == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "is not a JSON file"),
        ("[" * 200_000, "is not a JSON file"),
        ("[]", "has no 'study'"),
        ('{"study": "x", "viewer": "v", "answers": []}', "another page"),
        ('{"study": "STUDY", "viewer": "v", "answers": [{"trial": 99, "choice": "left"}]}', "is no answer"),
        ('{"study": "STUDY", "viewer": "v", "answers": [{"trial": 0, "choice": "up"}]}', "is no answer"),
    ],
)
def test_damaged_answers_are_named(page, tmp_path, content, message):
    study = json.loads((page / KEY).read_text())["study"]
    (tmp_path / "a.json").write_text(content.replace("STUDY", study))
    with pytest.raises(ValueError, match=rf"a\.json.*{message}"):
        read_answers(page / KEY, [tmp_path / "a.json"])


def test_missing_images_and_existing_pages_are_refused(folders, page, tmp_path, capsys):
    write_image(tmp_path / "few" / "other.png", np.zeros((4, 4, 1), np.uint8))
    sources = ["--ir", str(folders / "ir"), "--vi", str(folders / "vi")]
    for words, message in (
        (["--fused", f"a={tmp_path / 'few'}", "--fused", f"b={folders / 'vi'}"], "a has no image for"),
        (["--fused", f"a={folders / 'ir'}", "--fused", f"b={folders / 'vi'}"], "already exists"),
        (["--fused", str(folders / "vi"), "--fused", f"b={folders / 'vi'}"], "give NAME=DIR"),
        (["--fused", f"b={folders / 'vi'}"], "two or more methods"),
        (["--fused", f"b={folders / 'vi'}", "--fused", f"b={folders / 'ir'}"], "Two --fused have the same name"),
    ):
        with pytest.raises(SystemExit):
            main(["blind", *sources, "--out", str(page), *words])
        assert message in capsys.readouterr().err


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """Two sets with the results of two methods and two rules, and the page of `compare --blind`."""
    root = tmp_path_factory.mktemp("comparison")
    for name in ("day/val", "night/val"):
        write_synthetic_folder(root / name, count=2, size=(24, 32))
        for path in (root / name / "vi").iterdir():
            for n, method in enumerate(("good", "poor"), start=1):
                write_image(root / method / name / path.name, read_image(path) // n)
    words = ["compare", "--data-root", str(root), "--out", str(root / "out"), "--sets", "day/val", "night/val"]
    words += ["--weights", "top=maximum", "--rules", "average", "--others", str(root / "good"), str(root / "poor")]
    main([*words, "--metrics", "SD", "MSE", "--blind", "--blind-focus", "good"])
    return root / "out"


def test_compare_writes_one_blind_page_over_all_sets(comparison):
    trials = json.loads((comparison / KEY).read_text())["trials"]
    assert Counter(t["image"].rsplit("/", 1)[0] for t in trials) == {"day/val": 6, "night/val": 6}
    assert all("good" in (t["left"], t["right"]) for t in trials)
    assert {name for t in trials for name in (t["left"], t["right"])} == {"top", "average", "good", "poor"}
    assert "poor" not in (comparison / PAGE).read_text()


def test_metrics_predict_choices_from_the_command_line(comparison, tmp_path, capsys):
    """The viewer always prefers the image with the larger standard deviation."""
    key = json.loads((comparison / KEY).read_text())
    values = {(s.name, m, i): s.of(m, "SD")[n] for s in read_scores(comparison / "metrics.csv")
              for m in s.methods for n, i in enumerate(s.images)}  # fmt: skip

    def value(trial, side):
        folder, _, name = trial["image"].rpartition("/")
        return values[folder, trial[side], name]

    choices = ["left" if value(t, "left") > value(t, "right") else "right" for t in key["trials"]]
    answers = [{"trial": n, "choice": choice} for n, choice in enumerate(choices)]
    (tmp_path / "a.json").write_text(json.dumps({"study": key["study"], "viewer": "Ann", "answers": answers}))
    words = ["blind", "--out", str(comparison), "--answers", str(tmp_path / "a.json"), "--scores"]
    main([*words, str(comparison / "metrics.csv")])
    said = capsys.readouterr().out
    assert "| exact SD | 100 % | 12 |" in said
    assert said.index("exact SD") < said.index("exact MSE")
    found = json.loads((comparison / "preferences.json").read_text())
    assert found["predictions"]["exact SD"] == {"share": 1.0, "choices": 12}
    others = (comparison / "metrics.csv").read_text().replace("val", "else")
    (tmp_path / "others.csv").write_text(others)
    with pytest.raises(SystemExit):
        main([*words, str(tmp_path / "others.csv"), "--overwrite"])
    assert "has no scores of these methods on these images" in capsys.readouterr().err


def test_options_of_the_blind_page_need_the_page(tmp_path, capsys):
    words = ["compare", "--data-root", str(tmp_path), "--out", str(tmp_path / "out"), "--blind-pairs"]
    for count, message in (("5", "also give that"), ("0", "--blind-pairs is 0")):
        with pytest.raises(SystemExit):
            main([*words, count])
        assert message in capsys.readouterr().err

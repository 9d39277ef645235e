"""The papers' claims: each can be judged, come out either way, and be looked up and repeated."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from claims_helpers import curve, given, record
from scipy import stats

from sgdm_lib.cli import filing
from sgdm_lib.engine import records
from sgdm_lib.study import criteria, evidence, pages, papers
from sgdm_lib.study.claims import Claim
from sgdm_lib.study.pages import Report

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
CLAIMS = pages.all_claims()
EACH = pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)


@EACH
def test_claims_are_complete(claim):
    assert CLAIMS[claim.id] is claim
    assert claim.statement.endswith(".")
    assert claim.where
    assert claim.tests
    assert all(hasattr(criteria, name) for name in claim.criteria), "a reader can look it up"
    for protocol in ("full", "cnn10k"):
        paper = "kamo2025" if claim.id.startswith("K") else "kondo2025"
        source = evidence.Recorded(CHAPTERS / "records", paper, protocol, claim.dataset)
        if claim.dataset == "cifar100" or protocol == "full":
            assert {source.name(run) for run in claim.runs} <= papers.catalogue().keys()


@EACH
def test_every_claim_is_judged_in_a_chapter(claim):
    (notebook,) = CHAPTERS.glob(f"{claim.chapter}.ipynb")
    assert re.search(rf'page\.claim\(\\"{claim.id}\\"\)', notebook.read_text("utf8"))


@EACH
def test_without_any_runs_a_claim_has_not_been_run(claim):
    verdict = claim.judge(given())
    assert verdict.outcome == "no data"
    assert verdict.claim == claim.statement


def test_a_claim_counts_its_parts():
    norm, flat = np.geomspace(1, 0.1, 20), np.r_[2.0, np.ones(19)]
    k3 = CLAIMS["K3"]
    all_good = {f"{o}__x2": curve(norm) for o in evidence.NAMES_IN_FIGURES}
    constant = {f"{o}__constant": curve(flat) for o in evidence.NAMES_IN_FIGURES}
    assert k3.judge(given(**all_good, **constant)).outcome == "holds"
    one_bad = all_good | {"rmsprop__x2": curve(2 * flat)}
    verdict = k3.judge(given(**one_bad, **constant))
    assert (verdict.outcome, verdict.label) == ("mixed", "mixed (5 of 6)")
    assert "RMSprop ✗ ratio 2" in verdict.details
    all_bad = {name: curve(2 * flat) for name in all_good}
    assert k3.judge(given(**all_bad, **constant)).outcome == "fails"
    some = k3.judge(given(nshb__x2=curve(norm), nshb__constant=curve(flat)))
    assert some.outcome == "undecided"
    assert some.evidence == "Only 1 of 6 tests are decided, 1 of these hold; 5 without data."


# The paper's own curves, judged again by hand


def published(run, quantity):
    rows = pd.read_csv(CHAPTERS / "paper_curves/kamo2025/cifar100_resnet18.csv")
    optimizer, schedule = run.split("/")
    rows = rows[
        (rows["schedule"] == schedule)
        & (rows["metric"] == quantity)
        & (rows["optimizer"].str.lower() == optimizer)
    ].sort_values("epoch")
    low, mean, high = (rows[name].to_numpy() for name in ("low", "mean", "high"))
    return np.stack([low, np.clip(3 * mean - low - high, low, high), high])


def test_doubling_in_the_papers_own_curves():
    parts = CLAIMS["K3"].parts(evidence.Published(CHAPTERS / "paper_curves"))
    for optimizer, name in evidence.NAMES_IN_FIGURES.items():
        grown, constant = (
            np.log(published(f"{optimizer}/{schedule}", "gradient_norm")[:, -1])
            for schedule in ("x2", "constant")
        )
        reference = stats.ttest_ind(grown, constant, equal_var=False).confidence_interval(0.95)
        assert parts[name].value == pytest.approx(np.exp(grown.mean() - constant.mean()))
        assert parts[name].interval == pytest.approx(tuple(np.exp(reference)))
        assert parts[name].outcome == ("holds" if reference.high < 0 else "fails")
    assert parts["RMSprop"].outcome == "fails", "the exception the issue knows"


def test_accuracies_in_the_papers_own_curves():
    parts = CLAIMS["K5"].parts(evidence.Published(CHAPTERS / "paper_curves"))
    ends = [
        np.median(published(f"adamw/{schedule}", "test_accuracy")[:, 150:], axis=1).mean()
        for schedule in ("x2", "constant")
    ]
    assert parts["AdamW"].value == pytest.approx(ends[0] - ends[1])
    assert parts["SHB, no gain"].value < 0


def test_what_the_paper_printed_once_is_one_seed():
    paper = evidence.Published(CHAPTERS / "paper_curves")
    for key in ("K10", "K11", "K12", "K13"):
        for part in CLAIMS[key].parts(paper).values():
            assert (part.outcome, part.seeds, part.why) == ("undecided", 1, "one seed cannot tell")
            assert "on the side of the claim" in part.evidence


# The committed records


def test_the_committed_scorecard_is_what_the_records_say():
    """After new records: sgdm scorecard --out chapters/scorecard.csv."""
    committed = pd.read_csv(CHAPTERS / "scorecard.csv", keep_default_na=False)
    now = pages.scorecard(CHAPTERS).frame()
    pd.testing.assert_frame_equal(committed.astype(str), now.astype(str))


def test_every_record_is_a_run_of_the_catalogue_and_small():
    folders = [path.parent for path in (CHAPTERS / "records").rglob("run.json")]
    for folder in folders:
        name = folder.parent.relative_to(CHAPTERS / "records").as_posix()
        run = records.load(folder)
        free = {field: getattr(run.experiment, field) for field in filing.FREE}
        assert run.experiment == papers.catalogue()[name].replace(**free)
        assert folder.name == f"seed{run.experiment.seed}"
        assert run.status in ("finished", "diverged")
        assert "source" in run.provenance["code_version"]
        assert "dirty" not in run.provenance["code_version"]
        assert sum(f.stat().st_size for f in folder.iterdir()) < 100_000
    everything = (p for name in ("records", "paper_curves") for p in (CHAPTERS / name).rglob("*"))
    assert sum(p.stat().st_size for p in everything if p.is_file()) < 10_000_000


SMALL = evidence.Recorded(CHAPTERS / "records", protocol="cnn10k")


def test_small_runs_are_judged_again_from_their_files():
    found = CLAIMS["K4"].parts(SMALL)["NSHB"]
    ratios = []
    for seed in (0, 1):
        ends = []
        for schedule in ("x2", "constant128"):
            folder = CHAPTERS / f"records/cnn10k/cifar100/nshb/{schedule}/seed{seed}"
            losses = pd.read_parquet(folder / "history.parquet")["train_loss"]
            ends.append(losses.tail(8).median())  # a quarter of 32
        ratios.append(ends[0] / ends[1])
    assert found.values == pytest.approx(ratios)


def test_artefacts_among_the_small_runs_are_seen_as_such():
    """A level that constant 8 and doubling reach in the epochs that they have in common."""
    k10 = CLAIMS["K10"].judge(SMALL)
    assert (k10.outcome, k10.why) == (
        "undecided",
        "the level is reached while both plans are still the same",
    )
    assert all(part.value == pytest.approx(1.0) for part in k10.parts.values())
    k13 = CLAIMS["K13"].judge(SMALL)
    assert (k13.outcome, "machine to themselves" in k13.why) == ("undecided", True)
    k11 = CLAIMS["K11"].judge(SMALL)
    assert k11.why == "the baseline never got better than at its first reading"
    k12 = CLAIMS["K12"].parts(SMALL)
    assert all("against the claim (1 seed)" in part.evidence for part in k12.values())


# On a page


def test_a_report_shows_all_that_a_reader_needs(tmp_path):
    shutil.copytree(CHAPTERS / "paper_curves", tmp_path / "paper_curves")
    epochs = 32
    for schedule, level in (("x2", 0.5), ("constant128", 1.0)):
        for seed in (0, 1):
            norms = np.r_[2 * level, np.full(epochs - 1, level + 0.01 * seed)]
            run = record(f"cnn10k/cifar100/nshb/{schedule}", seed, full_gradient_norm_authors=norms)
            records.save(run, tmp_path / f"records/cnn10k/cifar100/nshb/{schedule}/seed{seed}")
    report = Report(CLAIMS["K3"], tmp_path)
    html = report._repr_html_()
    assert 'id="claim-k3"' in html
    assert 'href="api/criteria.html#sgdm_lib.study.criteria.ends_lower"' in html
    assert 'href="paper_curves/kamo2025/cifar100_resnet18.csv"' in html
    assert "records/cnn10k/cifar100/nshb/x2/seed1/history.parquet" in html
    assert "sgdm run kamo2025/cifar100/nshb/x2" in html
    assert report.missing()["full"][0] == "kamo2025/cifar100/nshb/x2"
    assert "cnn10k/cifar100/nshb/x2" not in report.missing()["cnn10k"]
    assert "mixed (5 of 6)" in str(report)
    assert "(2\u00a0seeds)" in html, "kept on one line"
    assert "Recorded: 4 runs" in html
    nshb = "cnn10k/cifar100/nshb/x2: seeds "
    assert html.count(nshb) == 1, "a line an experiment"
    assert "<code>sgdm run cnn10k/cifar100/nshb/x2 --seeds 0 --out again</code>" in html
    assert "<code>sgdm scorecard K3</code>" in html
    assert "Recorded:" not in Report(CLAIMS["K14"], tmp_path)._repr_html_()


@pytest.mark.parametrize(
    ("claim", "file"),
    [
        ("K5", "cifar100_resnet18.csv"),
        ("K10", "sfo_tables.csv"),
        ("K12", "sfo_tables.csv"),
        ("K13", "wall_clock.csv"),
        ("K14", "tiny_imagenet_resnet18.csv"),
    ],
)
def test_a_report_leads_to_the_file_that_decided(claim, file, tmp_path):
    shutil.copytree(CHAPTERS / "paper_curves", tmp_path / "paper_curves")
    html = Report(CLAIMS[claim], tmp_path)._repr_html_()
    found = re.findall(r'href="paper_curves/kamo2025/([^"]+)"', html)
    assert found == [file]
    assert (CHAPTERS / "paper_curves/kamo2025" / file).is_file()


def test_a_scorecard_is_a_table_and_a_frame(tmp_path):
    shutil.copytree(CHAPTERS / "paper_curves", tmp_path / "paper_curves")
    card = pages.scorecard(tmp_path, ["K3", "K14"])
    frame = card.frame().set_index("id")
    assert frame.loc["K3", ["paper", "paper_tests"]].tolist() == ["mixed", "5 of 6"]
    assert frame.loc["K3", ["full", "small"]].tolist() == ["no data"] * 2
    assert frame.loc["K3", "small_counts_as"] == "early-phase analogue"
    assert frame.loc["K14", "small"] == "", "no small runs on Tiny ImageNet"
    html = card._repr_html_()
    assert 'href="11-doubling.html#claim-k3"' in html
    assert "mixed (5 of 6)" in html


def test_a_glance_counts_and_links(tmp_path):
    shutil.copytree(CHAPTERS / "paper_curves", tmp_path / "paper_curves")
    glance = pages.scorecard(tmp_path, ["K3", "K5", "K9a", "L1", "K16"]).glance()
    paper = {"holds": 1, "mixed": 1, "fails": 1, "undecided": 0, "no data": 0}
    assert glance.counts("paper") == paper
    assert glance.counts("full")["no data"] == 4
    assert glance.counts("small")["no data"] == 2, "K3 and L1 are on the end of training"
    html = glance._repr_html_()
    assert 'title="K9a: fails (0 of 2)" href="15-answer.html#claim-k9a">✗ K9a</a>' in html
    assert html.count("L1</a>") == 2, "no published curves for the second paper"
    assert 'class="chip no-data early"' in html
    assert "K16" not in html, "theory is no experiment"


def test_claims_name_their_runs():
    assert CLAIMS["K8"].runs[:2] == ("adam/x2", "nshb/x2")
    assert set(CLAIMS["K12"].criteria) == {"reaches_with_less"}
    assert isinstance(CLAIMS["K1"], Claim)


def test_the_scorecard_is_in_the_papers_order_and_has_what_is_computed(tmp_path):
    ids = list(pages.everything())
    assert ids[:3] == ["K1", "K2", "K3"]
    assert ids[ids.index("K9b") : ids.index("K9b") + 2] == ["K9b", "K10"]
    assert ids[ids.index("K16") : ids.index("K16") + 4] == ["K16", "K16a", "L1", "L1t"]
    shutil.copytree(CHAPTERS / "paper_curves", tmp_path / "paper_curves")
    card = pages.scorecard(tmp_path, ["K3", "K15", "K16", "L2t"])
    assert card.verdicts["K16"]["theory"].outcome == "holds"
    assert "paper" not in card.verdicts["L2t"]
    experiments, theory = card._repr_html_().split("</table>")[:2]
    assert "K16" not in experiments
    assert theory.count("in the chapter") == 1, "K15 is measured where it is judged"
    assert "consistent with it" in theory
    assert not set(criteria.SYMBOLS.values()) & set(re.sub("<[^>]*>", "", theory)), (
        "words, no signs"
    )
    assert "seed" not in theory
    frame = card.frame().set_index("id")
    assert frame.loc["K16", "theory"] == "consistent with it"
    assert frame.loc["K16", "paper"] == ""

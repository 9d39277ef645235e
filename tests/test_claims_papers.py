"""The papers' claims: each can be judged, come out either way, and be looked up and repeated."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from claims_helpers import curve, given, record

from sgdm_lib import claims, papers, records
from sgdm_lib.claims import Claim, Report, Verdict

CHAPTERS = Path(__file__).resolve().parents[1] / "chapters"
CLAIMS = claims.all_claims()
EACH = pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)


@EACH
def test_claims_are_complete(claim):
    assert CLAIMS[claim.id] is claim
    assert claim.statement.endswith(".")
    assert claim.where
    assert claim.tests
    assert all(hasattr(claims, name) for name in claim.criteria), "a reader can look it up"
    for protocol in ("full", "cnn10k"):
        paper = "kamo2025" if claim.id.startswith("K") else "kondo2025"
        source = claims.Recorded(CHAPTERS / "records", paper, protocol, claim.dataset)
        if claim.dataset == "cifar100" or protocol == "full":
            assert {source.name(run) for run in claim.runs} <= papers.catalogue().keys()


@EACH
def test_every_claim_is_judged_in_a_chapter(claim):
    (notebook,) = CHAPTERS.glob(f"{claim.chapter}.ipynb")
    assert re.search(rf'page\.claim\(\\"{claim.id}\\"\)', notebook.read_text("utf8"))


@EACH
def test_without_any_runs_a_claim_has_not_been_run(claim):
    verdict = claim.judge(given())
    assert verdict.outcome == "not yet run"
    assert verdict.claim == claim.statement


def test_a_claim_counts_its_parts():
    norm, flat = np.linspace(1, 0.1, 20), np.ones(20)
    k3 = CLAIMS["K3"]
    all_good = {f"{o}__x2": curve(norm) for o in claims.NAMES_IN_FIGURES}
    constant = {f"{o}__constant": curve(flat) for o in claims.NAMES_IN_FIGURES}
    assert k3.judge(given(**all_good, **constant)).outcome == "reproduced"
    one_bad = all_good | {"rmsprop__x2": curve(2 * flat)}
    verdict = k3.judge(given(**one_bad, **constant))
    assert verdict.outcome == "partly reproduced"
    assert "RMSprop ✗ ratio 2" in verdict.evidence
    all_bad = {name: curve(2 * flat) for name in all_good}
    assert k3.judge(given(**all_bad, **constant)).outcome == "not reproduced"
    some = k3.judge(given(nshb__x2=curve(norm), nshb__constant=curve(flat)))
    assert some.outcome == "reproduced"
    assert "Not yet run: SHB, SGD" in some.evidence


def verdict(outcome, why, **more):
    return Verdict("", outcome, why, "k", **more)


def test_what_was_run_but_decides_nothing_is_told_from_what_was_not_run():
    good = verdict("reproduced", "yes.", values=(1.0, 2.0))
    flat = verdict("not yet run", "Too flat.", undecided=True)
    rare = verdict("not yet run", "Too rare.", undecided=True)
    missing = verdict("not yet run", "No runs so far.")
    some = claims.combine("c", {"a": good, "b": flat, "c, d": flat, "e": rare, "f": missing})
    assert (some.outcome, some.seeds, some.undecided) == ("reproduced", 2, False)
    assert some.evidence == (
        "a ✓ yes. Nothing to judge in b; c, d: too flat. Nothing to judge in e: too rare. "
        "Not yet run: f."
    )
    none = claims.combine("c", {"a": flat, "b": missing})
    assert (none.outcome, none.undecided) == ("not yet run", True)
    assert none.evidence == "Nothing to judge in a: too flat. Not yet run: b."
    nothing = claims.combine("c", {"a": missing, "b": missing})
    assert (nothing.evidence, nothing.undecided) == ("No runs so far.", False)
    assert claims.combine("c", {"a": flat}).undecided


def test_combining_needs_parts():
    with pytest.raises(ValueError, match="parts must hold at least one"):
        claims.combine("c", {})
    one = Verdict("", "not reproduced", "e", "k", (1.0, 2.0))
    assert claims.combine("c", {"x": one}) == Verdict(
        "c", "not reproduced", "e", "k", (1.0, 2.0), 2
    )


# The paper's own curves, judged again by hand


def published(run, quantity, last=20):
    schedules = pd.read_csv(CHAPTERS / "paper_curves/kamo2025/cifar100_resnet18.csv")
    optimizer, schedule = run.split("/")
    rows = schedules[
        (schedules["schedule"] == schedule)
        & (schedules["metric"] == quantity)
        & (schedules["optimizer"].str.lower() == optimizer)
    ].sort_values("epoch")
    return rows.tail(last).mean(numeric_only=True)


def test_doubling_in_the_papers_own_curves():
    parts = CLAIMS["K3"].parts(claims.Published(CHAPTERS / "paper_curves"))
    for optimizer, name in claims.NAMES_IN_FIGURES.items():
        grown = published(f"{optimizer}/x2", "gradient_norm")
        constant = published(f"{optimizer}/constant", "gradient_norm")
        assert parts[name].values[0] == pytest.approx(grown["mean"] / constant["mean"])
        apart = grown["high"] < constant["low"]
        assert parts[name].outcome == ("reproduced" if apart else "not reproduced")
    assert parts["RMSprop"].outcome == "not reproduced", "the exception the issue knows"


def test_accuracies_in_the_papers_own_curves():
    parts = CLAIMS["K5"].parts(claims.Published(CHAPTERS / "paper_curves"))
    gain = (
        published("adamw/x2", "test_accuracy")["mean"]
        - published("adamw/constant", "test_accuracy")["mean"]
    )
    assert parts["AdamW"].values[0] == pytest.approx(gain)
    assert parts["SHB, no gain"].values[0] < 0


# The committed records


def test_the_committed_scorecard_is_what_the_records_say():
    """After new records: sgdm scorecard --out chapters/scorecard.csv."""
    committed = pd.read_csv(CHAPTERS / "scorecard.csv", keep_default_na=False)
    now = claims.scorecard(CHAPTERS).frame()
    pd.testing.assert_frame_equal(committed.astype(str), now.astype(str))


def test_every_record_is_a_run_of_the_catalogue_and_small():
    folders = [path.parent for path in (CHAPTERS / "records").rglob("run.json")]
    for folder in folders:
        name = folder.parent.relative_to(CHAPTERS / "records").as_posix()
        run = records.load(folder)
        assert run.experiment == papers.catalogue()[name].replace(seed=run.experiment.seed)
        assert folder.name == f"seed{run.experiment.seed}"
        assert run.status in ("finished", "diverged")
        assert "source" in run.provenance["code_version"]
        assert "dirty" not in run.provenance["code_version"]
        assert sum(f.stat().st_size for f in folder.iterdir()) < 100_000
    everything = (p for name in ("records", "paper_curves") for p in (CHAPTERS / name).rglob("*"))
    assert sum(p.stat().st_size for p in everything if p.is_file()) < 10_000_000


def test_small_runs_are_judged_again_from_their_files():
    found = CLAIMS["K3"].parts(claims.Recorded(CHAPTERS / "records", protocol="cnn10k"))["NSHB"]
    ends = []
    for schedule in ("x2", "constant128"):
        files = (CHAPTERS / "records/cnn10k/cifar100/nshb" / schedule).glob("seed*/*.parquet")
        norms = [pd.read_parquet(f)["full_gradient_norm_authors"] for f in files]
        minima = [n.dropna().cummin().to_numpy() for n in norms]
        ends.append(np.mean([m[[-2, -1]].mean() for m in minima]))  # epochs 30 and 32 of 32
    assert found.values[0] == pytest.approx(ends[0] / ends[1])


# On a page


def test_a_report_shows_all_that_a_reader_needs(tmp_path):
    shutil.copytree(CHAPTERS / "paper_curves", tmp_path / "paper_curves")
    epochs = 32
    for schedule, level in (("x2", 0.5), ("constant128", 1.0)):
        for seed in (0, 1):
            run = record(
                f"cnn10k/cifar100/nshb/{schedule}",
                seed,
                full_gradient_norm_authors=np.full(epochs, level + 0.01 * seed),
            )
            records.save(run, tmp_path / f"records/cnn10k/cifar100/nshb/{schedule}/seed{seed}")
    report = Report(CLAIMS["K3"], tmp_path)
    html = report._repr_html_()
    assert 'id="claim-k3"' in html
    assert 'href="api/claims.html#sgdm_lib.claims.ends_lower"' in html
    assert 'href="paper_curves/kamo2025/cifar100_resnet18.csv"' in html
    assert "records/cnn10k/cifar100/nshb/x2/seed1/history.parquet" in html
    assert "sgdm run kamo2025/cifar100/nshb/x2" in html
    assert report.missing()["full"][0] == "kamo2025/cifar100/nshb/x2"
    assert "cnn10k/cifar100/nshb/x2" not in report.missing()["cnn10k"]
    assert "reproduced" in str(report)
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
    card = claims.scorecard(tmp_path, ["K3", "K14"])
    frame = card.frame().set_index("id")
    assert frame.loc["K3", "paper"] == "partly reproduced"
    assert frame.loc["K3", ["full", "small"]].tolist() == ["not yet run"] * 2
    assert frame.loc["K14", "small"] == "", "no small runs on Tiny ImageNet"
    html = card._repr_html_()
    assert 'href="11-doubling.html#claim-k3"' in html
    assert "holds partly" in html


def test_a_glance_counts_and_links(tmp_path):
    shutil.copytree(CHAPTERS / "paper_curves", tmp_path / "paper_curves")
    glance = claims.scorecard(tmp_path, ["K3", "K5", "K9a", "L1"]).glance()
    assert glance.counts("paper") == {
        "reproduced": 1,
        "partly reproduced": 1,
        "not reproduced": 1,
        "not yet run": 0,
    }
    assert glance.counts("full")["not yet run"] == 4
    html = glance._repr_html_()
    assert 'title="K9a: does not hold" href="15-answer.html#claim-k9a">✗ K9a</a>' in html
    assert html.count("L1</a>") == 2, "no published curves for the second paper"


def test_claims_name_their_runs():
    assert CLAIMS["K8"].runs[:2] == ("adam/x2", "nshb/x2")
    assert set(CLAIMS["K12"].criteria) == {"cheaper"}
    assert isinstance(CLAIMS["K1"], Claim)


def test_the_scorecard_is_in_the_papers_order_and_has_what_is_computed(tmp_path):
    ids = list(claims.everything())
    assert ids[:3] == ["K1", "K2", "K3"]
    assert ids[ids.index("K9c") : ids.index("K9c") + 2] == ["K9c", "K10"]
    assert ids[ids.index("K16") : ids.index("K16") + 3] == ["K16", "L1", "L1t"]
    shutil.copytree(CHAPTERS / "paper_curves", tmp_path / "paper_curves")
    card = claims.scorecard(tmp_path, ["K15", "K16", "L2t"])
    assert card.verdicts["K16"]["computed"].outcome == "reproduced"
    assert card.verdicts["L2t"]["paper"] is None
    html = card._repr_html_()
    assert "in the chapter" in html.split("</tr>")[1], "K15 is measured where it is judged"
    assert html.count("in the chapter") == 1

"""``nas-attn verify``: fresh seeds, the test data, and nothing of the search changed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from nas_attn.cli.main import main


@pytest.fixture
def winner(tiny_study, capsys):
    """The id of the best placement with at least two modules."""
    assert main(["rank", "tiny", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    attended = [row for row in rows if sum(kind != "none" for kind in row["placement"].values()) > 1]
    return attended[0]["placement_id"]


@pytest.fixture
def verified(winner, capsys):
    def run(*arguments):
        assert main(["verify", "tiny", "--pick", f"id:{winner}", "--seeds", "2", *arguments]) == 0
        return capsys.readouterr().out

    return run


def records_of(name):
    from nas_attn.study.database.ledger import Ledger

    return Ledger.open("sqlite:///studies/tiny/study.db", name).records()


def verifying(winner):
    """The runs that verify a placement of the tiny study, whose trials have four steps."""
    return records_of(f"tiny.verify-{winner}-4")


def test_the_json_carries_the_verdict(winner, capsys):
    assert main(["verify", "tiny", "--pick", f"id:{winner}", "--seeds", "2", "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    of_classes = written["iou_per_class"]["winner"]
    assert set(of_classes) == {"background", "warm", "cold"}
    assert sum(of_classes.values()) / 3 == pytest.approx(written["iou_winner"])
    assert written["verdict"] in ("confirmed", "not shown", "refuted")
    assert written["collapsed"] == dict.fromkeys(written["runs"], 0)
    assert written["runs"]["winner"] == written["runs"]["baseline"] == 2


def test_it_says_what_is_shown_of_the_claim_and_leaves_the_search_alone(verified, winner):
    before = records_of("tiny")
    text = verified()

    assert any(f"\n{verdict}: " in text for verdict in ("Confirmed", "Not shown", "Refuted"))
    assert "the test data" in text
    assert "6/6 runs" in text
    assert records_of("tiny") == before
    runs = verifying(winner)
    assert len(runs) == 6
    assert min(run.seed for run in runs) > max(record.seed for record in before) + 1000
    assert {run.placement.id for run in runs} >= {winner}


def test_the_same_command_runs_nothing_again_and_more_seeds_only_what_is_missing(verified, winner):
    text = verified("--json")
    first = verifying(winner)
    assert verified("--json") == text
    assert verifying(winner) == first

    assert "9/9 runs" in verified("--seeds", "3")
    assert verifying(winner)[:6] == first


def test_runs_are_scored_on_the_test_images(verified, winner):
    from nas_attn.study.setup.join import JoinRequest, resolve_joined
    from nas_attn.training import score_images
    from nas_attn.training.evaluation import pack_sets

    verified("--json")
    run = verifying(winner)[1]
    resolved, _, _ = resolve_joined(JoinRequest("tiny", workers=1))
    (evaluator,) = resolved.evaluators()
    network = evaluator.trained(run.placement, run.budget, run.seed)
    swapped = replace(resolved.dataset, val=resolved.dataset.test)
    test = pack_sets(swapped, next(network.parameters()).device).val
    expected = score_images(evaluator.segmenter(network), test, evaluator.network.classes)
    assert run.outcome.score == expected
    assert expected != evaluator.score(network)


def test_what_was_stopped_goes_on(verified, winner, monkeypatch, capsys):
    from nas_attn.study import study_pool
    from nas_attn.study.workers.pool import InlinePool

    whole = study_pool.ProcessPool

    class Stopped(InlinePool):
        def wait(self, seconds=None):
            if len(verifying(winner)) > 3:
                raise KeyboardInterrupt
            return super().wait(seconds)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(study_pool, "ProcessPool", lambda evaluators, logs, **_: Stopped(evaluators[0]))
    assert main(["verify", "tiny", "--pick", f"id:{winner}", "--seeds", "2"]) == 130
    assert "Stopped. Finished runs are kept" in capsys.readouterr().out
    assert len(verifying(winner)) == 4
    monkeypatch.setattr(study_pool, "ProcessPool", whole)
    verified()
    runs = verifying(winner)
    assert len({(run.placement, run.seed) for run in runs}) == len(runs) == 6
    assert all(run.outcome is not None for run in runs)


def test_ablation_runs_the_winner_without_each_of_its_modules(verified, winner):
    written = json.loads(verified("--ablate", "--json"))
    attended = [location for location, kind in written["winner"].items() if kind != "none"]
    assert list(written["modules"]) == attended
    placements = {run.placement for run in verifying(winner)}
    whole = next(placement for placement in placements if placement.id == winner)
    for location, _ in whole.attended:
        assert any(
            [where for where, _ in whole.attended if where != location] == [where for where, _ in other.attended]
            for other in placements
        )


def test_a_second_winner_is_told_to_have_been_picked_among_several(verified, winner, tiny_study, capsys):
    verified()
    main(["rank", "tiny", "--json"])
    rows = json.loads(capsys.readouterr().out)
    other = next(r for r in rows if r["placement_id"] != winner and set(r["placement"].values()) != {"none"})
    assert main(["verify", "tiny", "--pick", f"id:{other['placement_id']}", "--seeds", "2"]) == 0
    assert "2 placements of this study were evaluated on the test data by now" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tiny", "--seeds", "1"), "--seeds: 1 must be at least 2"),
        (("tiny", "--seeds", "many"), "--seeds: 'many' must be a whole number"),
        (("tiny", "--workers", "0"), "--workers: 0 must be a whole number from 1 to 4096"),
        (("tinny",), "there is no study 'tinny'"),
        (("tiny", "--pick", "bets"), "unknown pick 'bets'; did you mean 'best'?"),
        (("tiny", "--pick", "id:000000"), "no placement has an id that starts with '000000'"),
    ],
)
def test_bad_input_gets_one_clear_line(tiny_study, refused, arguments, words):
    (line,) = refused("verify", *arguments)
    assert words in line


def test_the_plain_unet_is_no_claim(tiny_study, refused, capsys):
    main(["rank", "tiny", "--json"])
    rows = json.loads(capsys.readouterr().out)
    plain = next(row["placement_id"] for row in rows if set(row["placement"].values()) == {"none"})
    (line,) = refused("verify", "tiny", "--pick", f"id:{plain}")
    assert "there is no claim to verify" in line


@pytest.fixture
def shown(verified, capsys):
    """The winner verified with its ablation: the result as JSON, and what a command then prints."""
    result = json.loads(verified("--ablate", "--json", "--seeds", "4"))

    def run(*arguments):
        assert main(arguments) == 0
        return " ".join(capsys.readouterr().out.split())

    return result, run


def test_before_a_verification_everything_names_the_command(tiny_study, winner, capsys):
    command = f"nas-attn verify tiny --pick id:{winner}"
    assert main(["export", "tiny", "--pick", f"id:{winner}", "--format", "yaml,python,card", "-o", "best"]) == 0
    for name in ("best.yaml", "best.py", "best.md"):
        text = " ".join((tiny_study.folder / name).read_text().replace("\n# ", " ").split())
        assert f"Not verified yet: '{command}" in text or "'nas-attn verify tiny'" in text, name


def test_what_is_exported_carries_the_figure_to_report(shown, winner, tiny_study):
    result, run = shown
    run("export", "tiny", "--pick", f"id:{winner}", "--format", "yaml,python,card", "-o", "best")
    written = yaml.safe_load((tiny_study.folder / "best.yaml").read_text())["verified"]
    assert written["iou"] == result["iou_winner"]
    assert written["iou_baseline"] == result["iou_baseline"]
    assert written["delta"] == result["to_baseline"]["delta"]
    assert written["delta_interval"] == list(result["to_baseline"]["interval"].values())
    assert (written["verdict"], written["n_seeds"], written["n_looks"]) == (result["verdict"], 4, 1)
    figure = f"IoU x100 {100 * result['iou_winner']:.1f}, baseline {100 * result['iou_baseline']:.1f}"
    assert figure in " ".join((tiny_study.folder / "best.py").read_text().split())
    # The card of the study, and the card of the file that was exported from it.
    card = (tiny_study.folder / "best.md").read_text()
    assert f"IoU x100 on the test data: {100 * result['iou_winner']:.1f}, baseline" in card
    run("export", "best.yaml", "-o", "again.md")
    assert figure in (tiny_study.folder / "again.md").read_text()


def test_the_card_and_the_page_tell_the_ablation(shown, winner, tiny_study, monkeypatch):
    result, run = shown
    run("export", "tiny", "--pick", f"id:{winner}", "-o", "best.md")
    run("report", "tiny", "-o", "page.html", "--no-panels")
    card, page = ((tiny_study.folder / name).read_text() for name in ("best.md", "page.html"))
    assert "| training images | 8, 3 channels: " in card
    assert "training images</th>" in page
    for location, comparison in result["modules"].items():
        points = f"{100 * comparison['delta']:+.1f}" if abs(comparison["delta"]) >= 5e-4 else "0.0"
        kind = result["winner"][location].partition("(")[0]
        assert f"- {kind} at {location} adds {points} IoU points" in card
        assert f"{location}</td>" in page or "Verified besides" in page


def test_the_ranking_says_what_was_verified_of_its_first(tiny_study, refused, capsys):
    main(["rank", "tiny", "--json"])
    first = json.loads(capsys.readouterr().out)[0]
    main(["rank", "tiny"])
    asked = "Not verified yet: 'nas-attn verify tiny' runs it" in " ".join(capsys.readouterr().out.split())
    assert asked is (set(first["placement"].values()) != {"none"})
    # Where the plain U-Net leads, the first placement with attention is verified.
    assert main(["verify", "tiny", "--seeds", "2"]) == 0
    told = capsys.readouterr().out.splitlines()
    verdict = next(line for line in told if line.startswith(("Confirmed: ", "Not shown: ", "Refuted: ")))
    main(["rank", "tiny"])
    assert " ".join(verdict.split()) in " ".join(capsys.readouterr().out.split())
    main(["rank", "tiny", "--json"])
    assert json.loads(capsys.readouterr().out)[0] == first


def test_two_verifications_from_two_folders_do_not_end_each_other(
    tiny_study, winner, refused, monkeypatch, tmp_path_factory
):
    from nas_attn.study import verify as verify_module
    from nas_attn.study.database import claims

    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.1)
    storage = f"sqlite:///{tiny_study.folder / 'studies/tiny/study.db'}"
    command = ("verify", "tiny", "--pick", f"id:{winner}", "--seeds", "2", "--storage", storage)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    run, said = verify_module._run, []

    def meanwhile(*arguments):
        monkeypatch.setattr(verify_module, "_run", run)
        with monkeypatch.context() as patch:
            patch.chdir(elsewhere)
            said.extend(refused(*command))
        return run(*arguments)

    monkeypatch.setattr(verify_module, "_run", meanwhile)
    assert main(command) == 0
    assert said == ["study 'tiny' is being verified by another process; wait for it"]
    assert len(verifying(winner)) == 6

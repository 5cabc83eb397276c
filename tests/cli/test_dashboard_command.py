"""``nas-attn dashboard``: the study's page and its data, on this machine only."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
import wsgiref.simple_server

import pytest

from nas_attn.cli.main import main


@pytest.fixture
def server(tiny_study, monkeypatch):
    """The server of a dashboard that runs in a thread."""
    made, statuses = [], []
    make_server = wsgiref.simple_server.make_server

    def remember(*arguments, **options):
        made.append(make_server(*arguments, **options))
        return made[0]

    monkeypatch.setattr(wsgiref.simple_server, "make_server", remember)
    thread = threading.Thread(target=lambda: statuses.append(main(["dashboard", "tiny", "--port", "0"])))
    thread.start()
    for _ in range(600):
        if made:
            break
        time.sleep(0.1)
    yield made[0]
    made[0].shutdown()
    thread.join(timeout=30)
    assert statuses == [0]


def fetched(server, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}{path}", timeout=60) as answer:
        assert answer.status == 200
        return answer.read().decode()


def test_the_dashboard_shows_the_study_with_named_objectives(server):
    assert server.server_address[0] == "127.0.0.1"
    studies = json.loads(fetched(server, "/api/studies"))["study_summaries"]
    assert [study["study_name"] for study in studies] == ["tiny"]
    number = studies[0]["study_id"]

    assert "<html" in fetched(server, f"/dashboard/studies/{number}").lower()
    study = json.loads(fetched(server, f"/api/studies/{number}?after=0"))
    assert study["objective_names"] == ["iou", "macs"]
    assert len(study["trials"]) == 10
    assert {param["name"] for param in study["trials"][0]["params"]} >= {"bottleneck", "skip.0", "decoder.2"}


def test_trials_have_notes_and_the_study_has_charts(server):
    study = json.loads(fetched(server, "/api/studies/1?after=0"))
    notes = [trial["note"]["body"] for trial in study["trials"]]
    assert all(note.startswith("![") for note in notes)
    path = notes[0].partition("](")[2].partition(")")[0]
    assert "<title>baseline (plain U-Net)</title>" in fetched(server, path)
    assert study["note"]["body"].startswith("**")
    charts = {chart["id"]: json.loads(chart["graph_object"]) for chart in study["plotly_graph_objects"]}
    assert list(charts)[:4] == [
        "nas-attn-differences",
        "nas-attn-timed-front",
        "nas-attn-front",
        "nas-attn-curves",
    ]
    assert all(set(chart) == {"data", "layout"} for chart in charts.values())
    assert json.loads(fetched(server, "/api/meta"))["artifact_is_available"] is True


def test_a_note_that_a_reader_writes_is_kept(server):
    address = f"http://127.0.0.1:{server.server_port}/api/studies/1/1/note"
    body = json.dumps({"version": 1, "body": "mine"}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"}, method="PUT")
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 204
    study = json.loads(fetched(server, "/api/studies/1?after=0"))
    assert study["trials"][0]["note"] == {"version": 1, "body": "mine"}


@pytest.mark.browser
def test_the_dashboard_draws_the_placement_of_a_trial(server, chromium):
    said = []
    page = chromium.new_page()
    page.set_default_timeout(120_000)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"http://127.0.0.1:{server.server_port}/dashboard/studies/1/trials?numbers=0")
    page.wait_for_selector("img[alt='baseline (plain U-Net)']")
    assert page.eval_on_selector("img[alt='baseline (plain U-Net)']", "image => image.naturalWidth") > 300
    page.goto(f"http://127.0.0.1:{server.server_port}/dashboard/studies/1")
    page.wait_for_function("document.body.textContent.includes('Differences to the baseline')")
    above = "element => element.getBoundingClientRect().top"
    page.wait_for_selector("#graph-pareto-front", state="attached")
    ours = page.eval_on_selector("[id='user-defined-plot:nas-attn-front']", above)
    assert ours < page.eval_on_selector("#graph-pareto-front", above), "our charts come first"
    page.close()
    assert said == []


BOXES = """selector => Array.from(document.querySelectorAll(selector), element => {
  const { left, right, top, bottom } = element.getBoundingClientRect();
  return { left, right, top, bottom };
})"""
CARDS = "main > .MuiBox-root > .MuiCard-root, main > .MuiBox-root > .MuiGrid-container > * > .MuiCard-root"


@pytest.mark.browser
@pytest.mark.parametrize(("width", "n_columns"), [(420, 1), (900, 1), (1400, 2)])
def test_cards_have_one_gap_and_stand_in_a_row_only_where_there_is_room(server, chromium, width, n_columns):
    page = chromium.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(120_000)
    page.goto(f"http://127.0.0.1:{server.server_port}/dashboard/studies/1")
    page.wait_for_selector("[id='user-defined-plot:nas-attn-front'] .main-svg", state="attached")
    page.wait_for_selector("#plot-history .main-svg", state="attached")
    cards = sorted(page.evaluate(BOXES, CARDS), key=lambda card: (card["top"], card["left"]))
    (bar, main) = page.evaluate(BOXES, "header, main")
    charts = page.evaluate(BOXES, ".js-plotly-plot, .js-plotly-plot .main-svg")
    titles = page.evaluate(BOXES, ".js-plotly-plot .gtitle")
    page.close()

    assert len({card["left"] for card in cards}) == n_columns
    assert cards[0]["top"] == pytest.approx(bar["bottom"] + 16)
    assert {round(card["left"] - main["left"]) for card in cards if card["left"] < width / 2} == {16}
    assert max(card["right"] for card in cards) == pytest.approx(width - 16)
    for card in cards:
        below = [other["top"] for other in cards if other["left"] == card["left"] and other["top"] > card["top"]]
        assert not below or min(below) - card["bottom"] >= 15.5
    for shown in (*charts, *titles):
        inside = (card for card in cards if card["left"] <= shown["left"] and shown["right"] <= card["right"])
        assert any(card["top"] <= shown["top"] and shown["bottom"] <= card["bottom"] + 1 for card in inside)


@pytest.mark.browser
def test_charts_follow_the_system_and_the_dashboards_own_switch(server, chromium):
    page = chromium.new_page(color_scheme="dark")
    page.set_default_timeout(120_000)
    page.goto(f"http://127.0.0.1:{server.server_port}/dashboard/studies/1")
    chart = "[id='user-defined-plot:nas-attn-front']"
    page.wait_for_selector(f"{chart} .xtick text", state="attached")

    def style(selector, name):
        return page.eval_on_selector(f"{chart}{selector}", f"element => getComputedStyle(element).{name}")

    def wait_for(*, ink, card):
        page.wait_for_function(
            f"getComputedStyle(document.querySelector(\"{chart} .xtick text\")).fill == '{ink}'"
        )
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == card
        assert style(" .legendtext", "fill") == style(" .gtitle", "fill") == style(" .xgrid", "stroke") == ink

    wait_for(ink="rgb(255, 255, 255)", card="rgb(18, 18, 18)")
    assert style(" .main-svg", "backgroundColor") == style(" .legend .bg", "fill") == "rgba(0, 0, 0, 0)"
    page.emulate_media(color_scheme="light")
    wait_for(ink="rgba(0, 0, 0, 0.87)", card="rgb(255, 255, 255)")
    page.locator("svg[data-testid=Brightness4Icon], svg[data-testid=Brightness7Icon]").first.click()
    wait_for(ink="rgb(255, 255, 255)", card="rgb(18, 18, 18)")
    page.close()


def test_the_address_is_printed_and_ctrl_c_ends_it(tiny_study, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(wsgiref.simple_server.WSGIServer, "serve_forever", interrupt)
    assert main(["dashboard", "tiny", "--port", "0"]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("dashboard of 'tiny': http://127.0.0.1:")
    assert "/dashboard/studies/1 (Ctrl-C ends it)" in first
    assert last == "dashboard ended"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tinny"], "there is no study 'tinny'"),
        (["tiny", "--port", "70000"], "--port: 70000 must be a whole number from 0 to 65535"),
        (["tiny", "--host", "203.0.113.9", "--port", "0"], "cannot listen there"),
        (["tiny", "--prt", "1"], "unknown option '--prt'; did you mean '--port'?"),
    ],
)
def test_a_mistake_is_one_clear_line(tiny_study, refused, words, message):
    (line,) = refused("dashboard", *words)

    assert message in line


def refused_request(server, method, path, **headers):
    address = f"http://127.0.0.1:{server.server_port}{path}"
    request = urllib.request.Request(address, headers=headers, method=method)
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, timeout=60)
    error.value.close()
    return error.value.code


def test_a_page_of_another_site_deletes_no_study(server):
    assert refused_request(server, "DELETE", "/api/studies/1", Host="evil.example") == 403
    assert refused_request(server, "DELETE", "/api/studies/1", Origin="http://evil.example") == 403
    assert refused_request(server, "GET", "/api/studies", Host="evil.example") == 403
    studies = json.loads(fetched(server, "/api/studies"))["study_summaries"]
    assert [study["study_name"] for study in studies] == ["tiny"]


def test_the_dashboards_own_page_may_write(server):
    own = f"http://127.0.0.1:{server.server_port}"
    body = json.dumps({"version": 1, "body": "mine"}).encode()
    headers = {"Content-Type": "application/json", "Origin": own, "Sec-Fetch-Site": "same-origin"}
    request = urllib.request.Request(f"{own}/api/studies/1/note", body, headers, method="PUT")
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 204

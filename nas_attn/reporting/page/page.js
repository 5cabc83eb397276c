"use strict";
(function () {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const plots = Array.from(document.querySelectorAll(".plot"));

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  // The figures bring the colours of their data; those of text and grid are the page's.
  function themed(layout) {
    const ink = colour("--ink"), grid = colour("--grid"), line = colour("--line"), card = colour("--card");
    layout.font = Object.assign({}, layout.font, { color: ink });
    layout.hoverlabel = Object.assign({}, layout.hoverlabel, { bgcolor: card, bordercolor: line, font: { color: ink } });
    layout.modebar = { bgcolor: card, color: colour("--soft"), activecolor: ink };
    for (const name of Object.keys(layout)) {
      if (/^[xy]axis/.test(name)) {
        Object.assign(layout[name], { gridcolor: grid, linecolor: line, zerolinecolor: line, tickcolor: line });
      }
    }
    return layout;
  }

  // On a narrow screen long names at the axis leave no room for what they name.
  function shorten(axis, data, width) {
    if (axis.type !== "category" || width > 520) { return; }
    const names = axis.categoryarray || data[0].y;
    axis.tickvals = names;
    axis.ticktext = names.map(function (name) { return name.length > 16 ? name.slice(0, 15) + "…" : name; });
  }

  function draw(plot, width) {
    const figure = JSON.parse(document.getElementById(plot.id + "-data").textContent);
    const layout = themed(figure.layout);
    if (width) { layout.width = width; }
    shorten(layout.yaxis, figure.data, width || plot.clientWidth);
    const bar = {
      displaylogo: false, responsive: !width, showSendToCloud: false,
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    };
    return Plotly.react(plot, figure.data, layout, bar).then(function () {
      plot.querySelectorAll(".modebar-btn").forEach(function (button) {
        if (!button.hasAttribute("aria-label")) { button.setAttribute("aria-label", button.dataset.title || "chart tool"); }
      });
    });
  }

  function drawAll(width) { return Promise.all(plots.map(function (plot) { return draw(plot, width); })); }

  function escaped(text) {
    const element = document.createElement("p");
    element.textContent = text;
    return element.innerHTML;
  }

  function show(id) {
    const found = facts.placements[id], place = document.getElementById("drawn");
    if (!found || !place) { return false; }
    const title = escaped(found.title), told = escaped(found.told);
    const numbers = found.numbers.map(function (pair) {
      return "<div><dt>" + escaped(pair[0]) + "</dt><dd>" + escaped(pair[1]) + "</dd></div>";
    });
    place.innerHTML = "<p><b>" + title + "</b></p><div class=\"drawing\">" + facts.opening + "<title>" + title + "</title><desc>" +
      told + "</desc>" + facts.backbone + found.modules + "</svg></div><dl class=\"numbers\">" + numbers.join("") + "</dl>";
    return true;
  }

  drawAll().then(function () {
    plots.forEach(function (plot) {
      plot.on("plotly_click", function (event) {
        const id = event.points[0].customdata;
        if (typeof id === "string" && show(id)) { document.getElementById("drawn").scrollIntoView({ block: "nearest" }); }
      });
    });
    document.documentElement.dataset.ready = "yes";
  });

  document.querySelectorAll("button[data-placement]").forEach(function (button) {
    button.addEventListener("click", function () {
      if (show(button.dataset.placement)) {
        const place = document.getElementById("drawn");
        place.scrollIntoView({ block: "nearest" });
        place.focus({ preventScroll: true });
      }
    });
  });

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  document.getElementById("theme").addEventListener("click", function () {
    const root = document.documentElement, now = root.dataset.theme || (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    drawAll();
  });
  dark.addEventListener("change", function () { drawAll(); });

  // Paper has a width of its own, and is white.
  const paper = 680;
  let before;
  window.addEventListener("beforeprint", function () {
    before = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    drawAll(paper);
  });
  window.addEventListener("afterprint", function () {
    if (before) { document.documentElement.dataset.theme = before; } else { delete document.documentElement.dataset.theme; }
    drawAll();
  });
})();

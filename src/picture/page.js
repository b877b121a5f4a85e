"use strict";
(() => {
  const map = document.getElementById("cogclip-map");
  const tiles = document.getElementById("cogclip-tiles");
  const told = document.getElementById("told");
  const idle = told.textContent;
  const box = (text) => text.split(" ").map(Number);
  const raster = box(map.dataset.raster), home = box(map.dataset.window);
  let view = home.slice(), chosen = null, frame = null;

  const show = (next) => {
    const least = Math.min(1, home[2], home[3]), most = 4 * Math.max(raster[2], raster[3]);
    if (!(next[2] >= least && next[3] >= least && next[2] <= most && next[3] <= most)) return;
    view = next;
    map.setAttribute("viewBox", view.join(" "));
  };
  const at = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
  const zoom = (by, x = view[0] + view[2] / 2, y = view[1] + view[3] / 2) =>
    show([x - (x - view[0]) * by, y - (y - view[1]) * by, view[2] * by, view[3] * by]);
  const move = (dx, dy) => show([view[0] + dx, view[1] + dy, view[2], view[3]]);

  const say = (tile) => { told.textContent = tile ? tile.querySelector("title").textContent : idle; };
  const choose = (tile) => {
    chosen = tile;
    if (frame) frame.remove();
    frame = null;
    if (tile) {
      frame = tile.cloneNode(false);
      for (const name of frame.getAttributeNames()) {
        if (!["x", "y", "width", "height"].includes(name)) frame.removeAttribute(name);
      }
      frame.setAttribute("class", "chosen");
      map.append(frame);
    }
    say(tile);
  };
  const tileOf = (event) => event.target.closest?.("#cogclip-tiles rect") ?? null;

  let drag = null;
  map.addEventListener("pointerdown", (event) => {
    if (event.button === 0) drag = { x: event.clientX, y: event.clientY, far: false, tile: tileOf(event) };
  });
  map.addEventListener("pointermove", (event) => {
    if (!drag) { if (!chosen) say(tileOf(event)); return; }
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    if (!drag.far && Math.hypot(dx, dy) < 4) return;
    if (!drag.far) { drag.far = true; map.setPointerCapture(event.pointerId); }
    const scale = map.getScreenCTM().a;
    move(-dx / scale, -dy / scale);
    drag.x = event.clientX;
    drag.y = event.clientY;
  });
  map.addEventListener("pointerup", () => {
    if (drag && !drag.far) choose(drag.tile);
    drag = null;
  });
  map.addEventListener("pointercancel", () => { drag = null; });
  map.addEventListener("pointerleave", () => { if (!drag && !chosen) say(null); });
  map.addEventListener("wheel", (event) => {
    event.preventDefault();
    const point = at(event);
    zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 400))), point.x, point.y);
  }, { passive: false });

  // From the chosen tile to its nearest neighbour in a direction.
  const step = (dx, dy) => {
    const middle = (tile) => ["x", "y"].map((name, n) =>
      Number(tile.getAttribute(name)) + Number(tile.getAttribute(n ? "height" : "width")) / 2);
    const from = chosen ? middle(chosen) : null;
    let best = null, least = Infinity;
    for (const tile of tiles.children) {
      const [x, y] = middle(tile);
      const [ax, ay] = from ? [x - from[0], y - from[1]] : [x - home[0] - home[2] / 2, y - home[1] - home[3] / 2];
      const along = ax * dx + ay * dy, across = Math.abs(ax * dy) + Math.abs(ay * dx);
      if (from && along <= 0) continue;
      const far = from ? along + 3 * across : Math.hypot(ax, ay);
      if (far < least) { least = far; best = tile; }
    }
    if (best) choose(best);
  };
  const keys = {
    ArrowLeft: () => step(-1, 0), ArrowRight: () => step(1, 0), ArrowUp: () => step(0, -1), ArrowDown: () => step(0, 1),
    "+": () => zoom(0.8), "=": () => zoom(0.8), "-": () => zoom(1.25), "0": () => show(home.slice()),
    Escape: () => choose(null),
  };
  map.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  for (const [id, act] of Object.entries({
    nearer: () => zoom(0.8), farther: () => zoom(1.25), window: () => show(home.slice()), all: () => show(raster.slice()),
  })) document.getElementById(id).addEventListener("click", act);
})();

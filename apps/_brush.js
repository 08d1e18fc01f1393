// A canvas that is painted in flat colours, over the picture of another field of the form or on nothing. What is painted
// goes as a PNG into the hidden box beside it whenever the brush is lifted.
const easel = element.querySelector(".easel");
const group = element.closest(".brush");
const form = element.closest(".column.form") || document.body;
const [canvas, below, ring, size] = ["canvas", "img", "i", "input"].map((part) => easel.querySelector(part));
const pen = canvas.getContext("2d", { willReadFrequently: true });
const buttons = [...easel.querySelectorAll("button")];
const over = easel.dataset.over;
const [blankWidth, blankHeight] = easel.dataset.blank.split("x").map(Number);
let shape = null; // of the picture below, "WIDTHxHEIGHT"
let source = null;
let told = ""; // what the hidden box was given last
let tool = "paint";
let colour = easel.querySelector("[data-colour]").dataset.colour;
let past = [];
let last = null;

const box = () => group.querySelector(".painted textarea, .painted input");
const isEmpty = () => !new Uint32Array(pixels().data.buffer).some((pixel) => pixel);
const pixels = () => pen.getImageData(0, 0, canvas.width, canvas.height);

const tell = () => {
  const text = isEmpty() ? "" : `${canvas.toDataURL("image/png")}#${shape}`;
  const field = box();
  if (!field || field.value === text) return;
  told = field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
};

const restore = (text) => {
  told = text;
  if (!text || !text.endsWith(`#${shape}`)) {
    pen.clearRect(0, 0, canvas.width, canvas.height);
    return;
  }
  const picture = new Image();
  picture.onload = () => {
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  };
  picture.src = text.split("#")[0];
};

const setUp = (width, height) => {
  easel.classList.remove("waiting");
  const scale = Math.min(1, Number(easel.dataset.side) / Math.max(width, height));
  const wanted = `${width}x${height}`;
  if (wanted === shape) return;
  shape = wanted;
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  easel.style.setProperty("--shape", `${width}/${height}`);
  easel.style.setProperty("--ratio", width / height);
  past = [];
  restore(box()?.value || "");
  if (told && !told.endsWith(`#${shape}`)) tell(); // it was painted over a picture of another shape
};

const look = () => {
  const shown = over ? form.querySelector(`.of-${over} img`) : null;
  const found = shown?.src || "";
  if (found === source) return;
  const before = source;
  source = found;
  below.style.display = found ? "" : "none";
  if (found) {
    below.onload = () => setUp(below.naturalWidth, below.naturalHeight);
    below.src = found;
  } else if (over) {
    easel.classList.add("waiting");
    shape = null;
    pen.clearRect(0, 0, canvas.width, canvas.height);
    if (before) tell();
  }
};

const place = (event) => {
  const frame = canvas.getBoundingClientRect();
  return [
    ((event.clientX - frame.left) / frame.width) * canvas.width,
    ((event.clientY - frame.top) / frame.height) * canvas.height,
  ];
};
const thickness = () => Math.max(2, (Number(size.value) ** 1.4 / 400) * Math.max(canvas.width, canvas.height));

const stroke = (from, to) => {
  pen.globalCompositeOperation = tool === "erase" ? "destination-out" : "source-over";
  pen.strokeStyle = `rgb(${colour})`;
  pen.lineWidth = thickness();
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(...to);
  pen.stroke();
  pen.globalCompositeOperation = "source-over";
};

// A stroke's edge is soft; a map's colours are not: each pixel is the brush's or what it was.
const harden = (before) => {
  const now = pixels();
  const [fresh, old] = [now.data, before.data];
  const [all, allOld] = [new Uint32Array(fresh.buffer), new Uint32Array(old.buffer)];
  const paint = colour.split(",").map(Number);
  const far = (data, at, to) => [0, 1, 2].reduce((sum, part) => sum + Math.abs(data[at + part] - to[part]), 0);
  for (let number = 0; number < all.length; number++) {
    if (all[number] === allOld[number]) continue;
    const at = 4 * number;
    const covered = old[at + 3] > 0 && tool !== "erase";
    const changed = covered
      ? far(fresh, at, paint) < far(fresh, at, old.subarray(at, at + 3))
      : Math.abs(fresh[at + 3] - old[at + 3]) >= 128;
    if (!changed) all[number] = allOld[number];
    else if (tool === "erase") all[number] = 0;
    else fresh.set([...paint, 255], at);
  }
  pen.putImageData(now, 0, 0);
};

const fill = (x, y) => {
  const now = pixels();
  const all = new Uint32Array(now.data.buffer);
  const [width, height] = [canvas.width, canvas.height];
  const one = new Uint8ClampedArray([...colour.split(",").map(Number), 255]);
  const paint = new Uint32Array(one.buffer)[0];
  const start = Math.min(height - 1, Math.floor(y)) * width + Math.min(width - 1, Math.floor(x));
  const old = all[start];
  if (old === paint) return;
  const todo = [start];
  while (todo.length) {
    const at = todo.pop();
    if (all[at] !== old) continue;
    const row = at - (at % width);
    let [left, right] = [at, at];
    while (left > row && all[left - 1] === old) left--;
    while (right < row + width - 1 && all[right + 1] === old) right++;
    for (let spot = left; spot <= right; spot++) {
      all[spot] = paint;
      if (spot >= width && all[spot - width] === old) todo.push(spot - width);
      if (spot + width < all.length && all[spot + width] === old) todo.push(spot + width);
    }
  }
  pen.putImageData(now, 0, 0);
};

canvas.addEventListener("pointerdown", (event) => {
  if (event.button || !shape) return;
  event.preventDefault();
  canvas.setPointerCapture(event.pointerId);
  past.push(pixels());
  past = past.slice(-20);
  const at = place(event);
  if (tool === "fill") {
    fill(...at);
    tell();
    return;
  }
  last = at;
  stroke(at, [at[0] + 0.01, at[1]]);
});
canvas.addEventListener("pointermove", (event) => {
  const frame = canvas.getBoundingClientRect();
  const wide = (thickness() / canvas.width) * frame.width;
  ring.style.cssText = `left:${event.clientX - frame.left}px;top:${event.clientY - frame.top}px;width:${wide}px;height:${wide}px`;
  if (!last) return;
  for (const one of event.getCoalescedEvents?.() || [event]) {
    const at = place(one);
    stroke(last, at);
    last = at;
  }
});
const lift = () => {
  if (!last) return;
  last = null;
  harden(past.at(-1));
  tell();
};
canvas.addEventListener("pointerup", lift);
canvas.addEventListener("pointercancel", lift);

const press = () => {
  for (const button of buttons) {
    const on = button.dataset.colour ? tool !== "erase" && button.dataset.colour === colour : button.dataset.tool === tool;
    button.setAttribute("aria-pressed", on);
  }
  easel.classList.toggle("filling", tool === "fill");
};
for (const button of buttons) {
  button.type = "button";
  button.addEventListener("click", () => {
    const does = button.dataset.tool;
    if (button.dataset.colour) {
      colour = button.dataset.colour;
      if (tool === "erase" || easel.classList.contains("single")) tool = "paint";
    } else if (does === "undo") {
      if (past.length) pen.putImageData(past.pop(), 0, 0);
      tell();
    } else if (does === "clear") {
      if (!isEmpty()) past.push(pixels());
      pen.clearRect(0, 0, canvas.width, canvas.height);
      tell();
    } else {
      tool = tool === does ? "paint" : does;
    }
    press();
  });
}

// A blank canvas takes the size of a painting that comes from elsewhere.
const unfold = (text) => {
  const size = text.split("#")[1];
  setUp(...(size ? size.split("x").map(Number) : [blankWidth, blankHeight]));
};

addEventListener("painted", () => {
  const text = box()?.value || "";
  if (text === told) return;
  if (!over && text) unfold(text);
  if (shape && text !== told) restore(text);
});
new MutationObserver(look).observe(form, { subtree: true, childList: true, attributes: true, attributeFilter: ["src"] });
if (!over) unfold(box()?.value || "");
look();
press();

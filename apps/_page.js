() => {
  // Ctrl+Enter (or Cmd+Enter) starts the form in view, Esc stops its job. On a
  // small screen the stage comes into view; the handle between before and after can be drawn. Results that show
  // themselves in a frame get its height and the page's colours: nothing in there can run.
  const seen = (selector) =>
    [...document.querySelectorAll(selector)].find((button) => button.offsetParent !== null && !button.disabled);
  document.addEventListener("input", (event) => {
    if (event.target.matches(".pair input")) event.target.parentElement.style.setProperty("--at", event.target.value + "%");
  });
  const fit = (frame) => {
    const inside = frame.contentDocument;
    if (!inside || !inside.body) return;
    inside.documentElement.classList.toggle("dark", document.body.classList.contains("dark"));
    inside.documentElement.classList.toggle("light", !document.body.classList.contains("dark"));
    const measure = () => (frame.style.height = inside.body.scrollHeight + 2 + "px");
    new ResizeObserver(measure).observe(inside.body);
    measure();
  };
  document.addEventListener("load", (event) => {
    if (event.target.matches?.("iframe.shown")) fit(event.target);
  }, true);
  document.addEventListener("click", (event) => {
    const start = event.target.closest("button.start");
    if (start && innerWidth <= 800) start.closest(".desk").querySelector(".stage").scrollIntoView({ behavior: "smooth" });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      const start = seen("button.start");
      if (start) {
        event.preventDefault();
        if (document.activeElement) document.activeElement.blur(); // so that a half-typed value counts
        setTimeout(() => start.click(), 60);
      }
    } else if (event.key === "Escape") {
      const stop = seen("button.stop");
      if (stop) stop.click();
    }
  });
}

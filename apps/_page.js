() => {
  // Ctrl+Enter (or Cmd+Enter) starts the form in view, Esc stops its job.
  const seen = (selector) =>
    [...document.querySelectorAll(selector)].find((button) => button.offsetParent !== null && !button.disabled);
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

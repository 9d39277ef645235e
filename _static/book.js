/* Small services of every page; all work without them, less comfortably. */
document.addEventListener("DOMContentLoaded", () => {
  // What scrolls sideways by itself can be reached, and so scrolled, by keyboard.
  const scrollers = ".bd-article pre, .bd-article figure, .bd-article .text_html, .bd-article .output, " +
    "mjx-container, .bd-article div.math, .bd-article .pst-scrollable-table-container";
  const reach = () => document.querySelectorAll(scrollers).forEach((box) => {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
  });
  reach();
  addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(reach));
  addEventListener("resize", reach);

  // One button opens all folded code of the page, and folds it again.
  const folded = [...document.querySelectorAll("details.above-input")];
  const bar = document.querySelector(".article-header-buttons");
  if (folded.length && bar) {
    const button = document.createElement("button");
    button.className = "btn btn-sm all-code";
    button.innerHTML = '<i class="fa-solid fa-code" aria-hidden="true"></i>';
    const name = (open) => {
      button.title = open ? "Fold all code" : "Show all code";
      button.setAttribute("aria-label", button.title);
      button.setAttribute("aria-expanded", open);
    };
    name(false);
    button.addEventListener("click", () => {
      const open = !folded.every((each) => each.open);
      folded.forEach((each) => { each.open = open; });
      name(open);
    });
    bar.prepend(button);
  }
});

// The tour's text is Streamlit's; the live page brings what a step explains into sight, and frames it.

const TOUR_LOOKS = {
  1: (page) => page.status.node,
  2: (page) => page.cards[0].node,
  3: (page) => page.decision.node,
  4: (page) => page.tape.node,
  5: (page) => page.status.kill.node, // where the sidebar has it instead, this one is not shown and nothing moves
};

const HEADER_PX = 48; // Streamlit's own, with its menus, lies over the top of a narrow page

class Tour {
  constructor(page) {
    this.page = page;
    this.step = "";
  }

  // Streamlit's bar is 112 pixels high for one line, most of it empty; what it explains lies below it.
  lower() {
    if (this.bar?.isConnected) return;
    this.bar = document.querySelector("[data-testid='stBottomBlockContainer']");
    if (!this.bar) return;
    Object.assign(this.bar.style, {
      paddingBlock: "6px 8px",
      paddingInline: "16px",
      borderTop: "1px solid rgba(128, 138, 150, 0.5)",
    });
  }

  // The step stands in the address, where the tour's own buttons put it.
  look() {
    this.lower();
    const step = new URLSearchParams(location.search).get("tour") ?? "";
    if (step === this.step || !this.page.store.head) return;
    this.step = step;
    this.framed?.classList.remove("toured");
    this.framed = TOUR_LOOKS[step]?.(this.page) ?? null;
    if (!this.framed) return;
    this.framed.classList.add("toured");
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const { display } = getComputedStyle(this.framed);
    const seen = display === "contents" ? this.framed.firstElementChild : this.framed; // a narrow screen's status bar
    const bar = this.page.status.node;
    const over = getComputedStyle(bar).position === "sticky" && seen !== bar ? bar.offsetHeight : HEADER_PX;
    seen.style.scrollMarginTop = `${over + 8}px`;
    seen.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
  }
}

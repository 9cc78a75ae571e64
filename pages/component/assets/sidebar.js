// Streamlit's list of pages on wide screens: its rows stand closer, and where it is still longer than what the kill
// control below leaves, it scrolls by itself, with a bar that can be seen and its last row fading.

const PAGE_ROW_PX = 23;
const PAGES_LEAST_PX = 100; // lower than that, the whole sidebar scrolls instead
const FADE = "linear-gradient(to bottom, #000 calc(100% - 30px), transparent)";
const pageLists = new WeakMap();

class PageList {
  constructor(foot, content, list) {
    Object.assign(this, { foot, content, list });
    list.addEventListener("scroll", () => this.fade());
    this.sizes = new ResizeObserver(() => this.fit());
    for (const node of [foot, content, list.firstElementChild]) this.sizes.observe(node);
    this.fit();
    const here = [...list.querySelectorAll("a")].find((link) => new URL(link.href).pathname === location.pathname);
    here?.scrollIntoView({ block: "nearest" });
  }

  fit() {
    const { content, list, foot } = this;
    const wide = window.innerWidth > 768; // narrower, fingers want the rows as they were
    const header = content.querySelector("[data-testid='stSidebarHeader']");
    if (header && !header.querySelector("button, a, img"))
      Object.assign(header.style, { height: wide ? "14px" : "", margin: wide ? "0" : "" });
    for (const link of list.querySelectorAll("a")) {
      Object.assign(link.style, { height: wide ? `${PAGE_ROW_PX}px` : "", margin: wide ? "1px 0" : "" });
      if (link.parentElement) link.parentElement.style.height = wide ? `${PAGE_ROW_PX + 2}px` : "";
    }
    const above = list.getBoundingClientRect().top - content.getBoundingClientRect().top + content.scrollTop;
    const room = content.clientHeight - above - foot.offsetHeight;
    const holds = wide && room >= PAGES_LEAST_PX;
    Object.assign(list.style, {
      maxHeight: holds ? `${room}px` : "",
      overflowY: holds ? "auto" : "",
      scrollbarWidth: "thin",
      scrollbarColor: "rgba(128, 138, 150, 0.8) transparent",
    });
    this.fade();
  }

  fade() {
    const { list } = this;
    const below = list.scrollHeight - list.clientHeight - list.scrollTop;
    const mask = list.style.maxHeight && below > 4 ? FADE : "";
    if (list.style.maskImage !== mask) list.style.maskImage = mask;
  }
}

// Called whenever the kill control is pinned to the sidebar's foot; once is enough for each of them.
function fitPages(foot) {
  const content = foot.closest("[data-testid='stSidebarContent']");
  const list = content?.querySelector("[data-testid='stSidebarNav']");
  if (!list?.firstElementChild || pageLists.has(foot)) return;
  pageLists.set(foot, new PageList(foot, content, list));
}

// Which panels are on the screen. One that is not is drawn twice a second: its words stay true for who searches the
// page or has it read to him, and a page of which a third can be seen does not cost three times as much.

const OFF_SCREEN_MS = 500;
const NEAR = "100px 0px"; // drawn before it is scrolled into sight

class Sight {
  constructor(nodes, appeared) {
    this.seen = new Set(nodes);
    this.drawnAt = new Map();
    this.watcher = new IntersectionObserver((changes) => this.look(changes, appeared), {
      rootMargin: NEAR,
      scrollMargin: NEAR, // Streamlit scrolls a box of its own inside the window
    });
    for (const node of nodes) this.watcher.observe(node);
  }

  look(changes, appeared) {
    const came = changes.some(({ target, isIntersecting }) => isIntersecting && !this.seen.has(target));
    for (const { target, isIntersecting } of changes) {
      if (isIntersecting) this.seen.add(target);
      else this.seen.delete(target);
    }
    if (came) appeared();
  }

  // Whether to draw it now; who asks does.
  due(node, at) {
    if (!this.seen.has(node) && at - (this.drawnAt.get(node) ?? -Infinity) < OFF_SCREEN_MS) return false;
    this.drawnAt.set(node, at);
    return true;
  }

  close() {
    this.watcher.disconnect();
  }
}

// The page's own width in classes, for styles/widths.css: the sidebar takes room that the window's width counts in.

const WIDTHS = { tiny: [0, 360], narrow: [0, 720], middle: [720, Infinity], wide: [1040, Infinity] };

class Widths {
  constructor(node) {
    this.node = node;
    this.sizes = new ResizeObserver(() => this.look());
    this.sizes.observe(node);
    this.look();
  }

  look() {
    const wide = this.node.clientWidth;
    for (const [name, [from, below]] of Object.entries(WIDTHS))
      this.node.classList.toggle(name, wide >= from && wide < below);
  }

  close() {
    this.sizes.disconnect();
  }
}

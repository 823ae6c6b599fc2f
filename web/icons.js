/** Small drawings for buttons, 24 by 24, in the colour of the text. Names for them are the button's business. */

const SHAPES = Object.freeze({
  add: ["M12 5v14M5 12h14"],
  again: ["M19.5 12a7.5 7.5 0 1 1-2.2-5.3", "M19.5 3.5v4h-4"],
  close: ["M6 6l12 12M18 6L6 18"],
  details: ["M12 3.5a8.5 8.5 0 1 1 0 17a8.5 8.5 0 0 1 0-17z", "M12 11v5.5M12 7.6v.1"],
  dice: ["M5 4h14a1 1 0 0 1 1 1v14a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1z", "M8.5 8.5v.1M15.5 8.5v.1M12 12v.1M8.5 15.5v.1M15.5 15.5v.1"],
  download: ["M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14"],
  edit: ["M4.5 19.5l1-4.5L16 4.5l3.5 3.5L9 18.5z", "M13.5 7l3.5 3.5"],
  form: ["M4 7h8M18 7h2M4 17h2M12 17h8", "M15 4.5a2.5 2.5 0 1 1 0 5a2.5 2.5 0 0 1 0-5zM9 14.5a2.5 2.5 0 1 1 0 5a2.5 2.5 0 0 1 0-5z"],
  half: ["M12 4a8 8 0 1 1 0 16a8 8 0 0 1 0-16zM12 4v16", "M12 7.5h4.5M12 12h8M12 16.5h4.5"],
  keep: ["M8 4h8v6l2 3H6l2-3zM12 13v7"],
  key: ["M8.5 11a4 4 0 1 1 0 8a4 4 0 0 1 0-8z", "M11.5 12.5L19.5 4.5M16 8l2.5 2.5"],
  keyboard: ["M3 7h18v10H3z", "M7 10.5v.1M11 10.5v.1M15 10.5v.1M18 10.5v.1M8 14h8"],
  moon: ["M19 14.5A8 8 0 0 1 9.5 5a7.5 7.5 0 1 0 9.5 9.5z"],
  next: ["M9 5l7 7-7 7"],
  picture: ["M4 5h16v14H4z", "M4 16l5-5 4 4 2.5-2.5L20 17M15.5 9v.1"],
  previous: ["M15 5l-7 7 7 7"],
  skip: ["M5 5l9 7-9 7zM18.5 5v14"],
  stop: ["M6.5 6.5h11v11h-11z"],
  sun: ["M12 8a4 4 0 1 1 0 8a4 4 0 0 1 0-8z", "M12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1.1 1.1M17.3 17.3l1.1 1.1M5.6 18.4l1.1-1.1M17.3 6.7l1.1-1.1"],
  swap: ["M4 9h15M15 5l4 4-4 4M20 17H5"],
  upscale: ["M14 4h6v6M20 4l-7 7M10 20H4v-6M4 20l7-7"],
  vary: ["M4 7h3.5l9 10H20M4 17h3.5l2.5-2.8M14 9.8L16.5 7H20", "M17.5 4.5L20 7l-2.5 2.5M17.5 14.5L20 17l-2.5 2.5"],
});

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {keyof typeof SHAPES} name
 * @returns {SVGElement} hidden from screen readers.
 */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", width: "20", height: "20", "aria-hidden": "true", class: "icon-shape" })) {
    drawing.setAttribute(key, value);
  }
  for (const shape of SHAPES[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", shape);
    drawing.append(path);
  }
  return drawing;
}

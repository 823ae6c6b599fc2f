/** Small drawings for buttons, 24 by 24, in the colour of the text. Names for them are the button's business. */

const SHAPES = Object.freeze({
  add: ["M12 5v14M5 12h14"],
  again: ["M19.5 12a7.5 7.5 0 1 1-2.2-5.3", "M19.5 3.5v4h-4"],
  brush: ["M20 4c-4.5 1.5-8.5 5.5-10.5 9.5l1.5 1.5c4-2 8-6.5 9-11z", "M9.2 14c-2.4-.2-3.5 1.4-3.7 3.2-.1 1-.7 1.8-1.8 2.3 3.2.7 6.6-.2 7-3.3"],
  close: ["M6 6l12 12M18 6L6 18"],
  compare: ["M12 3v18", "M4 6h5v12H4z", "M15 6h5v12h-5z"],
  cutout: ["M12 4a4 4 0 1 1 0 8a4 4 0 0 1 0-8z", "M5 20c.5-4 3.3-6 7-6s6.5 2 7 6z"],
  details: ["M12 3.5a8.5 8.5 0 1 1 0 17a8.5 8.5 0 0 1 0-17z", "M12 11v5.5M12 7.6v.1"],
  dice: ["M5 4h14a1 1 0 0 1 1 1v14a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1z", "M8.5 8.5v.1M15.5 8.5v.1M12 12v.1M8.5 15.5v.1M15.5 15.5v.1"],
  download: ["M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14"],
  edit: ["M4.5 19.5l1-4.5L16 4.5l3.5 3.5L9 18.5z", "M13.5 7l3.5 3.5"],
  eraser: ["M9 19.5l-5-5L14.5 4l5.5 5.5L9.5 19.5zM9 9.5l5.5 5.5", "M9 19.5h11"],
  fit: ["M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5"],
  form: ["M4 7h8M18 7h2M4 17h2M12 17h8", "M15 4.5a2.5 2.5 0 1 1 0 5a2.5 2.5 0 0 1 0-5zM9 14.5a2.5 2.5 0 1 1 0 5a2.5 2.5 0 0 1 0-5z"],
  frame: ["M8 8h8v8H8z", "M12 5V2.5M12 21.5V19M5 12H2.5M21.5 12H19M10.5 4L12 2.5 13.5 4M10.5 20l1.5 1.5 1.5-1.5M4 10.5L2.5 12 4 13.5M20 10.5l1.5 1.5-1.5 1.5"],
  grow: ["M12 8a4 4 0 1 1 0 8a4 4 0 0 1 0-8z", "M12 5V2.5M12 21.5V19M5 12H2.5M21.5 12H19"],
  half: ["M12 4a8 8 0 1 1 0 16a8 8 0 0 1 0-16zM12 4v16", "M12 7.5h4.5M12 12h8M12 16.5h4.5"],
  hand: ["M7 12V6.5a1.5 1.5 0 0 1 3 0V11M10 10.5v-5a1.5 1.5 0 0 1 3 0v5M13 10.5v-4a1.5 1.5 0 0 1 3 0V12", "M16 9.5a1.5 1.5 0 0 1 3 0V14c0 4-2.5 6.5-6 6.5-3 0-4.5-1.5-6-4l-2.3-3.8c-.7-1.4 1-2.6 2-1.5L7 13"],
  invert: ["M12 4a8 8 0 1 1 0 16a8 8 0 0 1 0-16z", "M12 4v16M15 5v14M18 7v10"],
  keep: ["M8 4h8v6l2 3H6l2-3zM12 13v7"],
  key: ["M8.5 11a4 4 0 1 1 0 8a4 4 0 0 1 0-8z", "M11.5 12.5L19.5 4.5M16 8l2.5 2.5"],
  keyboard: ["M3 7h18v10H3z", "M7 10.5v.1M11 10.5v.1M15 10.5v.1M18 10.5v.1M8 14h8"],
  minus: ["M5 12h14"],
  moon: ["M19 14.5A8 8 0 0 1 9.5 5a7.5 7.5 0 1 0 9.5 9.5z"],
  next: ["M9 5l7 7-7 7"],
  object: ["M5 8V5h3M16 5h3v3M5 16v3h3", "M11 11l9 3.5-4 1.5-1.5 4z"],
  picture: ["M4 5h16v14H4z", "M4 16l5-5 4 4 2.5-2.5L20 17M15.5 9v.1"],
  previous: ["M15 5l-7 7 7 7"],
  rectangle: ["M4 7h16v10H4z"],
  redo: ["M20 10H10a5 5 0 0 0 0 10h3M16 6l4 4-4 4"],
  shrink: ["M12 9a3 3 0 1 1 0 6a3 3 0 0 1 0-6z", "M12 6.5V3M10.5 5L12 6.5 13.5 5M12 17.5V21M10.5 19l1.5-1.5 1.5 1.5M6.5 12H3M5 10.5L6.5 12 5 13.5M17.5 12H21M19 10.5L17.5 12l1.5 1.5"],
  skip: ["M5 5l9 7-9 7zM18.5 5v14"],
  stop: ["M6.5 6.5h11v11h-11z"],
  sun: ["M12 8a4 4 0 1 1 0 8a4 4 0 0 1 0-8z", "M12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1.1 1.1M17.3 17.3l1.1 1.1M5.6 18.4l1.1-1.1M17.3 6.7l1.1-1.1"],
  swap: ["M4 9h15M15 5l4 4-4 4M20 17H5"],
  text: ["M5 7V5h14v2M12 5v14M9 19h6"],
  undo: ["M4 10h10a5 5 0 0 1 0 10h-3M8 6l-4 4 4 4"],
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

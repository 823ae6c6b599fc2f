/** The keys of the view edit. */

/**
 * @param {object} hand
 * @param {(tool: import("./mask-tools.js").Tool) => void} hand.tool
 * @param {(name: string) => void} hand.command
 * @param {(times: number) => void} hand.brush - make it so many times as large.
 * @param {() => void} hand.run
 * @returns {import("../shortcuts.js").Shortcut[]}
 */
export function editKeys({ tool, command, brush, run }) {
  const tools = /** @type {const} */ ([
    ["B", "brush"],
    ["E", "eraser"],
    ["R", "rectangle"],
    ["O", "object"],
    ["T", "text"],
    ["H", "hand"],
  ]);
  const commands = [
    ["Ctrl+Z", "undo"],
    ["Ctrl+Shift+Z", "redo"],
    ["Ctrl+Y", "redo"],
    ["I", "invert"],
    ["G", "grow"],
    ["S", "shrink"],
    ["Delete", "clear"],
    ["+", "closer"],
    ["-", "farther"],
    ["0", "fit"],
    ["1", "actual"],
    ["C", "compare"],
  ].map(([keys = "", name = ""]) => ({ keys, words: `edit.${name}`, action: () => command(name) }));
  return [
    ...tools.map(([keys, name]) => ({ keys, words: `edit.tool.${name}`, action: () => tool(name) })),
    { keys: "[", words: "edit.brush.smaller", action: () => brush(1 / BRUSH_STEP) },
    { keys: "]", words: "edit.brush.larger", action: () => brush(BRUSH_STEP) },
    ...commands,
    { keys: "Ctrl+Enter", words: "edit.run", action: run },
    // These the canvas takes itself, while it has the focus.
    { keys: "←↑→↓", words: "edit.key.arrows" },
    { keys: "Shift+←↑→↓", words: "edit.key.move" },
    { keys: "Enter / Space", words: "edit.key.act" },
    { keys: "Esc", words: "edit.key.drop" },
  ];
}

const BRUSH_STEP = 1.2;

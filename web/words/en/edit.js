/** The view edit. */

export const edit = {};

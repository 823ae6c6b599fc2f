/** The view make. */

export const make = {};

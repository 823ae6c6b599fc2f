/** The view models. */

export const models = {};

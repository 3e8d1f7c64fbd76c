// Elements of the page by their ids.

/** Return an element of the page. */
export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no element ${id}.`);
  return found as T;
}

/** Return an input of the page. */
export function field(id: string): HTMLInputElement {
  return element<HTMLInputElement>(id);
}

/** Return the inputs of a name. */
export function inputs(name: string): HTMLInputElement[] {
  return [...document.querySelectorAll<HTMLInputElement>(`input[name=${name}]`)];
}

// Elements of a page, made in script: text is set as text, handlers are listeners, so that the page needs no inline script.

type Attributes = Readonly<Record<string, string | boolean>>;

/** An element with attributes (true: present; false: not) and children; a string is text. */
export function element<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: readonly (Node | string)[]): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function button(text: string, pressed: () => void, attributes: Attributes = {}): HTMLButtonElement {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", pressed);
  return made;
}

/** A field with its label. */
export function field(label: string, control: HTMLElement, ...more: readonly Node[]): HTMLElement {
  return element("p", { class: "field" }, element("label", { for: control.id }, label), control, ...more);
}

/** Sets an element's text where it differs: a screen reader tells a text again that is set again. */
export function setText(on: HTMLElement, text: string): void {
  if (on.textContent !== text) on.textContent = text;
}

/** A sentence with its holes filled in. */
export function filled(sentence: string, holes: Readonly<Record<string, string>>): string {
  return sentence.replace(/\{(\w+)\}/g, (whole, name: string) => holes[name] ?? whole);
}

// Where the focus goes when what had it is disabled or removed. Browsers leave it nowhere then, and who uses keys or a
// screen reader would lose their place.

/** The parts of a page that can take it instead. */
const PARTS = 'li,section,form,main';

interface Held {
  element: HTMLElement | SVGElement;
  /** Where to go when it is removed, the nearest first: of a list, the next item and the one before. */
  around: readonly Element[];
  wasDisabled: boolean;
}

const isElement = (one: unknown): one is HTMLElement | SVGElement =>
  one instanceof HTMLElement || one instanceof SVGElement;

const isNowhere = (): boolean => document.activeElement === null || document.activeElement === document.body;

function around(element: Element): Element[] {
  const found: (Element | null)[] = [];
  for (let part = element.closest(PARTS); part; part = part.parentElement?.closest(PARTS) ?? null) {
    found.push(part, ...(part.matches('li') ? [part.nextElementSibling, part.previousElementSibling] : []));
  }
  return found.filter((one) => one !== null);
}

function take(element: Element | undefined): void {
  if (!isElement(element)) return;
  if (element.tabIndex < 0) element.tabIndex = -1;
  element.focus({ preventScroll: true });
}

/**
 * Gives the focus back to an element that was disabled for a while, and to what is next to one that is removed. Works on
 * the whole page, until it is closed.
 */
export function keepFocus(): void {
  let held: Held | null = null;
  document.addEventListener('focusin', ({ target }) => {
    held = isElement(target) ? { element: target, around: around(target), wasDisabled: false } : null;
  });
  // Who presses outside of all controls gives the focus away.
  document.addEventListener(
    'pointerdown',
    () => {
      held = null;
    },
    { capture: true },
  );
  const look = (): void => {
    if (held === null) return;
    const isDisabled = held.element.matches(':disabled');
    if (isDisabled) held.wasDisabled = true;
    if (!isNowhere()) return;
    if (!held.element.isConnected) take(held.around.find((one) => one.isConnected));
    else if (held.wasDisabled && !isDisabled) take(held.element);
  };
  new MutationObserver(look).observe(document.body, {
    subtree: true,
    childList: true,
    attributes: true,
    attributeFilter: ['disabled'],
  });
}

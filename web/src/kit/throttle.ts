// Coalesces bursts: the first call runs at once, later ones together, at most once per interval.

export interface Throttled {
  (): void;
  cancel: () => void;
}

export function throttle(run: () => void, intervalMs: number): Throttled {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let again = false;
  const rest = (): void => {
    timer = setTimeout(() => {
      timer = null;
      if (!again) return;
      again = false;
      run();
      rest();
    }, intervalMs);
  };
  const call = (): void => {
    if (timer !== null) {
      again = true;
      return;
    }
    run();
    rest();
  };
  call.cancel = (): void => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    again = false;
  };
  return call;
}

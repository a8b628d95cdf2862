// Times of a clock in a time zone, as datetime-local inputs have them (2030-06-10T18:00). Pure: the zones' rules are
// the browser's.

const DAY_MS = 86_400_000;

const clocks = new Map<string, Intl.DateTimeFormat>();

function clockOf(zone: string): Intl.DateTimeFormat {
  const known = clocks.get(zone);
  if (known) return known;
  const made = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
  clocks.set(zone, made);
  return made;
}

/** What the clocks of the zone show at a moment, as if it were UTC. */
function shownMs(ms: number, zone: string): number {
  const parts = new Map(
    clockOf(zone)
      .formatToParts(ms)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const part = (name: Intl.DateTimeFormatPartTypes): number => parts.get(name) ?? 0;
  return Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
}

/** How far the zone's clocks are ahead of UTC at a moment. */
const aheadMs = (ms: number, zone: string): number => shownMs(ms, zone) - Math.floor(ms / 1000) * 1000;

const textOf = (ms: number): string => new Date(ms).toISOString().slice(0, 16);

/** The value of a datetime-local input for a moment, by the clocks of the zone. */
export const toZonedInput = (ms: number, zone: string): string => textOf(shownMs(ms, zone));

/**
 * The moments at which the clocks of the zone show a datetime-local input's value, the earlier one first; none when it
 * is no time. A time that clocks skip is as much later; one that they show twice has two.
 */
export function zonedMoments(value: string, zone: string): number[] {
  const shown = Date.parse(`${value}Z`);
  if (value === '' || Number.isNaN(shown)) return [];
  const [before, after] = [shown - aheadMs(shown - DAY_MS, zone), shown - aheadMs(shown + DAY_MS, zone)];
  const fitting = [...new Set([before, after])].filter((ms) => shownMs(ms, zone) === shown);
  return fitting.length > 0 ? fitting.sort((a, b) => a - b) : [before];
}

/** The value so much later by the clock, whatever the clocks do in between. */
export function laterInput(value: string, ms: number): string | null {
  const at = Date.parse(`${value}Z`) + ms;
  return Number.isNaN(at) ? null : textOf(at);
}

export const ownZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Every zone that the browser knows, with these. */
export function zoneNames(also: readonly string[]): string[] {
  return [...new Set(['UTC', ...also, ...Intl.supportedValuesOf('timeZone')])].sort((a, b) => a.localeCompare(b, 'en'));
}

// Umbel's mark, and the poster of an event: an umbel drawn from the event's id, so that each has its own.

/** Stalks that spread from one point. */
export function Mark({ size = 28 }: { size?: number }) {
  return (
    <svg className="mark" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <g fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round">
        <path d="M16 30V19" />
        <path d="M16 19C14 14 9 12 5 11.5M16 19C15 13 12.5 9 10 6M16 19V5M16 19c1-6 3.5-10 6-13M16 19c2-5 7-7 11-7.5" />
      </g>
      <g fill="currentColor">
        <circle cx="4.500" cy="11" r="2.500" />
        <circle cx="9.500" cy="5.500" r="2.500" />
        <circle cx="22.500" cy="5.500" r="2.500" />
        <circle cx="27.500" cy="11" r="2.500" />
      </g>
      <circle className="mark-bloom" cx="16" cy="4" r="2.900" />
    </svg>
  );
}

/** FNV-1a, then numbers in [0, 1): the same text always draws the same flower. */
function numbersFrom(text: string): () => number {
  let hash = 0x811c9dc5;
  for (let n = 0; n < text.length; n += 1) hash = Math.imul(hash ^ text.charCodeAt(n), 0x01000193);
  return () => {
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
    hash ^= hash >>> 15;
    return (hash >>> 0) / 4294967296;
  };
}

interface Stalk {
  path: string;
  x: number;
  y: number;
  r: number;
}

function stalksOf(random: () => number, originX: number): Stalk[] {
  const count = 9 + Math.floor(random() * 5);
  return Array.from({ length: count }, (_, n) => {
    const spread = ((n + 0.5) / count - 0.5) * (2.1 + random() * 0.2);
    const reach = 92 + random() * 34 - Math.abs(spread) * 10;
    const x = originX + Math.sin(spread) * reach * 1.25;
    const y = 168 - Math.cos(spread) * reach;
    const path = `M${String(originX)} 168Q${((originX * 2 + x) / 3).toFixed(1)} ${(y + 30).toFixed(1)} ${x.toFixed(1)} ${y.toFixed(1)}`;
    return { path, x, y, r: 3.5 + random() * 5.5 };
  });
}

/** Decoration: adds nothing to the text next to it. */
export function Poster({ provider, event }: { provider: string; event: string }) {
  const hue = Math.floor(numbersFrom(provider)() * 360);
  const random = numbersFrom(event);
  const originX = 100 + random() * 120;
  const stalks = stalksOf(random, originX);
  return (
    <svg className="poster" viewBox="0 0 320 180" preserveAspectRatio="xMidYMid slice" aria-hidden="true">
      <rect width="320" height="180" fill={`hsl(${String(hue)} 38% 24%)`} />
      <circle cx={originX} cy="60" r="150" fill={`hsl(${String((hue + 24) % 360)} 45% 34%)`} opacity="0.55" />
      <circle cx={originX} cy="60" r="85" fill={`hsl(${String((hue + 40) % 360)} 50% 46%)`} opacity="0.4" />
      <g fill="none" stroke={`hsl(${String(hue)} 35% 78%)`} strokeWidth="1.600" strokeLinecap="round" opacity="0.85">
        <path d={`M${String(originX)} 168V182`} />
        {stalks.map((stalk) => (
          <path key={stalk.path} d={stalk.path} />
        ))}
      </g>
      <g fill={`hsl(${String((hue + 50) % 360)} 70% 90%)`}>
        {stalks.map((stalk) => (
          <circle key={stalk.path} cx={stalk.x} cy={stalk.y} r={stalk.r} opacity="0.92" />
        ))}
      </g>
    </svg>
  );
}

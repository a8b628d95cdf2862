// Small pictures for buttons; each button has its name as text or aria-label.

const SHAPES = {
  play: 'M8 5v14l11-7z',
  pause: 'M7 5h4v14H7zM13 5h4v14h-4z',
  volume:
    'M4 9v6h4l5 4V5L8 9zM15.500 8.500a5 5 0 0 1 0 7l-1.200-1.200a3.300 3.300 0 0 0 0-4.600zM18 6a8.500 8.500 0 0 1 0 12l-1.200-1.200a6.800 6.800 0 0 0 0-9.600z',
  muted:
    'M4 9v6h4l5 4V5L8 9zM20.500 9.700l-1.200-1.200-2.300 2.300-2.300-2.300-1.200 1.200 2.300 2.300-2.300 2.300 1.200 1.200 2.300-2.300 2.300 2.300 1.200-1.200-2.300-2.300z',
  fullscreen: 'M4 4h6v2H6v4H4zM14 4h6v6h-2V6h-4zM4 14h2v4h4v2H4zM18 14h2v6h-6v-2h4z',
  leaveFullscreen: 'M8 4h2v6H4V8h4zM14 4h2v4h4v2h-6zM4 14h6v6H8v-4H4zM14 14h6v2h-4v4h-2z',
  pip: 'M3 5h18v14H3zm2 2v10h14V7zm6 4h7v5h-7z',
  captions:
    'M3 5h18v14H3zm2 2v10h14V7zM7 9.500h4v1.600H8.700v1.800H11v1.600H7zM13 9.500h4v1.600h-2.300v1.800H17v1.600h-4z',
  details: 'M4 19v-7h3v7zM10.500 19V5h3v14zM17 19v-10h3v10z',
  copy: 'M8 3h11v14H8zm2 2v10h7V5zM5 7H4v14h12v-2H5z',
  check: 'M9.500 18.500 3.500 12.500 5 11l4.500 4.500L19 6l1.500 1.500z',
  eye: 'M12 5c5 0 8.500 4 10 7-1.500 3-5 7-10 7s-8.500-4-10-7c1.500-3 5-7 10-7zm0 3a4 4 0 1 0 0 8 4 4 0 0 0 0-8zm0 2a2 2 0 1 1 0 4 2 2 0 0 1 0-4z',
} as const;

export type IconName = keyof typeof SHAPES;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={SHAPES[name]} fill="currentColor" fillRule="evenodd" />
    </svg>
  );
}

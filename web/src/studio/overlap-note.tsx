// Says which of the provider's other events are on at the same time as the one in the form.

import { api } from '../kit/portal';
import { useLive } from '../ui/hooks';
import { type Draft, overlapsOf } from './draft';

const POLL_MS = 60_000;
const MOST = 3;

interface OverlapNoteProps {
  draft: Draft;
  provider: string;
  /** The event that is edited, null for a new one. */
  own: string | null;
}

export function OverlapNote({ draft, provider, own }: OverlapNoteProps) {
  const { data } = useLive('own events', api.ownEvents, ['event'], POLL_MS);
  const found = overlapsOf(draft, data ?? [], provider, own);
  if (found.length === 0) return null;
  const named = found.slice(0, MOST).map(({ title }) => `“${title}”`);
  const rest = found.length > MOST ? ` and ${String(found.length - MOST)} more` : '';
  return (
    <p className="notice notice-warn" role="status">
      At the same time: {named.join(', ')}
      {rest}. Each needs an encoder of its own.
    </p>
  );
}

// Says which of the provider's other events are on at the same time as the one in the form.

import { t } from '../i18n/t';
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
  const events = found
    .slice(0, MOST)
    .map(({ title }) => t('common.quoted', { text: title }))
    .join(', ');
  const count = found.length - MOST;
  return (
    <p className="notice notice-warn" role="status">
      {count > 0 ? t('overlap.more', { events, count }) : t('overlap.some', { events })}
    </p>
  );
}

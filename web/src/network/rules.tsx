// The rules of one switch in the order of its tables, each with an explanation.

import { useEffect, useRef } from 'react';
import { t } from '../i18n/t';
import { api } from '../kit/portal';
import type { ChangeKind, Rule } from '../kit/types';
import { useLive } from '../ui/hooks';
import { ErrorNotice, Loading } from '../ui/parts';

const KINDS: readonly ChangeKind[] = [
  'drawing',
  'path',
  'path_changed',
  'switch_up',
  'switch_down',
  'port_added',
  'port_removed',
  'link_up',
  'link_down',
];
const POLL_MS = 4000;

export function matchText(match: Readonly<Record<string, string>>): string {
  const parts = Object.entries(match).map(([field, value]) => `${field}=${value}`);
  return parts.length === 0 ? t('rules.everyPacket') : parts.join(', ');
}

const keyOf = (rule: Rule): string => `${String(rule.table)} ${String(rule.priority)} ${matchText(rule.match)}`;

export function RuleLine({ rule }: { rule: Rule }) {
  return (
    <details className="rule">
      <summary>
        <span className="badge">{rule.step}</span>
        <strong>{rule.stream ?? '–'}</strong>
        <code>{matchText(rule.match)}</code>
      </summary>
      <p>{rule.explanation}.</p>
      <dl className="facts-inline">
        <div className="fact">
          <dt>{t('rules.table')}</dt>
          <dd>
            {rule.table}, {rule.priority}
          </dd>
        </div>
        {rule.root !== null && (
          <div className="fact">
            <dt>{t('rules.root')}</dt>
            <dd>{rule.root}</dd>
          </div>
        )}
        {rule.leaves.length > 0 && (
          <div className="fact">
            <dt>{t('rules.leaves')}</dt>
            <dd>{rule.leaves.join(', ')}</dd>
          </div>
        )}
      </dl>
    </details>
  );
}

interface RulesProps {
  node: string;
  connected: boolean;
  /** Whether the rules were opened by keys, which go on there. */
  takesFocus: boolean;
  onClose: () => void;
}

export function Rules({ node, connected, takesFocus, onClose }: RulesProps) {
  const section = useRef<HTMLElement>(null);
  useEffect(() => {
    if (takesFocus) section.current?.focus();
  }, [takesFocus]);
  const { data, error, refresh } = useLive(`rules ${node}`, () => api.rules(node), KINDS, POLL_MS);
  return (
    <section ref={section} className="panel rules" aria-label={t('rules.of', { node })} tabIndex={-1}>
      <div className="row">
        <h2>{t('rules.heading', { node })}</h2>
        <button type="button" className="button button-small" onClick={onClose}>
          {t('common.close')}
        </button>
      </div>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {data === null && error === null && <Loading what={t('rules.loading')} />}
      {data?.length === 0 && <p className="quiet">{connected ? t('rules.none') : t('rules.notConnected')}</p>}
      {data && data.length > 0 && <p className="quiet">{t('rules.about')}</p>}
      <div>
        {data?.map((rule) => (
          <RuleLine key={keyOf(rule)} rule={rule} />
        ))}
      </div>
    </section>
  );
}

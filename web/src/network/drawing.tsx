// The form that draws the overlay: a role for every node and the links between them. Problems appear at their place.

import { useId, useState } from 'react';
import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';
import { errorText } from '../kit/error-text';

import { api } from '../kit/portal';
import type { NodeRole, Topology } from '../kit/types';
import { useAction } from '../ui/hooks';
import { ErrorNotice } from '../ui/parts';
import { linkKey } from './layout';
import {
  bodyOf,
  type Draft,
  draftOf,
  type Overlay,
  type Problems,
  problemsIn,
  sortProblems,
  withLink,
  withRole,
} from './overlay';

const ROLES: readonly [NodeRole | '', PlainKey][] = [
  ['', 'draw.notDrawn'],
  ['root', 'role.root'],
  ['relay', 'role.relay'],
  ['leaf', 'role.leaf'],
  ['none', 'draw.noRole'],
];

const isRole = (value: string): value is NodeRole => ROLES.some(([role]) => role === value && role !== '');

function Problem({ id, messages }: { id: string; messages: readonly string[] | undefined }) {
  if (!messages) return null;
  return (
    <p id={id} className="wrong">
      {messages.join('; ')}
    </p>
  );
}

interface EditProps {
  overlay: Overlay;
  draft: Draft;
  problems: Problems;
  onDraft: (draft: Draft) => void;
}

function NodesEditor({ overlay, draft, problems, onDraft }: EditProps) {
  const id = useId();
  return (
    <fieldset className="draw-nodes">
      <legend>{t('net.nodes')}</legend>
      {overlay.topology.nodes.map(({ name }) => {
        const messages = problems.nodes.get(name);
        const [field, fault] = [`${id}${name}`, `${id}${name}-wrong`];
        return (
          <div key={name} className={messages ? 'field field-wrong' : 'field'}>
            <label htmlFor={field}>{name}</label>
            <select
              id={field}
              value={draft.roles.get(name) ?? ''}
              aria-invalid={messages !== undefined}
              aria-describedby={messages ? fault : undefined}
              onChange={({ target }) => {
                onDraft(withRole(draft, name, isRole(target.value) ? target.value : null));
              }}
            >
              {ROLES.map(([role, text]) => (
                <option key={role} value={role}>
                  {t(text)}
                </option>
              ))}
            </select>
            <Problem id={fault} messages={messages} />
          </div>
        );
      })}
    </fieldset>
  );
}

function LinksEditor({ overlay, draft, problems, onDraft }: EditProps) {
  const id = useId();
  return (
    <fieldset className="draw-links">
      <legend>{t('net.links')}</legend>
      {overlay.links.map(({ a, b }) => {
        const key = linkKey(a, b);
        const messages = problems.links.get(key);
        const fault = `${id}${key}-wrong`;
        const joins = draft.roles.has(a) && draft.roles.has(b);
        return (
          <div key={key} className={messages ? 'field-wrong' : undefined}>
            <label className="tick">
              <input
                type="checkbox"
                checked={draft.links.has(key) && joins}
                disabled={!joins}
                aria-describedby={messages ? fault : undefined}
                onChange={({ target }) => {
                  onDraft(withLink(draft, key, target.checked));
                }}
              />
              {a} – {b}
            </label>
            <Problem id={fault} messages={messages} />
          </div>
        );
      })}
    </fieldset>
  );
}

export function summaryOf({ tree, spare, cut }: Topology): string {
  const links = t('draw.links', { count: tree.length });
  const spares = t('draw.spares', { count: spare.length });
  if (cut.length === 0) return t('draw.applied', { links, spares });
  return t('draw.appliedCut', { links, spares, cut: cut.join(', ') });
}

export function DrawingEditor({ overlay, onChange }: { overlay: Overlay; onChange: () => void }) {
  // The form shows the current drawing, also another operator's, until something is changed here.
  const [edited, setEdited] = useState<Draft | null>(null);
  const [sent, setSent] = useState<Topology | null>(null);
  const { busy, error, run, clear } = useAction();
  const draft = edited ?? draftOf(overlay);
  const refusals = error ? problemsIn(error.details) : [];
  const problems = sortProblems(refusals, overlay);
  const change = (next: Draft | null): void => {
    setEdited(next);
    setSent(null);
    clear();
  };
  const send = (): void => {
    setSent(null);
    void run(async () => {
      setSent(await api.draw(bodyOf(draft, overlay)));
      setEdited(null);
      onChange();
    });
  };
  const editing = { overlay, draft, problems, onDraft: change };
  return (
    <details className="panel draw">
      <summary>
        <h2>{t('draw.heading')}</h2>
      </summary>
      <p className="quiet">{t('draw.about')}</p>
      <form
        noValidate
        aria-label={t('draw.form')}
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        {error && refusals.length === 0 && <ErrorNotice error={error} />}
        {error && refusals.length > 0 && (
          <div className="notice notice-bad" role="alert">
            <p>{t('draw.unchanged', { reason: errorText(error) })}</p>
            {problems.rest.length > 0 && (
              <ul>
                {problems.rest.map((one) => (
                  <li key={one}>{one}</li>
                ))}
              </ul>
            )}
          </div>
        )}
        <NodesEditor {...editing} />
        <LinksEditor {...editing} />
        <div className="row">
          <span role="status" className="quiet">
            {sent ? summaryOf(sent) : ''}
          </span>
          <span className="row">
            <button
              type="button"
              className="button"
              disabled={edited === null}
              onClick={() => {
                change(null);
              }}
            >
              {t('draw.reset')}
            </button>
            <button type="submit" className="button button-primary" disabled={busy}>
              {busy ? t('draw.applying') : t('draw.apply')}
            </button>
          </span>
        </div>
      </form>
    </details>
  );
}

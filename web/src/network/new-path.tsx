// The form that adds a path: an operator's stream from the root to a receiver at a leaf.

import { useId, useState } from 'react';
import { t } from '../i18n/t';

import { api } from '../kit/portal';
import type { NewPath, Topology } from '../kit/types';
import { useAction } from '../ui/hooks';
import { ErrorNotice } from '../ui/parts';
import { problemsIn } from './overlay';

export interface PathDraft {
  stream: string;
  root: string;
  sender: string;
  leaf: string;
  address: string;
  mac: string;
  port: string;
}

/** The request body. Empty fields are left out; the portal reports those it needs. */
export function pathBody(draft: PathDraft): NewPath {
  const receiver: NewPath['receiver'] = { address: draft.address.trim() };
  const mac = draft.mac.trim().toLowerCase();
  if (mac !== '') receiver.mac = mac;
  if (draft.port.trim() !== '') receiver.port = Number(draft.port);
  const sender = draft.sender === 'inside' ? 'inside' : 'outside';
  return { stream: draft.stream.trim(), root: draft.root, sender, leaf: draft.leaf, receiver };
}

const FIELDS = [
  ['stream', 'net.stream', 'feed'],
  ['address', 'path.address', '192.0.2.4'],
  ['mac', 'path.mac', '02:00:00:00:00:aa'],
  ['port', 'path.port', '5004'],
] as const;

function Choice({
  label,
  names,
  value,
  onChoose,
}: {
  label: string;
  names: readonly [string, string][];
  value: string;
  onChoose: (value: string) => void;
}) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select
        id={id}
        value={value}
        onChange={({ target }) => {
          onChoose(target.value);
        }}
      >
        {names.map(([name, text]) => (
          <option key={name} value={name}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

export function NewPathForm({ topology, onChange }: { topology: Topology; onChange: () => void }) {
  const id = useId();
  const drawn = topology.nodes.filter((node) => node.role !== null).map(({ name }): [string, string] => [name, name]);
  const leaf = topology.nodes.find((node) => node.role === 'leaf')?.name ?? drawn[0]?.[0] ?? '';
  const fresh: PathDraft = {
    stream: '',
    root: topology.root ?? drawn[0]?.[0] ?? '',
    sender: 'outside',
    leaf,
    address: '',
    mac: '',
    port: '',
  };
  const [edited, setEdited] = useState<Partial<PathDraft>>({});
  const { busy, error, run } = useAction();
  const draft = { ...fresh, ...edited };
  const set = (change: Partial<PathDraft>): void => {
    setEdited({ ...edited, ...change });
  };
  const send = (): void => {
    void run(async () => {
      await api.addPath(pathBody(draft));
      setEdited({});
      onChange();
    });
  };
  const problems = error ? problemsIn(error.details) : [];
  return (
    <details className="panel draw">
      <summary>
        <h2>{t('path.heading')}</h2>
      </summary>
      <form
        noValidate
        aria-label={t('path.form')}
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        {error && <ErrorNotice error={error} />}
        {problems.length > 0 && (
          <ul className="wrong">
            {problems.map((one) => (
              <li key={one}>{one}</li>
            ))}
          </ul>
        )}
        <div className="pair">
          <Choice
            label={t('path.entersAt')}
            names={drawn}
            value={draft.root}
            onChoose={(root) => {
              set({ root });
            }}
          />
          <Choice
            label={t('path.sender')}
            names={[
              ['outside', t('path.outside')],
              ['inside', t('path.inside')],
            ]}
            value={draft.sender}
            onChoose={(sender) => {
              set({ sender });
            }}
          />
          <Choice
            label={t('path.endsAt')}
            names={drawn}
            value={draft.leaf}
            onChoose={(end) => {
              set({ leaf: end });
            }}
          />
          {FIELDS.map(([name, label, example]) => (
            <div key={name} className="field">
              <label htmlFor={`${id}${name}`}>{t(label)}</label>
              <input
                id={`${id}${name}`}
                name={name}
                placeholder={example}
                spellCheck={false}
                value={draft[name]}
                onChange={({ target }) => {
                  set({ [name]: target.value });
                }}
              />
            </div>
          ))}
        </div>
        <div className="row row-end">
          <button type="submit" className="button button-primary" disabled={busy}>
            {busy ? t('path.adding') : t('path.add')}
          </button>
        </div>
      </form>
    </details>
  );
}

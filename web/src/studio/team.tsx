// Who works for a provider: owners add members, change what they may do, and remove them.

import { useId, useState } from 'react';
import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';

import { api } from '../kit/portal';
import type { Me, Member, MemberRole } from '../kit/types';
import { useAction, useLive } from '../ui/hooks';
import { Confirm, ErrorNotice, Loading } from '../ui/parts';
import { Field } from '../ui/sign-in';

const POLL_MS = 60_000;
const ROLES: Readonly<Record<MemberRole, PlainKey>> = { owner: 'team.owner', editor: 'team.editor' };

const roleOf = (value: string): MemberRole => (value === 'owner' ? 'owner' : 'editor');

function RoleOptions() {
  return Object.entries(ROLES).map(([value, label]) => (
    <option key={value} value={value}>
      {t(label)}
    </option>
  ));
}

interface TeamProps {
  me: Me;
  provider: string;
  name: string;
}

interface RowProps {
  member: Member;
  isOwn: boolean;
  mayEdit: boolean;
  busy: boolean;
  onRole: (role: MemberRole) => void;
  onRemove: () => void;
}

function MemberRow({ member, isOwn, mayEdit, busy, onRole, onRemove }: RowProps) {
  const [asking, setAsking] = useState(false);
  return (
    <li>
      <span>{isOwn ? t('team.you', { name: member.username }) : member.username}</span>
      {mayEdit ? (
        <select
          aria-label={t('team.roleOf', { name: member.username })}
          value={member.role}
          disabled={busy}
          onChange={(event) => {
            onRole(roleOf(event.target.value));
          }}
        >
          <RoleOptions />
        </select>
      ) : (
        <span className="quiet">{t(ROLES[member.role])}</span>
      )}
      {(mayEdit || isOwn) && (
        <button
          type="button"
          className="button button-small"
          disabled={busy}
          aria-label={isOwn ? t('team.leaveTeam') : t('common.removeNamed', { name: member.username })}
          onClick={() => {
            setAsking(true);
          }}
        >
          {isOwn ? t('team.leave') : t('common.remove')}
        </button>
      )}
      {asking && (
        <Confirm
          title={isOwn ? t('team.leaveConfirm') : t('team.removeConfirm', { name: member.username })}
          action={isOwn ? t('team.leave') : t('common.remove')}
          onConfirm={onRemove}
          onClose={() => {
            setAsking(false);
          }}
        >
          <p>{isOwn ? t('team.youLeave') : t('team.theyLeave', { name: member.username })}</p>
        </Confirm>
      )}
    </li>
  );
}

export function Team({ me, provider, name }: TeamProps) {
  const id = useId();
  const { data, error, refresh } = useLive(`members ${provider}`, () => api.members(provider), ['user'], POLL_MS);
  const [added, setAdded] = useState('');
  const [role, setRole] = useState<MemberRole>('editor');
  const { busy, error: refused, run } = useAction();
  const own = me.providers.find((one) => one.provider_id === provider);
  const mayEdit = me.role === 'operator' || own?.role === 'owner';
  const change = (what: () => Promise<void>): void => {
    void run(async () => {
      await what();
      refresh();
    });
  };
  return (
    <section className="panel" aria-labelledby={`${id}h`}>
      <h2 id={`${id}h`}>{t('team.heading', { name })}</h2>
      <p className="quiet">{t('team.about')}</p>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {refused && <ErrorNotice error={refused} />}
      {!data && !error && <Loading what={t('team.loading')} />}
      <ul className="names">
        {data?.map((member) => (
          <MemberRow
            key={member.username}
            member={member}
            isOwn={member.username === me.username}
            mayEdit={mayEdit}
            busy={busy}
            onRole={(chosen) => {
              change(() => api.putMember(provider, member.username, chosen));
            }}
            onRemove={() => {
              change(() => api.removeMember(provider, member.username));
            }}
          />
        ))}
      </ul>
      {mayEdit && (
        <form
          className="stack"
          onSubmit={(submitted) => {
            submitted.preventDefault();
            // The button is disabled next, and the field is there for the next name.
            submitted.currentTarget.querySelector('input')?.focus();
            change(async () => {
              await api.putMember(provider, added.trim().toLowerCase(), role);
              setAdded('');
            });
          }}
        >
          <div className="pair">
            <Field
              label={t('team.account')}
              name="member"
              autoComplete="off"
              autoCapitalize="none"
              spellCheck={false}
              required
              value={added}
              onChange={setAdded}
            />
            <div className="field">
              <label htmlFor={`${id}r`}>{t('common.role')}</label>
              <select
                id={`${id}r`}
                value={role}
                onChange={(event) => {
                  setRole(roleOf(event.target.value));
                }}
              >
                <RoleOptions />
              </select>
            </div>
          </div>
          <button type="submit" className="button" disabled={busy || added.trim() === ''}>
            {t('team.add')}
          </button>
        </form>
      )}
    </section>
  );
}

// The small parts that pages are made of.

import { type ReactNode, useEffect, useId, useRef, useState } from 'react';
import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';
import type { ApiError } from '../kit/api';
import { errorText } from '../kit/error-text';
import type { EventState, Visibility } from '../kit/types';
import { Icon } from './icons';
import { Mark } from './mark';

const STATES: Readonly<Record<EventState, PlainKey>> = {
  scheduled: 'state.scheduled',
  open: 'state.starting',
  live: 'state.live',
  ended: 'state.ended',
  cancelled: 'state.cancelled',
};

export function StateBadge({ state }: { state: EventState }) {
  return <span className={`badge badge-${state}`}>{t(STATES[state])}</span>;
}

const VISIBILITIES: Readonly<Record<Visibility, PlainKey>> = {
  public: 'visibility.public',
  unlisted: 'visibility.unlisted',
  pass_phrase: 'visibility.passPhrase',
  invited: 'visibility.invited',
};

/** Says who may watch, where not everybody may. */
export function VisibilityBadge({ visibility }: { visibility: Visibility }) {
  return visibility === 'public' ? null : <span className="badge">{t(VISIBILITIES[visibility])}</span>;
}

export function Loading({ what }: { what: string }) {
  return (
    <div className="loading" role="status">
      <span className="spinner" aria-hidden="true" />
      {what}
    </div>
  );
}

interface EmptyProps {
  title: string;
  children?: ReactNode;
  /** Set where the page shows nothing else: the title is then the page's heading. */
  isPage?: boolean;
}

/** An empty page or section: why there is nothing to show, and what to do next. */
export function Empty({ title, children, isPage = false }: EmptyProps) {
  return (
    <div className="empty">
      <Mark size={56} />
      {isPage ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
    </div>
  );
}

const ADVICE: Readonly<Record<string, PlainKey>> = {
  'umbel.forbidden': 'advice.forbidden',
  'umbel.unauthenticated': 'advice.signInAgain',
  'umbel.bad_credentials': 'advice.credentials',
  'umbel.no_capacity': 'advice.minutes',
};

/** No answer came: another attempt may get one. */
const UNREACHED = ['umbel.timeout', 'umbel.unreachable'];

/** Pages read again by themselves; what a button does must be done again. */
function adviceFor(error: ApiError, isRead: boolean): string {
  if (UNREACHED.includes(error.code)) return isRead ? t('advice.automatic') : t('advice.seconds');
  const advice = ADVICE[error.code];
  return advice ? t(advice) : '';
}

export function ErrorNotice({ error, onRetry }: { error: ApiError; onRetry?: () => void }) {
  return (
    <div className="notice notice-bad" role="alert">
      <p>
        {errorText(error)} {adviceFor(error, onRetry !== undefined)}
      </p>
      {onRetry && (
        <button type="button" className="button button-small" onClick={onRetry}>
          {t('common.tryAgain')}
        </button>
      )}
    </div>
  );
}

interface ErrorPageProps {
  title: string;
  error: ApiError;
  onRetry: () => void;
}

/** A page whose content cannot be read: its heading, the reason, and a way to try again. */
export function ErrorPage({ title, error, onRetry }: ErrorPageProps) {
  return (
    <>
      <h1>{title}</h1>
      <ErrorNotice error={error} onRetry={onRetry} />
    </>
  );
}

const COPIED_MS = 2000;

/** A value to copy into another program. */
export function CopyField({ label, value, secret = false }: { label: string; value: string; secret?: boolean }) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [copied, setCopied] = useState(false);
  const [shown, setShown] = useState(!secret);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => {
      setCopied(false);
    }, COPIED_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [copied]);

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(value);
      setCopied(true);
    } catch {
      // No permission: select it, so that the keyboard can.
      setShown(true);
      input.current?.select();
    }
  }

  return (
    <div className="copy">
      <label htmlFor={id}>{label}</label>
      <div className="copy-row">
        <input
          id={id}
          ref={input}
          readOnly
          spellCheck={false}
          type={shown ? 'text' : 'password'}
          value={value}
          onFocus={(event) => {
            event.target.select();
          }}
        />
        {secret && (
          <button
            type="button"
            className="button button-icon"
            aria-label={t('common.show', { label })}
            aria-pressed={shown}
            onClick={() => {
              setShown(!shown);
            }}
          >
            <Icon name="eye" />
          </button>
        )}
        <button
          type="button"
          className="button button-icon"
          aria-label={t('common.copy', { label })}
          onClick={() => void copy()}
        >
          <Icon name={copied ? 'check' : 'copy'} />
        </button>
      </div>
      <span className="visually-hidden" role="status">
        {copied ? t('common.copied', { label }) : ''}
      </span>
    </div>
  );
}

interface ConfirmProps {
  title: string;
  children: ReactNode;
  action: string;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks before something that cannot be undone. */
export function Confirm({ title, children, action, onConfirm, onClose }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} className="confirm" aria-labelledby={id} onClose={onClose}>
      <h2 id={id}>{title}</h2>
      <div>{children}</div>
      <div className="row row-end">
        <button type="button" className="button" onClick={() => dialog.current?.close()}>
          {t('common.goBack')}
        </button>
        <button
          type="button"
          className="button button-danger"
          onClick={() => {
            dialog.current?.close();
            onConfirm();
          }}
        >
          {action}
        </button>
      </div>
    </dialog>
  );
}

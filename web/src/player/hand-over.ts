// Make before break: a second session, and over WebRTC a second transport, while the first one plays.
// In: which session to leave for what. Out: what takes over, or why nothing does.

import { t } from '../i18n/t';
import { asApiError } from '../kit/api';
import { errorText } from '../kit/error-text';
import type { Session } from '../kit/types';
import { type Aim, LIMITS, type PlayerEvent } from './model';
import type { Ports } from './ports';
import type { Signals, Transport } from './transport';

interface Pending extends Aim {
  session: Session | null;
  transport: Transport | null;
}

export interface Outcome {
  /** No transport for HLS: it needs the one media element, and connects when the old one has gone. */
  moved: (epoch: number, session: Session, transport: Transport | null) => void;
  send: (event: PlayerEvent) => void;
}

export class HandOver {
  private pending: Pending | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly ports: Ports,
    private readonly outcome: Outcome,
  ) {}

  /** Starts a hand-over; it replaces a pending one to another quality. */
  begin(aim: Aim): void {
    if (this.pending?.quality === aim.quality) return;
    this.abandon(false);
    const mine: Pending = { ...aim, session: null, transport: null };
    this.pending = mine;
    const isChosen = aim.quality !== aim.left.quality;
    this.timer = setTimeout(() => void this.openSession(mine), isChosen ? LIMITS.chooseMs : 0);
  }

  /** Keeps this quality: a pending hand-over to another is given up. */
  keep(quality: string): void {
    if (this.pending && this.pending.quality !== quality) this.abandon(false);
  }

  /** Gives up the pending hand-over. The old session plays on, or was lost for another reason. */
  abandon(leaving: boolean): void {
    if (this.pending === null) return;
    const { session, transport } = this.pending;
    clearTimeout(this.timer);
    this.pending = null;
    transport?.close(leaving);
    if (session) void this.ports.closeSession(session);
  }

  private async openSession(mine: Pending): Promise<void> {
    const { left, quality, protocol } = mine;
    this.limit(mine, LIMITS.handOverOpenMs, t('player.openTimeout'));
    let session: Session;
    try {
      session = await this.ports.openSession(quality);
    } catch (thrown) {
      this.fail(mine, errorText(asApiError(thrown)));
      return;
    }
    if (this.pending !== mine) {
      void this.ports.closeSession(session);
      return;
    }
    mine.session = session;
    const isSame = session.edge === left.edge && quality === left.quality;
    if (isSame) this.fail(mine, t('player.sameEdge'));
    else if (protocol === 'whep') this.connect(mine, session);
    else this.complete(mine);
  }

  private connect(mine: Pending, session: Session): void {
    this.limit(mine, LIMITS.handOverMs, t('player.newEdgeTimeout'));
    // Once it plays, it belongs to the player's next attempt.
    const epoch = mine.epoch + 1;
    const signals = {
      linked: () => {
        this.complete(mine);
      },
      shaky: () => {
        if (this.pending !== mine) this.outcome.send({ type: 'shaky', epoch });
      },
      lost: (...[reason, message, retryAfterS]: Parameters<Signals['lost']>) => {
        if (this.pending === mine) this.fail(mine, message);
        else this.outcome.send({ type: 'lost', epoch, reason, message, retryAfterS });
      },
    };
    try {
      mine.transport = this.ports.connect('whep', session, signals, LIMITS.handOverMs);
    } catch {
      this.fail(mine, t('player.noSecond'));
    }
  }

  private complete(mine: Pending): void {
    const { epoch, session, transport } = mine;
    if (this.pending !== mine || session === null) return;
    clearTimeout(this.timer);
    this.pending = null;
    this.outcome.moved(epoch, session, transport);
  }

  private fail(mine: Pending, message: string): void {
    if (this.pending !== mine) return;
    this.abandon(false);
    this.outcome.send({ type: 'not-moved', epoch: mine.epoch, quality: mine.quality, message });
  }

  private limit(mine: Pending, ms: number, message: string): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.fail(mine, message);
    }, ms);
  }
}

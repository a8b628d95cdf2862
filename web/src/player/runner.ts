// Carries out the machine's effects and sends it events. One Player per watched event.
// In: ports (the portal, the transports, time). Out: snapshots for the page, and window.umbelPlayer.

import { asApiError } from '../kit/api';
import { errorText } from '../kit/error-text';
import type { LiveEvent, Session } from '../kit/types';
import { HandOver } from './hand-over';
import { step } from './machine';
import {
  type Choice,
  type Effect,
  type EventInfo,
  initial,
  type PlayerEvent,
  type Protocol,
  type State,
} from './model';
import type { Ports } from './ports';
import { SOURCE } from './quality';
import { type Status, statusOf } from './status';
import { type Details, NOTHING_KNOWN, type Transport } from './transport';

export interface Snapshot {
  state: State;
  status: Status;
  details: Details;
  framesDecoded: number;
  sessionsOpened: number;
}

const TICK_MS = 250;
/** How long a probe waits for the portal once the edge has answered. */
const FETCH_EVENT_MS = 1000;

function within<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  return Promise.race([promise, new Promise<null>((resolve) => setTimeout(resolve, ms, null))]);
}

export const eventInfoOf = (event: LiveEvent): EventInfo => ({
  state: event.state,
  flowing: event.stream?.flowing ?? null,
  qualities: event.stream?.qualities ?? null,
});

export class Player {
  private snapshot: Snapshot;
  private transport: Transport | null = null;
  private timer: ReturnType<typeof setInterval> | null = null;
  /** The transport whose statistics are being read. */
  private sampling: Transport | null = null;
  private readonly handOver: HandOver;
  private readonly listeners = new Set<() => void>();

  constructor(
    private readonly ports: Ports,
    choice: Choice,
    canWhep: boolean,
    quality: string = SOURCE,
    canVp8 = false,
  ) {
    const state = initial(choice, canWhep, quality, canVp8);
    this.snapshot = { state, status: statusOf(state), details: NOTHING_KNOWN, framesDecoded: 0, sessionsOpened: 0 };
    this.handOver = new HandOver(ports, {
      moved: (epoch, session, transport) => {
        this.moved(epoch, session, transport);
      },
      send: (event) => {
        this.send(event);
      },
    });
  }

  readonly get = (): Snapshot => this.snapshot;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  start(event: LiveEvent | null): void {
    if (event) this.update(event);
    this.timer ??= setInterval(() => {
      this.tick();
    }, TICK_MS);
    this.send({ type: 'start' });
  }

  /** Ends playback, for good or for a while (pagehide); `start` begins again. */
  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.send({ type: 'leave' });
  }

  update(event: LiveEvent): void {
    this.send({ type: 'event-changed', info: eventInfoOf(event) });
  }

  send(event: PlayerEvent): void {
    const at = { nowMs: this.ports.nowMs(), random: this.ports.random() };
    const { state, effects } = step(this.snapshot.state, event, at);
    if (state !== this.snapshot.state) this.publish({ state, status: statusOf(state) });
    for (const effect of effects) this.carryOut(effect, event.type === 'leave');
  }

  private publish(change: Partial<Snapshot>): void {
    this.snapshot = { ...this.snapshot, ...change };
    for (const listener of [...this.listeners]) listener();
  }

  private tick(): void {
    this.send({ type: 'tick' });
    void this.sample();
  }

  private async sample(): Promise<void> {
    const { transport } = this;
    const { epoch } = this.snapshot.state;
    if (transport === null || this.sampling === transport) return;
    this.sampling = transport;
    try {
      const { progress, framesDecoded, details } = await transport.sample();
      if (transport !== this.transport) return;
      this.publish({ framesDecoded, details });
      if (progress > 0) this.send({ type: 'progress', epoch, value: progress });
    } finally {
      if (this.sampling === transport) this.sampling = null;
    }
  }

  private carryOut(effect: Effect, leaving: boolean): void {
    switch (effect.type) {
      case 'open-session':
        void this.openSession(effect.epoch, effect.quality);
        break;
      case 'close-session':
        void this.ports.closeSession(effect.session);
        break;
      case 'connect':
        this.connect(effect.epoch, effect.protocol, effect.session);
        break;
      case 'hand-over':
        this.handOver.begin(effect);
        break;
      case 'keep':
        this.handOver.keep(effect.quality);
        break;
      case 'disconnect':
        this.handOver.abandon(leaving);
        this.transport?.close(leaving);
        this.transport = null;
        this.publish({ details: NOTHING_KNOWN });
        break;
      case 'probe':
        void this.probe(effect.epoch, effect.session);
        break;
      case 'fetch-event':
        void this.ports.fetchEvent().then((event) => {
          if (event) this.update(event);
        });
        break;
    }
  }

  private async openSession(epoch: number, quality: string): Promise<void> {
    try {
      const session = await this.ports.openSession(quality);
      this.publish({ sessionsOpened: this.snapshot.sessionsOpened + 1 });
      this.send({ type: 'opened', epoch, session });
    } catch (thrown) {
      const error = asApiError(thrown);
      const { status, code, retryAfterS } = error;
      const message = errorText(error);
      this.send({ type: 'not-opened', epoch, status, code, message, retryAfterS });
    }
  }

  /** The new transport already plays, and the old one is closed; or there is no new one yet. */
  private moved(epoch: number, session: Session, transport: Transport | null): void {
    this.publish({ sessionsOpened: this.snapshot.sessionsOpened + 1 });
    if (transport === null) {
      this.send({ type: 'replaced', epoch, session });
      return;
    }
    const old = this.transport;
    this.transport = transport;
    this.send({ type: 'moved', epoch, session });
    old?.close(false);
  }

  private connect(epoch: number, protocol: Protocol, session: Session): void {
    this.handOver.abandon(false);
    this.transport?.close(false);
    this.transport = this.ports.connect(protocol, session, {
      linked: () => {
        this.send({ type: 'linked', epoch });
      },
      shaky: () => {
        this.send({ type: 'shaky', epoch });
      },
      lost: (reason, message, retryAfterS) => {
        this.send({ type: 'lost', epoch, reason, message, retryAfterS });
      },
    });
  }

  private async probe(epoch: number, session: Session): Promise<void> {
    const fetching = within(this.ports.fetchEvent(), FETCH_EVENT_MS);
    const alive = await (this.transport?.alive?.() ?? this.ports.alive(session));
    // A dead edge is enough to act on: do not wait for the portal, which may be slow.
    const event = alive ? await fetching : null;
    this.send({ type: 'probed', epoch, alive, info: event ? eventInfoOf(event) : null });
  }
}

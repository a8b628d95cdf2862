// For tests: edges that run or fail and a portal that answers or refuses, in place of the real ones.

import type { ApiError } from '../kit/api';
import type { LiveEvent, Session } from '../kit/types';
import type { Protocol } from './model';
import type { Ports } from './ports';
import { NOTHING_KNOWN, type Signals, type Transport } from './transport';

export class FakeWorld {
  flowing = true;
  edgeAlive = true;
  refuseOnce: ApiError | null = null;
  portalHangs = false;
  opened = 0;
  closed: string[] = [];
  transports: { protocol: Protocol; signals: Signals; open: boolean }[] = [];
  leaving: boolean[] = [];
  edge = 'pe4';
  links = true;
  linkMs = 100;
  /** The portal opens the next sessions after this. */
  answer: Promise<void> = Promise.resolve();
  samples = true;
  qualities: string[] = [];
  /** The quality of every session, where the portal does not give the requested one. */
  gives: string | null = null;
  private frames = 0;

  readonly ports: Ports = {
    openSession: (quality) => {
      const refusal = this.refuseOnce;
      this.refuseOnce = null;
      if (refusal) return Promise.reject(refusal);
      this.opened += 1;
      this.edgeAlive = true;
      const session = this.session(this.opened, this.gives ?? quality);
      return this.answer.then(() => session);
    },
    closeSession: (session) => {
      this.closed.push(session.id);
      return Promise.resolve();
    },
    fetchEvent: () => (this.portalHangs ? new Promise(() => undefined) : Promise.resolve(this.event())),
    alive: () => Promise.resolve(this.edgeAlive),
    connect: (protocol, _session, signals) => this.connect(protocol, signals),
    nowMs: () => Date.now(),
    random: () => 0.5,
  };

  private connect(protocol: Protocol, signals: Signals): Transport {
    const entry = { protocol, signals, open: true };
    this.transports.push(entry);
    setTimeout(() => {
      if (entry.open && this.links) signals.linked();
    }, this.linkMs);
    return {
      sample: () => {
        if (!this.samples) return new Promise(() => undefined);
        if (this.edgeAlive && this.flowing) this.frames += 6;
        return Promise.resolve({ progress: this.frames, framesDecoded: this.frames, details: NOTHING_KNOWN });
      },
      close: (leaving) => {
        entry.open = false;
        this.leaving.push(leaving);
      },
    };
  }

  private session(n: number, quality: string): Session {
    const base = `http://127.0.4.1:${String(9000 + n)}`;
    return {
      id: `s${String(n)}`,
      quality,
      edge: this.edge,
      whep: base,
      hls: base,
      hls_subtitled: null,
      token: 't',
      expires_at: '',
    };
  }

  event(): LiveEvent {
    const stream = {
      flowing: this.flowing,
      protocol: 'rtmp',
      video: 'h264',
      audio: 'aac',
      width: 1280,
      height: 720,
      transcoding: '',
      error: '',
      mbps: 2,
      viewers: 1,
      qualities: this.qualities,
      key_interval_s: 1,
      fps: 30,
      packet_loss: 0,
      frame_loss: 0,
    };
    return {
      id: 'ev',
      provider_id: 'p',
      provider_name: 'P',
      title: 'T',
      description: '',
      starts_at: '',
      ends_at: '',
      vp8: false,
      visibility: 'public',
      time_zone: 'UTC',
      picture: null,
      series_id: null,
      state: 'live',
      version: 1,
      stream,
    };
  }
}

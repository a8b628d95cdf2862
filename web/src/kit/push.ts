// This browser's push subscription, and the service worker that shows what comes.

import { t } from '../i18n/t';
import type { Api } from './api';
import type { NewDevice } from './types';

const WORKER = '/sw.js';
const SUBSCRIBE_MS = 15_000;
const STORED = 'umbel.push-device';

export type PushSupport = 'yes' | 'no' | 'denied';

/** Pushes need https (or this machine itself), a browser that has them, and the user's permission. */
export function pushSupport(): PushSupport {
  if (!('serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window)) return 'no';
  return Notification.permission === 'denied' ? 'denied' : 'yes';
}

/** Once the page is there: the worker must not delay what a viewer waits for. */
export function installWorker(): void {
  if (!('serviceWorker' in navigator)) return;
  const install = (): void => {
    navigator.serviceWorker.register(WORKER).catch(() => undefined);
  };
  if (document.readyState === 'complete') install();
  else window.addEventListener('load', install, { once: true });
}

/** A key in base64url as the bytes that browsers want. */
export function bytesOf(key: string): Uint8Array<ArrayBuffer> {
  const binary = atob(key.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** "Firefox on Android", as far as the browser's own name tells. */
export function labelOf(agent: string): string {
  const find = (names: readonly string[]): string | undefined => names.find((name) => agent.includes(name));
  const browser = find(['Edg', 'OPR', 'Firefox', 'Chrome', 'Safari']) ?? t('push.browser');
  const system = find(['Android', 'iPhone', 'iPad', 'Windows', 'Mac OS', 'CrOS', 'Linux']);
  const name = browser === 'Edg' ? 'Edge' : browser === 'OPR' ? 'Opera' : browser;
  return system ? t('push.device', { name, system }) : name;
}

/** What the platform keeps of a subscription; null where the browser leaves something out. */
export function deviceOf(subscription: PushSubscriptionJSON, agent: string): NewDevice | null {
  const { endpoint, keys } = subscription;
  const p256dh = keys?.['p256dh'];
  const auth = keys?.['auth'];
  return endpoint && p256dh && auth ? { endpoint, keys: { p256dh, auth }, label: labelOf(agent) } : null;
}

/** The id by which the platform knows this browser. */
export const storedDevice = (): string | null => localStorage.getItem(STORED);

/** Asks the user and the browser's push service, then tells the platform. */
export async function turnOn(api: Api, publicKey: string): Promise<void> {
  if ((await Notification.requestPermission()) !== 'granted') throw new Error('not allowed');
  const registration = await navigator.serviceWorker.ready;
  const key = bytesOf(publicKey);
  const before = await registration.pushManager.getSubscription();
  // A subscription to the key of another installation is of no use here.
  if (before && !sameBytes(before.options.applicationServerKey, key)) await before.unsubscribe();
  const asked = registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const made = await Promise.race([asked, failAfter(SUBSCRIBE_MS)]);
  const device = deviceOf(made.toJSON(), navigator.userAgent);
  if (device === null) throw new Error('incomplete subscription');
  const { id } = await api.addDevice(device);
  localStorage.setItem(STORED, id);
}

/** A browser that does not reach its push service may never answer. */
function failAfter(ms: number): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => {
      reject(new Error('no answer'));
    }, ms);
  });
}

function sameBytes(one: ArrayBuffer | null, other: Uint8Array): boolean {
  const bytes = new Uint8Array(one ?? new ArrayBuffer(0));
  return bytes.length === other.length && bytes.every((byte, n) => byte === other[n]);
}

/** Ends this browser's subscription; who signs in next does not get what was for somebody else. */
export async function forgetDevice(api: Api): Promise<void> {
  const id = storedDevice();
  if (id === null) return;
  localStorage.removeItem(STORED);
  await api.removeDevice(id).catch(() => undefined);
  const registration = await navigator.serviceWorker?.getRegistration();
  const subscription = await registration?.pushManager.getSubscription();
  await subscription?.unsubscribe().catch(() => undefined);
}

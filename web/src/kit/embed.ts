// The code that shows an event's player in another site's page: as the portal's oEmbed gives it. Pure.

import { to } from './routes';

const NAMES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#x27;',
};

export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (one) => NAMES[one] ?? one);
}

export function embedCode(event: { id: string; title: string }, origin: string): string {
  return (
    `<iframe src="${origin}${to.embed(event.id)}" width="960" height="540"` +
    ` title="${escapeHtml(event.title)}" style="border:0"` +
    ' allow="autoplay; fullscreen; picture-in-picture" allowfullscreen></iframe>'
  );
}

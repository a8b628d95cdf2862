// The picture of an event: chosen here, made small in the browser, and shown wherever the event is.

import { useId, useRef } from 'react';
import { t } from '../i18n/t';

import { ApiError } from '../kit/api';
import type { BrowserErrorCode } from '../kit/error-text';
import { api } from '../kit/portal';
import type { LiveEvent } from '../kit/types';
import { EventPoster } from '../ui/event-poster';
import { useAction } from '../ui/hooks';
import { ErrorNotice } from '../ui/parts';

const WIDTH = 1280;
const HEIGHT = 720;
const QUALITY = 0.85;
const TYPES = ['image/jpeg', 'image/png', 'image/webp'];

/** The part of a picture, in the shape of a video, that is kept of it. */
export function cropOf(width: number, height: number): { x: number; y: number; width: number; height: number } {
  const scale = Math.min(width / WIDTH, height / HEIGHT);
  const kept = { width: WIDTH * scale, height: HEIGHT * scale };
  return { x: (width - kept.width) / 2, y: (height - kept.height) / 2, ...kept };
}

const refuse = (code: BrowserErrorCode): ApiError => new ApiError(0, code);

async function decode(file: File): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file);
  } catch {
    throw refuse('umbel.picture_unreadable');
  }
}

/** The middle of the picture as a JPEG of 1280 x 720 at most, turned as its camera was held. */
export async function shrink(file: File): Promise<Blob> {
  if (!TYPES.includes(file.type)) throw refuse('umbel.picture_type');
  const picture = await decode(file);
  const crop = cropOf(picture.width, picture.height);
  const scale = Math.min(1, WIDTH / crop.width);
  const canvas = new OffscreenCanvas(Math.max(1, crop.width * scale), Math.max(1, crop.height * scale));
  canvas
    .getContext('2d')
    ?.drawImage(picture, crop.x, crop.y, crop.width, crop.height, 0, 0, canvas.width, canvas.height);
  picture.close();
  return canvas.convertToBlob({ type: 'image/jpeg', quality: QUALITY });
}

export function PictureCard({ event, onChange }: { event: LiveEvent; onChange: () => void }) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const { busy, error, run } = useAction();
  const choose = (file: File | undefined): void => {
    if (!file) return;
    void run(async () => {
      await api.setPicture(event.id, await shrink(file));
      onChange();
    });
  };
  return (
    <section className="panel" aria-labelledby={`${id}h`}>
      <h2 id={`${id}h`}>{t('pic.heading')}</h2>
      {error && <ErrorNotice error={error} />}
      <div className="preview">
        <EventPoster event={event} />
      </div>
      <p className="quiet" id={`${id}n`}>
        {t('pic.about', { state: event.picture === null ? t('pic.drawing') : t('pic.shown') })}
      </p>
      <div className="row row-start">
        <input
          ref={input}
          id={`${id}f`}
          className="visually-hidden"
          type="file"
          accept={TYPES.join(',')}
          aria-label={t('pic.file')}
          tabIndex={-1}
          onChange={(chosen) => {
            choose(chosen.target.files?.[0]);
            chosen.target.value = '';
          }}
        />
        <button
          type="button"
          className="button"
          disabled={busy}
          aria-describedby={`${id}n`}
          onClick={() => {
            input.current?.click();
          }}
        >
          {busy ? t('common.saving') : t('pic.choose')}
        </button>
        {event.picture !== null && (
          <button
            type="button"
            className="button"
            disabled={busy}
            onClick={() =>
              void run(async () => {
                await api.removePicture(event.id);
                onChange();
              })
            }
          >
            {t('common.remove')}
          </button>
        )}
      </div>
    </section>
  );
}

// The picture that a provider gave an event, or a drawing where there is none or it cannot be read.

import { useState } from 'react';

import type { LiveEvent } from '../kit/types';
import { Poster } from './mark';

/** Decoration: adds nothing to the text next to it. */
export function EventPoster({ event }: { event: Pick<LiveEvent, 'id' | 'provider_id' | 'picture'> }) {
  const [broken, setBroken] = useState<string | null>(null);
  if (event.picture === null || event.picture === broken) {
    return <Poster provider={event.provider_id} event={event.id} />;
  }
  return (
    <img
      className="poster poster-picture"
      src={event.picture}
      alt=""
      width="640"
      height="360"
      onError={() => {
        setBroken(event.picture);
      }}
    />
  );
}
